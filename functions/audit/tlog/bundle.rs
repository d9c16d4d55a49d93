//! Entry bundles: up to 256 entries, each behind its length in 16 bits, big-endian (C2SP tlog-tiles, "Log entries").

/// Bytes an entry may have: what its length can say.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {0} bytes; {MAX_ENTRY_BYTES} are the most")]
pub struct TooLong(pub usize);

/// Adds an entry to a bundle.
pub fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| TooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, in order; `None` in place of what is cut off.
pub fn entries(bundle: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(bundle);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let Some((length, bytes)) = bytes.split_first_chunk() else { return Some(None) };
        let Some((entry, bytes)) = bytes.split_at_checked(u16::from_be_bytes(*length).into()) else { return Some(None) };
        rest = Some(bytes);
        Some(Some(entry))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_went_in_and_a_cut_is_seen(list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..9), cut in 0..9usize) {
            let mut bundle = Vec::new();
            for entry in &list {
                push(&mut bundle, entry).expect("short");
            }
            prop_assert_eq!(entries(&bundle).collect::<Option<Vec<_>>>(), Some(list.iter().map(Vec::as_slice).collect()));
            bundle.truncate(bundle.len().saturating_sub(cut));
            if let Some(fewer) = entries(&bundle).collect::<Option<Vec<_>>>() {
                prop_assert!(fewer.iter().zip(&list).all(|(a, b)| a == b) && (cut == 0 || bundle.is_empty() || fewer.len() < list.len()));
            }
        }
    }

    #[test]
    fn an_entry_that_its_length_cannot_say_is_refused() {
        let mut bundle = Vec::new();
        assert_eq!(push(&mut bundle, &[0; 65_536]), Err(TooLong(65_536)));
        assert!(bundle.is_empty());
        assert_eq!(push(&mut bundle, &[0; 65_535]), Ok(()));
    }
}
