//! One file that shows where one entry stands, offline and for ever (C2SP tlog-proof, `.tlog-proof`).

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    checkpoint::{Checkpoint, CheckpointError},
    merkle,
    note::VerifierKey,
    proof,
};
use crate::audit::chain::Hash;

const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// More hashes than a log can be high.
const MAX_HASHES: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    pub index: u64,
    /// From the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed note, as it is.
    pub checkpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordProofError {
    #[error("it does not have the form of a .tlog-proof")]
    Form,
    #[error("its checkpoint is no good: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error("it does not lead from this entry to the root of its checkpoint")]
    Path,
}

impl RecordProof {
    pub fn text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| BASE64.encode(hash.bytes()) + "\n").collect();
        format!("{FIRST}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    pub fn parse(text: &str) -> Result<Self, RecordProofError> {
        Self::read(text).ok_or(RecordProofError::Form)
    }

    fn read(text: &str) -> Option<Self> {
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        if lines.next()? != FIRST {
            return None;
        }
        let mut line = lines.next()?;
        if let Some(extra) = line.strip_prefix("extra ") {
            // Nobody vouches for it, and we write none.
            BASE64.decode(extra).ok()?;
            line = lines.next()?;
        }
        let text = line.strip_prefix("index ")?;
        let index = text.parse::<u64>().ok().filter(|index| index.to_string() == text)?;
        let hash = |line| BASE64.decode(line).ok().and_then(|bytes| bytes.try_into().ok()).map(Hash::from_bytes);
        let hashes: Vec<Hash> = lines.take(MAX_HASHES + 1).map(hash).collect::<Option<_>>()?;
        (hashes.len() <= MAX_HASHES).then(|| Self { index, hashes, checkpoint: checkpoint.into() })
    }

    /// That this entry stands where it says, in a log that each of `keys` signed.
    pub fn verify(&self, entry: &[u8], keys: &[&VerifierKey]) -> Result<Checkpoint, RecordProofError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), keys)?;
        let holds = proof::includes(&merkle::leaf(entry), self.index, checkpoint.size, &self.hashes, &checkpoint.root);
        if holds { Ok(checkpoint) } else { Err(RecordProofError::Path) }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    fn proof_of(text: &str) -> RecordProof {
        RecordProof::parse(text).expect("a proof")
    }

    #[test]
    fn a_proof_reads_as_it_was_written_and_holds_for_its_entry_only() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let key = VerifierKey::ed25519("a/log", pair.public_key().as_ref().try_into().expect("32 bytes")).expect("a key");
        let (one, two) = (merkle::leaf(b"one"), merkle::leaf(b"two"));
        let text = Checkpoint { origin: "a/log".into(), size: 2, root: merkle::node(&one, &two) }.text();
        let checkpoint = format!("{text}\n{}", key.line(pair.sign(text.as_bytes()).as_ref()));
        let proof = RecordProof { index: 1, hashes: vec![one], checkpoint };
        let written = proof.text();
        assert!(written.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"));
        assert_eq!(RecordProof::parse(&written), Ok(proof.clone()));
        assert_eq!(RecordProof::parse(&written.replace("@v1\n", "@v1\nextra YWJj\n")), Ok(proof.clone()));
        assert_eq!(proof.verify(b"two", &[&key]).map(|c| c.size), Ok(2));
        assert_eq!(proof.verify(b"one", &[&key]), Err(RecordProofError::Path));
        assert_eq!(RecordProof { index: 0, ..proof.clone() }.verify(b"two", &[&key]), Err(RecordProofError::Path));
        let forged = RecordProof { checkpoint: proof.checkpoint.replace("\n2\n", "\n3\n"), ..proof };
        assert!(matches!(forged.verify(b"two", &[&key]), Err(RecordProofError::Checkpoint(_))));
        let long = |count| RecordProof { hashes: vec![one; count], ..proof_of(&written) };
        assert_eq!(RecordProof::parse(&long(MAX_HASHES).text()), Ok(long(MAX_HASHES)));
        assert_eq!(RecordProof::parse(&long(MAX_HASHES + 1).text()), Err(RecordProofError::Form));
        for bad in [
            written.replace("@v1", "@v2"),
            written.replace("index 1", "index 01"),
            written.replace("index 1", "extra !\nindex 1"),
            written.replace("\n\n", "\nAAAA\n\n"),
            written.replace("\n\n", "\n"),
        ] {
            assert_eq!(RecordProof::parse(&bad), Err(RecordProofError::Form), "{bad}");
        }
    }
}
