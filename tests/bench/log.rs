//! The audit log: putting entries into the tree beside the bare hashes that no log can do without, and verifying a long
//! one offline with the real program.

use std::{
    fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use assay::{
    audit::{
        chain::{self, Hash},
        folder::{self, Disclosure, HEADER, Header, VERSION},
        format::FORMAT,
        item::Item,
        leaf,
        tlog::{Checkpoint, Tile, Tree, VerifierKey, bundle, merkle, note},
    },
    tenancy::seal::{DataKey, hex},
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use time::macros::datetime;

use crate::{
    Effort, Outcome,
    report::{self, Bar, Samples},
};

const OWNER: &str = "0192f0c1a2b3c4d5e6f708192a3b4c5d";

pub fn measure(effort: Effort) -> Outcome<()> {
    sequencing(effort)?;
    verification(effort)
}

fn salt_of(n: u64) -> Hash {
    Hash::from_bytes(sha256(&n.to_be_bytes()))
}

/// As much as an entry of the product has, such as a reading's.
fn content_of(n: u64) -> String {
    format!(
        r#"{{"actor":{{"function":"intake"}},"detail":{{"source":"connectwise","record":{n},"revision":1,"hash":"{}"}}}}"#,
        hex(salt_of(n).bytes())
    )
}

fn leaf_of(n: u64) -> String {
    let commitment = hex(leaf::commitment(&salt_of(n), &content_of(n)).bytes());
    format!(
        r#"{{"v":1,"id":"{n:032x}","at":"2026-03-01T09:30:00Z","kind":"evidence.recorded","object":"evidence {commitment:.32}","actor":"function:intake","correlation":"0192f0c1a2b3c4d5e6f70819{n:08x}","commitment":"{commitment}"}}"#
    )
}

/// Millions of entries a second on one core: into bundles, tiles and the tree, and the hashes alone.
fn sequencing(effort: Effort) -> Outcome<()> {
    const ENTRIES: u64 = 262_144;
    let leaves: Vec<String> = (0..ENTRIES).map(leaf_of).collect();
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..effort.rounds.min(7) {
        let begun = Instant::now();
        let (mut tree, mut entries, mut written) = (Tree::default(), Vec::new(), 0);
        for leaf in &leaves {
            bundle::push(&mut entries, leaf.as_bytes()).expect("short");
            tree.append(merkle::leaf(leaf.as_bytes()), &mut |tile, hashes| {
                written += hashes.len() * 32;
                if tile.level() == Some(0) {
                    written += entries.len();
                    entries.clear();
                }
            });
        }
        assert!(written > 0 && tree.root() != merkle::empty());
        ours.add(rate(ENTRIES, begun.elapsed()));

        let begun = Instant::now();
        let mut buffer = Vec::new();
        let mut levels: Vec<[u8; 32]> = leaves.iter().map(|leaf| sha256_of(&mut buffer, &[&[0], leaf.as_bytes()])).collect();
        while levels.len() > 1 {
            levels = levels.chunks_exact(2).map(node).collect();
        }
        assert_eq!(Hash::from_bytes(levels[0]), tree.root());
        bare.add(rate(ENTRIES, begun.elapsed()));
    }
    report::line("log: entries into the tree, one core", "M/s", &ours, Some(&bare), &Bar::RatioAtLeast(0.5));
    from_items(effort)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

/// Of parts, in one call: a context that is fed each of them costs half as much again, and a floor must be none that we beat.
fn sha256_of(buffer: &mut Vec<u8>, parts: &[&[u8]]) -> [u8; 32] {
    buffer.clear();
    for part in parts {
        buffer.extend_from_slice(part);
    }
    sha256(buffer)
}

fn node(pair: &[[u8; 32]]) -> [u8; 32] {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&pair[0]);
    bytes[33..].copy_from_slice(&pair[1]);
    sha256(&bytes)
}

/// All that happens to an item in memory before its entry is written: its leaf with commitment and pseudonym, the chain, the
/// tree. Beside the hashes and the HMAC of exactly that, over bytes that are there: what is more is writing JSON. The bar of
/// half is that of the line above, which is a part of this.
fn from_items(effort: Effort) -> Outcome<()> {
    const ITEMS: u64 = 65_536;
    let key = DataKey::new(&[7; 32])?;
    let items: Vec<Item> = (0..ITEMS).map(item).collect();
    let ready: Vec<leaf::Written> = items.iter().map(|item| leaf::write(item, &key)).collect::<Result<_, _>>()?;
    let mac = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..effort.rounds.min(7) {
        let begun = Instant::now();
        let (mut buffer, mut before) = (Vec::new(), [0; 32]);
        for (item, written) in items.iter().zip(&ready) {
            let (leaf, content) = (written.leaf.as_bytes(), written.content.as_bytes());
            black_box(hmac::sign(&mac, item.id.as_bytes()));
            black_box(sha256_of(&mut buffer, &[item.salt.bytes(), content]));
            before = sha256_of(&mut buffer, &[&[0], &before, leaf]);
            let hash = sha256_of(&mut buffer, &[&[0], leaf]);
            black_box(node(&[hash, before]));
        }
        black_box(before);
        bare.add(rate(ITEMS, begun.elapsed()));

        let begun = Instant::now();
        let (mut tree, mut hash) = (Tree::default(), Hash::from_bytes([0; 32]));
        for item in &items {
            let written = leaf::write(item, &key)?;
            hash = chain::link(&hash, &written.leaf);
            tree.append(merkle::leaf(written.leaf.as_bytes()), &mut |_, _| {});
        }
        assert!(tree.size() == ITEMS && hash != Hash::from_bytes([0; 32]));
        ours.add(rate(ITEMS, begun.elapsed()));
    }
    report::line("log: the same from items: leaf, commitment, chain", "M/s", &ours, Some(&bare), &Bar::RatioAtLeast(0.5));
    Ok(())
}

fn item(n: u64) -> Item {
    serde_json::from_value(json!({
        "id": format!("{n:032x}"), "at": "2026-03-01T09:30:00Z", "kind": "evidence.recorded",
        "object": format!("evidence {n:032x}"), "actor": { "person": format!("{n:032x}") },
        "correlation": format!("0192f0c1a2b3c4d5e6f70819{n:08x}"), "salt": hex(salt_of(n).bytes()),
        "detail": { "source": "connectwise", "record": n, "revision": 1, "hash": hex(salt_of(n + 1).bytes()) },
    }))
    .expect("an item")
}

fn rate(entries: u64, took: Duration) -> f64 {
    entries as f64 / took.as_secs_f64() / 1e6
}

/// Once the log alone, once with the content of every entry, as who may read it gets it. Not measured: proofs of single
/// entries, a file each.
fn verification(effort: Effort) -> Outcome<()> {
    verify(effort.log, false)?;
    verify(effort.log, true)
}

fn verify(entries: u64, disclosed: bool) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (copy, keys) = (folder.path().join("log"), folder.path().join("keys.txt"));
    fs::write(&keys, write(&copy, entries, disclosed)?)?;
    let (mut seconds, mut memory) = (Samples::default(), Samples::default());
    for _ in 0..3 {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_assay"))
            .args(["verify".as_ref(), copy.as_os_str(), "--key".as_ref(), keys.as_os_str()])
            .stdout(Stdio::null())
            .spawn()?;
        let mut most = 0.0_f64;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            most = most.max(peak(child.id()));
            std::thread::sleep(Duration::from_millis(5));
        };
        if !status.success() {
            return Err("the log does not hold".into());
        }
        seconds.add(begun.elapsed().as_secs_f64());
        memory.add(most);
    }
    let with = if disclosed { " with content" } else { "" };
    let what = |of: &str| format!("log: {of} of verifying {entries} entries{with}");
    report::line(&what("time"), "s", &seconds, None, &Bar::AtMost(10.0));
    report::line(&what("memory"), "MB", &memory, None, &Bar::AtMost(300.0));
    Ok(())
}

