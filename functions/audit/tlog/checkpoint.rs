//! A checkpoint: whose log, how long, and its root, as the text of a signed note (C2SP tlog-checkpoint).
//!
//! Two checkpoints are the same when their texts are: a signature by ECDSA is another one each time.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::note::{Note, NoteError, VerifierKey};
use crate::audit::chain::Hash;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name that no other log has.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("its text is not a checkpoint: {0}")]
    Form(&'static str),
    #[error("it is of another log: {0}")]
    Origin(String),
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.bytes()))
    }

    /// Reads a note that each of `keys` signed, for the log of their name.
    pub fn open(note: &[u8], keys: &[&VerifierKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        for key in keys {
            note.verify(key)?;
        }
        let checkpoint = Self::parse(note.text())?;
        match keys.iter().find(|key| key.name() != checkpoint.origin) {
            Some(_) => Err(CheckpointError::Origin(checkpoint.origin)),
            None => Ok(checkpoint),
        }
    }

    /// What a note says whose signatures nobody looked at: for whom the name matters, and nothing else.
    pub fn parse_note(note: &[u8]) -> Option<Self> {
        Self::parse(Note::parse(note).ok()?.text()).ok()
    }

    /// Reads the text alone, which proves nothing. Lines after the third are let pass, as the specification wants.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Form("it is cut off"))?;
        let mut lines = text.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Form("it has fewer than three lines"));
        let (origin, size, root) = (next()?.to_owned(), next()?, next()?);
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Form("an empty line is in it"));
        }
        let number =
            size.parse::<u64>().ok().filter(|number| number.to_string() == size).ok_or(CheckpointError::Form("its size is no number"))?;
        let root =
            BASE64.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(CheckpointError::Form("its root is not 32 bytes"))?;
        Ok(Self { origin, size: number, root: Hash::from_bytes(root) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_checkpoint_reads_as_it_was_written(origin in "[a-z0-9./-]{1,40}", size: u64, root: [u8; 32]) {
            let checkpoint = Checkpoint { origin, size, root: Hash::from_bytes(root) };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint.clone()));
            let signed = format!("{}\n\u{2014} somebody AAAAAAAA\n", checkpoint.text());
            prop_assert_eq!(Checkpoint::parse_note(signed.as_bytes()), Some(checkpoint.clone()));
            let extended = format!("{}more\n", checkpoint.text());
            prop_assert_eq!(Checkpoint::parse(&extended), Ok(checkpoint));
        }

        #[test]
        fn whatever_stands_there_is_a_checkpoint_or_not(text in "[a-z0-9=\n]{0,80}") {
            let _ = Checkpoint::parse(&text);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = Checkpoint { origin: "a".into(), size: 7, root: Hash::from_bytes([1; 32]) }.text();
        for bad in [
            good.replace("\n7\n", "\n07\n"),
            good.replace("\n7\n", "\n+7\n"),
            good.replace("\n7\n", "\n-7\n"),
            good.replace("\n7\n", "\n18446744073709551616\n"),
            good.replace("=\n", "\n"),
            good.replace("=\n", "==\n"),
            good.replace("a\n7", "\n7"),
            format!("{good}\n"),
            format!("{good}\nmore\n"),
            good.trim_end().to_owned(),
            "a\n7\n".into(),
        ] {
            assert!(matches!(Checkpoint::parse(&bad), Err(CheckpointError::Form(_))), "{bad:?}");
        }
    }
}
