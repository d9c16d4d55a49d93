//! Hashes of the tree (RFC 6962 2.1): a leaf begins with 0x00, a node with 0x01, so that neither can stand for the other.

use aws_lc_rs::digest::{SHA256, digest};

use crate::audit::chain::Hash;

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// The hash of an entry's exact bytes.
pub fn leaf(entry: &[u8]) -> Hash {
    Hash::over(&[&[LEAF], entry])
}

/// The hash of two subtrees side by side.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    // One buffer: a context that is fed three times costs half as much again.
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(left.bytes());
    bytes[33..].copy_from_slice(right.bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    Hash::from_bytes(hash)
}

/// The root of a tree without leaves.
pub fn empty() -> Hash {
    Hash::over(&[])
}

/// The root over `hashes` as leaves (which they may be, or subtrees of one height): `MTH` of RFC 6962 2.1.
pub fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len() as u64) as usize);
            node(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `size`, which is two or more: where a tree of that many leaves divides.
pub fn split(size: u64) -> u64 {
    debug_assert!(size > 1);
    1 << (size - 1).ilog2()
}
