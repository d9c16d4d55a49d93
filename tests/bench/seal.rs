//! Sealing and opening 4 KB, as bytes and as a document holds them, beside the bare calls of aws-lc-rs.

use std::{hint::black_box, time::Instant};

use assay::tenancy::seal::{Binding, DataKey};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};

use crate::{
    Effort, Outcome,
    report::{self, Bar, Samples},
};

const PLAIN: [u8; 4096] = [7; 4096];
const AT: Binding<'_> = Binding {
    owner: "0192a3b4c5d67e8f9a0b1c2d3e4f5a6b",
    container: "clients",
    place: "assessment",
    document: "evidence:0192a3b4c5d67e8f9a0b1c2d3e4f5a6b:ticket:918204",
    field: "record",
    schema: 1,
    revision: 0,
};

pub fn measure(effort: Effort) -> Outcome<()> {
    let key = DataKey::new(&[7; 32])?;
    let bare = RandomizedNonceKey::new(&AES_256_GCM, &[7; 32])?;
    let [mut bares, mut bytes, mut texts] = [(); 3].map(|()| Samples::default());
    for _ in 0..effort.rounds * 5 {
        bares.add(micros(|| {
            let mut text = PLAIN.to_vec();
            let nonce = bare.seal_in_place_append_tag(Aad::from(b"4 KB"), &mut text).expect("sealed");
            let nonce = Nonce::try_assume_unique_for_key(nonce.as_ref()).expect("a nonce");
            bare.open_in_place(nonce, Aad::from(b"4 KB"), &mut text).expect("opened").len()
        }));
        bytes.add(micros(|| {
            let sealed = key.seal_bytes(&AT, &PLAIN).expect("sealed");
            key.open_bytes(&AT, sealed).expect("opened").len()
        }));
        texts.add(micros(|| {
            let sealed = key.seal(&AT, &PLAIN).expect("sealed");
            key.open(&AT, &sealed).expect("opened").len()
        }));
    }
    report::line("seal and open 4 KB, beside the bare calls", "us", &bytes, Some(&bares), &Bar::RatioAtMost(2.0));
    report::line("the same in base64, as a document holds it", "us", &texts, Some(&bares), &Bar::RatioAtMost(2.0));
    Ok(())
}

/// Of one, among a thousand.
fn micros(work: impl Fn() -> usize) -> f64 {
    const TIMES: u32 = 1000;
    let begun = Instant::now();
    for _ in 0..TIMES {
        black_box(work());
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}
