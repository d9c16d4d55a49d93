//! Verification of one record by its `.tlog-proof` and the file beside it, offline: as strict as that of a whole log.

use std::fmt;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    leaf::{self, Leaf},
    proven::Opened,
    tlog::{Checkpoint, merkle, proof, record_proof::RecordProof},
    verify_log::{self, Known, LogFault},
};

#[derive(Clone, Debug, PartialEq)]
pub struct RecordReport {
    pub index: u64,
    pub leaf: Leaf,
    pub checkpoint: Checkpoint,
    /// Witnesses that cosigned the checkpoint, and when.
    pub cosigned: Vec<(String, OffsetDateTime)>,
    /// The checkpoint that was kept, which does not contradict this one.
    pub seen: Option<Checkpoint>,
    pub content: String,
}

/// `proof`: a `.tlog-proof`; `opened`: the file that comes with it ([`Opened`]). Both of the log's keys are wanted.
pub fn verify_record(proof: &str, opened: &str, known: Known<'_>) -> Result<RecordReport, LogFault> {
    let proof = RecordProof::parse(proof).map_err(|_| LogFault::Form("the proof".into()))?;
    let opened: Opened = serde_json::from_str(opened).map_err(|_| LogFault::Form("the file of the entry".into()))?;
    let index = proof.index;
    if opened.index != index {
        return Err(LogFault::OtherEntry { proof: index, file: opened.index });
    }
    let note = proof.checkpoint.as_bytes();
    let checkpoint = verify_log::open(note, known.keys)?;
    let cosigned = verify_log::cosigned(note, known.keys)?;
    let seen = verify_log::seen(known)?;
    if let Some((seen, kept)) = seen.as_ref().zip(known.seen) {
        verify_log::of_one_log(&checkpoint, note, seen, kept)?;
    }
    if !proof::includes(&merkle::leaf(opened.leaf.as_bytes()), index, checkpoint.size, &proof.hashes, &checkpoint.root) {
        return Err(LogFault::Proof(index));
    }
    let leaf = leaf::read(&opened.leaf).map_err(|fault| LogFault::Leaf { index, fault })?;
    if leaf::commitment(&opened.salt, &opened.content) != leaf.commitment {
        return Err(LogFault::Disclosed(index));
    }
    Ok(RecordReport { index, leaf, checkpoint, cosigned, seen, content: opened.content })
}

impl fmt::Display for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, leaf, checkpoint, cosigned, seen, content } = self;
        writeln!(f, "Good: entry {index} is included among the {} entries of {}.", checkpoint.size, checkpoint.origin)?;
        writeln!(f, "Both of the log's keys signed that checkpoint, and the content is what the entry committed to.")?;
        for (witness, at) in cosigned {
            writeln!(f, "The witness {witness} cosigned it at {}.", at.format(&Rfc3339).map_err(|_| fmt::Error)?)?;
        }
        match seen {
            Some(seen) if seen.size == checkpoint.size => writeln!(f, "It is the checkpoint that was kept.")?,
            Some(seen) => writeln!(
                f,
                "The checkpoint that was kept has {} entries: whether one of the two extends the other, only a copy of the whole log shows.",
                seen.size
            )?,
            None => {}
        }
        writeln!(f, "{} of {}, at {}, by {}", leaf.kind, leaf.object, leaf.at.format(&Rfc3339).map_err(|_| fmt::Error)?, leaf.actor)?;
        write!(f, "{content}")
    }
}
