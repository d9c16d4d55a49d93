//! Proofs: that an entry stands in a tree, and that a tree is the beginning of a longer one (RFC 6962 2.1.1, 2.1.2).
//!
//! Made in two steps, because tiles lie in a store: first which tiles a proof needs, then the proof from their hashes.
//! Checked by the loops of RFC 9162 2.1.3.2 and 2.1.4.2, which share nothing with the making.

use std::{collections::BTreeSet, ops::Range};

use super::{
    merkle,
    tile::{Tile, WIDTH},
};
use crate::audit::chain::Hash;

/// The hashes a proof consists of, each as the range of leaves that it stands for, in the order of the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    ranges: Vec<Range<u64>>,
    size: u64,
}

impl Plan {
    /// That the entry at `index` stands in the tree of `size` entries; `None` when there is no such entry.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        let mut ranges = Vec::new();
        let mut tree = 0..size;
        if !tree.contains(&index) {
            return None;
        }
        while tree.end - tree.start > 1 {
            let middle = tree.start + merkle::split(tree.end - tree.start);
            let (left, right) = (tree.start..middle, middle..tree.end);
            let other;
            (tree, other) = if index < middle { (left, right) } else { (right, left) };
            ranges.push(other);
        }
        ranges.reverse();
        Some(Self { ranges, size })
    }

    /// That the tree of `old` entries is the beginning of that of `new`; `None` when it is not shorter or as long.
    pub fn consistency(old: u64, new: u64) -> Option<Self> {
        if old > new {
            return None;
        }
        let mut ranges = Vec::new();
        let mut tree = 0..new;
        if old > 0 {
            while old != tree.end {
                let middle = tree.start + merkle::split(tree.end - tree.start);
                let (left, right) = (tree.start..middle, middle..tree.end);
                let other;
                (tree, other) = if old <= middle { (left, right) } else { (right, left) };
                ranges.push(other);
            }
            // The old tree itself is known to whoever asks; a part of it is not.
            if tree.start > 0 {
                ranges.push(tree);
            }
            ranges.reverse();
        }
        Some(Self { ranges, size: new })
    }

    /// The root of the first `part` entries, as a plan of one hash (none for no entries).
    pub fn root(part: u64, size: u64) -> Option<Self> {
        let whole = 0..part;
        (part <= size).then(|| Self { ranges: if part == 0 { Vec::new() } else { vec![whole] }, size })
    }

    /// The tiles that hold what the proof consists of.
    pub fn tiles(&self) -> BTreeSet<Tile> {
        self.ranges.iter().flat_map(|range| subtrees(range.clone())).filter_map(|subtree| subtree.place(self.size)).map(|p| p.0).collect()
    }

    /// The hashes, from those of the tiles; `None` when a tile is not there or is shorter than it must be.
    pub fn hashes<'t>(&self, hashes_of: impl Fn(&Tile) -> Option<&'t [Hash]>) -> Option<Vec<Hash>> {
        let of_range = |range: &Range<u64>| {
            let mut hash: Option<Hash> = None;
            for subtree in subtrees(range.clone()).into_iter().rev() {
                let (tile, place) = subtree.place(self.size)?;
                let left = merkle::root(hashes_of(&tile)?.get(place)?);
                hash = Some(hash.map_or(left, |right| merkle::node(&left, &right)));
            }
            hash
        };
        self.ranges.iter().map(of_range).collect()
    }
}

/// A complete subtree: the leaves `index << height ..`, as many as a power of two.
#[derive(Clone, Copy)]
struct Subtree {
    height: u32,
    index: u64,
}

impl Subtree {
    /// The lowest tile in which it stands, and the hashes there that it is made of.
    fn place(self, size: u64) -> Option<(Tile, Range<usize>)> {
        let (level, above) = (self.height / 8, self.height % 8);
        let first = self.index << above;
        let tile = Tile::at(Some(u8::try_from(level).ok()?), first / WIDTH as u64, size)?;
        let from = usize::try_from(first % WIDTH as u64).ok()?;
        Some((tile, from..from + (1 << above)))
    }
}

/// The complete subtrees of a range that a proof speaks of, from the left, each smaller than the one before.
fn subtrees(range: Range<u64>) -> Vec<Subtree> {
    let mut subtrees = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let height = (range.end - start).ilog2();
        subtrees.push(Subtree { height, index: start >> height });
        start += 1 << height;
    }
    subtrees
}

