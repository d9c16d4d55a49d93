//! A tree that grows: its right edge, and the tiles that get full on the way.
//!
//! What a log must remember to go on is, of each level of tiles, the hashes of the tile that is not full yet: fewer than
//! 256 of 32 bytes for each factor of 256 in the log's length. The root and every tile that a checkpoint of this length
//! needs follow from it, and no earlier leaf is read again.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::{
    merkle,
    tile::{Tile, WIDTH},
};
use crate::audit::chain::Hash;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Tree {
    size: u64,
    /// By level, from the leaves up; each shorter than [`WIDTH`].
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash; `full` gets each tile that it fills, lowest level first.
    pub fn append(&mut self, leaf: Hash, full: &mut impl FnMut(Tile, &[Hash])) {
        let mut hash = leaf;
        for level in 0_u8.. {
            if self.edge.len() == usize::from(level) {
                self.edge.push(Vec::new());
            }
            let tile = &mut self.edge[usize::from(level)];
            tile.push(hash);
            if tile.len() < WIDTH {
                break;
            }
            // A tile covers WIDTH^(level+1) leaves; the one just filled ends with the leaf that is being added.
            full(Tile::full(level, (self.size + 1) / covered(level) - 1), tile);
            hash = merkle::root(tile);
            tile.clear();
        }
        self.size += 1;
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for level in &self.edge {
            // From the right: the complete subtrees of this level, smallest first.
            let mut end = level.len();
            while end > 0 {
                let width = 1 << end.trailing_zeros();
                let subtree = merkle::root(&level[end - width..end]);
                root = Some(root.map_or(subtree, |right| merkle::node(&subtree, &right)));
                end -= width;
            }
        }
        root.unwrap_or_else(merkle::empty)
    }

    /// The partial tiles that a checkpoint of this size needs, with their hashes.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        let filled = (0_u8..).zip(&self.edge);
        filled.filter_map(|(level, hashes)| Some((Tile::at(Some(level), self.size / covered(level), self.size)?, hashes.as_slice())))
    }

    /// The hashes of the leaves in the bundle that is not full yet.
    pub fn last_leaves(&self) -> &[Hash] {
        self.edge.first().map_or(&[], Vec::as_slice)
    }
}

/// Leaves below a full tile.
fn covered(level: u8) -> u64 {
    (WIDTH as u64).pow(u32::from(level) + 1)
}

/// As it is kept: the edge's hashes of each level one after the other, in base64.
#[derive(Serialize, Deserialize)]
struct Stored {
    size: u64,
    edge: Vec<String>,
}

impl From<Tree> for Stored {
    fn from(tree: Tree) -> Self {
        let edge = tree.edge.iter().map(|level| BASE64.encode(level.iter().flat_map(|hash| *hash.bytes()).collect::<Vec<u8>>()));
        Self { size: tree.size, edge: edge.collect() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the right edge of a tree of this size")]
pub struct NotATree;

impl TryFrom<Stored> for Tree {
    type Error = NotATree;

    fn try_from(stored: Stored) -> Result<Self, NotATree> {
        let mut edge = Vec::with_capacity(stored.edge.len());
        let mut left = stored.size;
        for text in stored.edge {
            let bytes = BASE64.decode(text).map_err(|_| NotATree)?;
            let (hashes, rest) = bytes.as_chunks::<32>();
            if !rest.is_empty() || hashes.len() as u64 != left % WIDTH as u64 {
                return Err(NotATree);
            }
            left /= WIDTH as u64;
            edge.push(hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect());
        }
        if left == 0 { Ok(Self { size: stored.size, edge }) } else { Err(NotATree) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(n: u64) -> Hash {
        merkle::leaf(&n.to_be_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_tree_that_grew_has_the_root_of_its_leaves_and_goes_on_after_being_kept(size in 0..70_000u64, more in 0..600u64) {
            let mut tree = Tree::default();
            let leaves: Vec<_> = (0..size + more).map(leaf).collect();
            let size = leaves.len() - usize::try_from(more).expect("small");
            let mut full = Vec::new();
            for leaf in &leaves[..size] {
                tree.append(*leaf, &mut |tile, hashes| full.push((tile, merkle::root(hashes))));
            }
            prop_assert_eq!(tree.root(), merkle::root(&leaves[..size]));
            prop_assert_eq!(tree.last_leaves(), &leaves[size - size % WIDTH..size]);
            let kept = serde_json::to_string(&tree).expect("writes");
            let mut again: Tree = serde_json::from_str(&kept).expect("reads");
            prop_assert_eq!(&again, &tree);
            for leaf in &leaves[size..] {
                again.append(*leaf, &mut |tile, hashes| full.push((tile, merkle::root(hashes))));
            }
            prop_assert_eq!(again.root(), merkle::root(&leaves));
            // Every tile that got full is named once, and stands for the leaves it should.
            for (tile, root) in full {
                let span = WIDTH.pow(u32::from(tile.level().expect("hashes")) + 1);
                let from = usize::try_from(tile.index()).expect("small") * span;
                prop_assert_eq!(root, merkle::root(&leaves[from..from + span]));
            }
        }
    }

    #[test]
    fn what_is_not_an_edge_of_its_size_is_refused() {
        let mut tree = Tree::default();
        for n in 0..300 {
            tree.append(leaf(n), &mut |_, _| {});
        }
        let kept = serde_json::to_value(&tree).expect("writes");
        for (member, other) in [
            ("size", serde_json::json!(301)),
            ("size", serde_json::json!(44)),
            ("edge", serde_json::json!([kept["edge"][0]])),
            ("edge", serde_json::json!([])),
            ("edge", serde_json::json!(["AAAA", "AAAA"])),
        ] {
            let mut changed = kept.clone();
            changed[member] = other;
            assert!(serde_json::from_value::<Tree>(changed.clone()).is_err(), "{changed}");
        }
    }
}
