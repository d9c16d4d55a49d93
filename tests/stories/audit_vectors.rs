//! The tree, its proofs and its checkpoints against vectors that somebody else's implementation made: every
//! `merkle_vectors*.jsonl` of the folder in `ASSAY_SECURITY_CASES`.

use std::path::PathBuf;

use assay::audit::{
    chain::Hash,
    tlog::{Checkpoint, Tree, VerifierKey, merkle, proof},
};
use serde::Deserialize;

use crate::support::shared;

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Vector {
    LeafRule { prefix: String, text: String },
    Root { size: u64, root: Hash },
    Inclusion { index: u64, size: u64, leaf_hash: Hash, proof: Vec<Hash>, root: Hash, valid: bool },
    Consistency { old_size: u64, old_root: Hash, new_size: u64, new_root: Hash, proof: Vec<Hash>, valid: bool },
    Checkpoint { id: String, note: String, vkey: String, valid: bool, why: String },
}

/// The only rule of leaves there is so far; a file that says another one is not understood.
const RULE: &str =
    "leaf(i) is the UTF-8 bytes of prefix+decimal(i); empty when i%97==0; 'z' repeated (i%300)+1 times when i%101==5 (this rule wins)";

fn leaf(prefix: &str, n: u64) -> Vec<u8> {
    match n {
        n if n % 101 == 5 => vec![b'z'; usize::try_from(n % 300 + 1).unwrap()],
        n if n % 97 == 0 => Vec::new(),
        n => format!("{prefix}{n}").into_bytes(),
    }
}

fn files() -> Option<Vec<PathBuf>> {
    let folder = shared::dir("ASSAY_SECURITY_CASES", "security")?;
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("merkle_vectors") && name.ends_with(".jsonl")
    });
    assert!(!files.is_empty(), "no merkle_vectors*.jsonl in the folder");
    Some(files)
}

#[test]
fn security_cases_of_trees_proofs_and_checkpoints_end_as_their_files_say() {
    let Some(files) = files() else { return };
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let vectors = text.lines().map(|line| serde_json::from_str::<Vector>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        let (mut prefix, mut counts) = (String::new(), [0; 4]);
        // Roots come in order of size, so one tree grows from each to the next.
        let mut tree = Tree::default();
        for vector in vectors {
            match vector {
                Vector::LeafRule { prefix: named, text } => {
                    assert_eq!(text, RULE);
                    prefix = named;
                }
                Vector::Root { size, root } => {
                    if size < tree.size() {
                        tree = Tree::default();
                    }
                    for n in tree.size()..size {
                        tree.append(merkle::leaf(&leaf(&prefix, n)), &mut |_, _| {});
                    }
                    assert_eq!(tree.root(), root, "the root of {size} leaves");
                    let leaves: Vec<_> = (0..size).map(|n| merkle::leaf(&leaf(&prefix, n))).collect();
                    assert_eq!(merkle::root(&leaves), root, "the root of {size} leaves");
                    counts[0] += 1;
                }
                Vector::Inclusion { index, size, leaf_hash, proof: hashes, root, valid } => {
                    assert_eq!(merkle::leaf(&leaf(&prefix, index)), leaf_hash, "leaf {index}");
                    assert_eq!(proof::includes(&leaf_hash, index, size, &hashes, &root), valid, "{index} in {size}");
                    counts[1] += 1;
                }
                Vector::Consistency { old_size, old_root, new_size, new_root, proof: hashes, valid } => {
                    assert_eq!(proof::extends(old_size, &old_root, new_size, &new_root, &hashes), valid, "{old_size} to {new_size}");
                    counts[2] += 1;
                }
                Vector::Checkpoint { id, note, vkey, valid, why } => {
                    let key: VerifierKey = vkey.parse().unwrap();
                    assert_eq!(Checkpoint::open(note.as_bytes(), &[&key]).is_ok(), valid, "{id}: {why}");
                    counts[3] += 1;
                }
            }
        }
        let [roots, inclusions, consistencies, checkpoints] = counts;
        println!("{}: {roots} roots, {inclusions} inclusions, {consistencies} consistencies, {checkpoints} checkpoints", file.display());
        assert!(counts.iter().sum::<usize>() > 0, "{} holds no vector", file.display());
    }
}