/// The most memory that a process had so far, in MB.
fn peak(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// A log of so many entries as an export has it; gives the keys.
fn write(folder: &Path, entries: u64, disclosed: bool) -> Outcome<String> {
    let put = |path: String, bytes: &[u8]| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder"))?;
        fs::write(file, bytes)
    };
    let (mut tree, mut waiting, mut lines) = (Tree::default(), Vec::new(), Vec::new());
    let bytes_of = |hashes: &[Hash]| hashes.iter().flat_map(|hash| *hash.bytes()).collect::<Vec<u8>>();
    for n in 0..entries {
        let leaf = leaf_of(n);
        bundle::push(&mut waiting, leaf.as_bytes())?;
        if disclosed {
            serde_json::to_writer(&mut lines, &Disclosure::Open { index: n, salt: salt_of(n), content: content_of(n) })?;
            lines.push(b'\n');
            if (n + 1) % 256 == 0 || n + 1 == entries {
                put(folder::disclosed(n / 256), &lines)?;
                lines.clear();
            }
        }
        let mut full = Vec::new();
        tree.append(merkle::leaf(leaf.as_bytes()), &mut |tile, hashes| full.push((tile, bytes_of(hashes))));
        if (n + 1) % 256 == 0 {
            put(Tile::bundle(n / 256, 256).to_string(), &waiting)?;
            waiting.clear();
        }
        for (tile, bytes) in full {
            put(tile.to_string(), &bytes)?;
        }
    }
    for (tile, hashes) in tree.partial() {
        put(tile.to_string(), &bytes_of(hashes))?;
    }
    if !waiting.is_empty() {
        put(Tile::at(None, entries / 256, entries).expect("partial").to_string(), &waiting)?;
    }
    let origin = format!("assay-bench/{OWNER}");
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        owner: OWNER.into(),
        origin: origin.clone(),
        exported_at: datetime!(2026-03-02 08:00 UTC),
        release: "bench".into(),
        demo: false,
        notice: None,
        entries,
        disclosed,
        proofs: false,
    };
    put(HEADER.into(), &serde_json::to_vec(&header)?)?;
    let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[7; 32])?;
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let ours = VerifierKey::ed25519(&origin, ed25519.public_key().as_ref().try_into()?)?;
    let vaults = VerifierKey::p256(&origin, p256.public_key().as_ref())?;
    let text = Checkpoint { origin, size: entries, root: tree.root() }.text();
    let signature = p256.sign(&SystemRandom::new(), text.as_bytes())?;
    let lines = ours.line(ed25519.sign(text.as_bytes()).as_ref()) + &vaults.line(&note::der(signature.as_ref().try_into()?));
    put("checkpoint".into(), format!("{text}\n{lines}").as_bytes())?;
    Ok(format!("{ours}\n{vaults}\n"))
}
