//! The hash chain over leaves: every entry's hash covers the one before, back to a start that names the owner.
//!
//! A changed, dropped, repeated or moved entry breaks every hash after it. The chain knows leaves only as bytes, so that
//! the same leaves can stand in another log (RFC 6962 tiles) without being written again. It is not a signature: who
//! holds the whole log can write another one, which only a head kept elsewhere shows.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::tenancy::seal::hex;

const START: &[u8] = b"assay audit log 1\n";
const ENTRY: &[u8] = b"assay audit entry 1\n";

/// A SHA-256 value; 64 lower-case hex digits as text, and no other spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash([u8; 32]);

/// What the first entry of an owner's log continues; the owner is a client's id or `deployment`.
pub fn start(owner: &str) -> Hash {
    Hash::over(&[START, owner.as_bytes()])
}

/// The hash of an entry: SHA-256 over a domain tag, the hash before, and the exact leaf bytes.
pub fn link(previous: &Hash, leaf: &str) -> Hash {
    Hash::over(&[ENTRY, &previous.0, leaf.as_bytes()])
}

impl Hash {
    /// SHA-256 over the parts, one after the other.
    pub fn over(parts: &[&[u8]]) -> Self {
        // In one call where they are short: a context that is fed each of them costs half as much again.
        let mut buffer = [0; 1024];
        let length = parts.iter().map(|part| part.len()).sum();
        if let Some(whole) = buffer.get_mut(..length) {
            let mut rest = &mut *whole;
            for part in parts {
                let (here, after) = rest.split_at_mut(part.len());
                here.copy_from_slice(part);
                rest = after;
            }
            return Self::of(digest(&SHA256, whole));
        }
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        Self::of(context.finish())
    }

    /// From a finished SHA-256.
    pub fn of(digest: Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Enough digits for a person to compare by eye.
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hex digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(NotAHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, NotAHash> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(NotAHash),
    }
}

impl TryFrom<String> for Hash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hex(&hash.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