/// Whether the proof shows that the entry with this leaf hash stands at `index` in the tree of `size` entries.
pub fn includes(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for other in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = merkle::node(other, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = merkle::node(&hash, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the proof shows that the tree of `old` entries is the beginning of that of `new`.
pub fn extends(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new || old == 0 {
        return proof.is_empty() && *old_root == if old == 0 { merkle::empty() } else { *new_root } && (new > 0 || old_root == new_root);
    }
    let whole = old.is_power_of_two().then_some(old_root);
    let mut hashes = whole.into_iter().chain(proof);
    let Some(first) = hashes.next().filter(|_| !proof.is_empty()) else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for other in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = merkle::node(other, &old_hash);
            new_hash = merkle::node(other, &new_hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = merkle::node(&new_hash, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::audit::tlog::Tree;

    /// A log's leaves, and every tile that a checkpoint of that length stands on.
    fn log(size: u64) -> (Vec<Hash>, HashMap<Tile, Vec<Hash>>) {
        let leaves: Vec<_> = (0..size).map(|n| merkle::leaf(&n.to_be_bytes())).collect();
        let (mut tree, mut tiles) = (Tree::default(), HashMap::new());
        for leaf in &leaves {
            tree.append(*leaf, &mut |tile, hashes| {
                tiles.insert(tile, hashes.to_vec());
            });
        }
        tiles.extend(tree.partial().map(|(tile, hashes)| (tile, hashes.to_vec())));
        assert_eq!(tiles.keys().copied().collect::<BTreeSet<_>>(), Tile::all(size).filter(|tile| tile.level().is_some()).collect());
        (leaves, tiles)
    }

    fn made(plan: Option<Plan>, tiles: &HashMap<Tile, Vec<Hash>>) -> Vec<Hash> {
        let plan = plan.expect("there is one");
        let named = plan.tiles();
        assert!(named.iter().all(|tile| tiles.contains_key(tile)));
        plan.hashes(|tile| tiles.get(tile).filter(|_| named.contains(tile)).map(Vec::as_slice)).expect("it needs no other tile")
    }

    fn other(hash: &Hash) -> Hash {
        let mut bytes = *hash.bytes();
        bytes[31] ^= 1;
        Hash::from_bytes(bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn proofs_made_from_tiles_hold_and_hold_for_nothing_else(size in prop_oneof![1..600u64, 65_400..66_000u64], at: prop::sample::Index, old: prop::sample::Index) {
            let (leaves, tiles) = log(size);
            let root = merkle::root(&leaves);
            let (index, part) = (at.index(leaves.len()), old.index(leaves.len()) + 1);
            let old = part as u64;
            prop_assert_eq!(made(Plan::root(size, size), &tiles), vec![root]);

            let proof = made(Plan::inclusion(index as u64, size), &tiles);
            let holds = |leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash| includes(leaf, index, size, proof, root);
            prop_assert!(holds(&leaves[index], index as u64, size, &proof, &root));
            prop_assert!(!holds(&other(&leaves[index]), index as u64, size, &proof, &root));
            prop_assert!(!holds(&leaves[index], index as u64, size, &proof, &other(&root)));
            prop_assert!(!holds(&leaves[index], size, size, &proof, &root));
            prop_assert!(!holds(&leaves[index], index as u64, size, &[proof.as_slice(), &[root]].concat(), &root));
            for n in 0..proof.len() {
                let mut bent = proof.clone();
                bent[n] = other(&bent[n]);
                prop_assert!(!holds(&leaves[index], index as u64, size, &bent, &root));
                bent.remove(n);
                prop_assert!(!holds(&leaves[index], index as u64, size, &bent, &root));
            }

            let before = merkle::root(&leaves[..part]);
            prop_assert_eq!(made(Plan::root(old, size), &tiles), vec![before]);
            let proof = made(Plan::consistency(old, size), &tiles);
            prop_assert!(extends(old, &before, size, &root, &proof));
            prop_assert!(!extends(old, &other(&before), size, &root, &proof));
            prop_assert!(!extends(old, &before, size, &other(&root), &proof));
            prop_assert!(!extends(old, &before, size, &root, &[proof.as_slice(), &[root]].concat()));
            for n in 0..proof.len() {
                let mut bent = proof.clone();
                bent[n] = other(&bent[n]);
                prop_assert!(!extends(old, &before, size, &root, &bent));
                bent.remove(n);
                prop_assert!(!extends(old, &before, size, &root, &bent));
            }
        }

        #[test]
        fn no_numbers_make_a_check_do_anything_but_answer(index: u64, size: u64, old: u64, length in 0..70usize) {
            let hashes = vec![merkle::empty(); length];
            let _ = includes(&hashes.first().copied().unwrap_or_else(merkle::empty), index, size, &hashes, &merkle::empty());
            let _ = extends(old, &merkle::empty(), size, &merkle::empty(), &hashes);
            let _ = Plan::inclusion(index, size).map(|plan| plan.tiles());
            let _ = Plan::consistency(old, size).map(|plan| plan.tiles());
        }
    }

    #[test]
    fn an_empty_log_is_the_beginning_of_every_log_and_none_of_nothing() {
        let root = merkle::leaf(b"");
        assert!(extends(0, &merkle::empty(), 1, &root, &[]) && extends(0, &merkle::empty(), 0, &merkle::empty(), &[]));
        assert!(!extends(0, &merkle::empty(), 0, &root, &[]));
        assert!(!extends(0, &root, 1, &root, &[]) && !extends(1, &root, 0, &merkle::empty(), &[]));
        assert!(!extends(1, &root, 2, &merkle::node(&root, &root), &[]));
        let nothing = |old, new| Plan::consistency(old, new).is_some_and(|plan| plan.tiles().is_empty());
        assert!(nothing(0, 0) && nothing(0, 7) && nothing(7, 7));
        assert!(Plan::inclusion(0, 0).is_none() && Plan::consistency(2, 1).is_none() && Plan::root(2, 1).is_none());
        assert!(!includes(&root, 0, 0, &[], &root));
    }
}
