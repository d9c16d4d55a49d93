//! What a link costs to verify, beside the bare signature check of the same bytes under the same key.

use std::{hint::black_box, time::Instant};

use assay::gate::link::{
    token::{AUDIENCE_VIEW, Claims, signed},
    verify::{LinkKey, Signed, open},
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey},
};
use time::OffsetDateTime;

use crate::{
    Effort, Outcome,
    report::{self, Bar, Samples},
};

const TOGETHER: u32 = 20;

pub fn measure(effort: Effort) -> Outcome<()> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).map_err(|e| e.to_string())?;
    let keys = [LinkKey::new("k", pair.public_key().as_ref()).ok_or("no point")?];
    let id = "0192f3a0-0000-7000-8000-000000000002";
    let claims = Claims {
        iss: "https://assay.example.net".into(),
        aud: AUDIENCE_VIEW.into(),
        tid: id.into(),
        sub: id.into(),
        oid: id.into(),
        act: "5".repeat(64),
        jti: id.into(),
        iat: 1_800_000_000,
        nbf: 1_800_000_000,
        exp: 1_800_003_600,
    };
    let text = claims.to_sign("k");
    let token = signed(&text, pair.sign(&SystemRandom::new(), text.as_bytes())?.as_ref().try_into()?);
    let (parts, now) = (Signed::parse(&token)?, OffsetDateTime::from_unix_timestamp(1_800_000_060)?);
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..effort.events * 4 {
        let begun = Instant::now();
        for _ in 0..TOGETHER {
            black_box(open(black_box(&token), &keys, now, &claims.iss, AUDIENCE_VIEW))?;
        }
        ours.add(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TOGETHER));
        let begun = Instant::now();
        for _ in 0..TOGETHER {
            black_box(key.verify_sig(black_box(parts.text), &parts.signature))?;
        }
        bare.add(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TOGETHER));
    }
    report::line("a link is verified / bare P-256", "us", &ours, Some(&bare), &Bar::RatioAtMost(1.5));
    Ok(())
}
