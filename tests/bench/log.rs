//! The audit log: putting entries into the tree beside the bare hashes that no log can do without, and verifying a long
//! one offline with the real program.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use assay::{
    audit::{
        chain::{self, Hash},
        folder::{HEADER, Header, VERSION},
        format::FORMAT,
        item::Item,
        leaf,
        tlog::{Checkpoint, Tile, Tree, VerifierKey, bundle, merkle, note},
    },
    tenancy::seal::{DataKey, hex},
};
use aws_lc_rs::{
    digest::{Context, SHA256, digest},
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

fn leaf_of(n: u64) -> String {
    let commitment = hex(digest(&SHA256, &n.to_be_bytes()).as_ref());
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
        let mut levels: Vec<[u8; 32]> = leaves.iter().map(|leaf| sha256(&[&[0], leaf.as_bytes()])).collect();
        while levels.len() > 1 {
            levels = levels.chunks_exact(2).map(|pair| sha256(&[&[1], &pair[0], &pair[1]])).collect();
        }
        assert_eq!(Hash::from_bytes(levels[0]), tree.root());
        bare.add(rate(ENTRIES, begun.elapsed()));
    }
    report::line("log: entries into the tree, one core", "M/s", &ours, Some(&bare), &Bar::RatioAtLeast(0.5));
    from_items(effort, &bare)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    parts.iter().for_each(|part| hash.update(part));
    hash.finish().as_ref().try_into().expect("32 bytes")
}

/// All that happens to an item in memory before its entry is written: its leaf with commitment and pseudonym, the chain, the
/// tree.
fn from_items(effort: Effort, bare: &Samples) -> Outcome<()> {
    const ITEMS: u64 = 65_536;
    let key = DataKey::new(&[7; 32])?;
    let items: Vec<Item> = (0..ITEMS).map(item).collect();
    let mut ours = Samples::default();
    for _ in 0..effort.rounds.min(7) {
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
    report::line("log: the same from items: leaf, commitment, chain", "M/s", &ours, Some(bare), &Bar::None);
    Ok(())
}

fn item(n: u64) -> Item {
    serde_json::from_value(json!({
        "id": format!("{n:032x}"), "at": "2026-03-01T09:30:00Z", "kind": "evidence.recorded",
        "object": format!("evidence {n:032x}"), "actor": { "person": format!("{n:032x}") },
        "correlation": format!("0192f0c1a2b3c4d5e6f70819{n:08x}"), "salt": hex(&sha256(&[&n.to_be_bytes()])),
        "detail": { "source": "connectwise", "record": n, "revision": 1, "hash": hex(&sha256(&[&[1], &n.to_be_bytes()])) },
    }))
    .expect("an item")
}

fn rate(entries: u64, took: Duration) -> f64 {
    entries as f64 / took.as_secs_f64() / 1e6
}

fn verification(effort: Effort) -> Outcome<()> {
    let entries = effort.log;
    let folder = tempfile::tempdir()?;
    let (copy, keys) = (folder.path().join("log"), folder.path().join("keys.txt"));
    fs::write(&keys, write(&copy, entries)?)?;
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
    let what = |of: &str| format!("log: {of} of verifying {entries} entries");
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

/// A log of so many entries as an export has it, without content; gives the keys.
fn write(folder: &Path, entries: u64) -> Outcome<String> {
    let put = |path: String, bytes: &[u8]| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder"))?;
        fs::write(file, bytes)
    };
    let (mut tree, mut waiting) = (Tree::default(), Vec::new());
    let bytes_of = |hashes: &[Hash]| hashes.iter().flat_map(|hash| *hash.bytes()).collect::<Vec<u8>>();
    for n in 0..entries {
        let leaf = leaf_of(n);
        bundle::push(&mut waiting, leaf.as_bytes())?;
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
        disclosed: false,
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
