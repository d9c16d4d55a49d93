//! An export as one file for a browser: the same folder, packed. Built in memory, so only up to a size.

use std::io::{self, Cursor, Write as _};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    Extent,
    export::{self, ExportError},
};
use crate::tenancy::{Place, Store};

/// A copy that is packed.
pub struct Zipped {
    pub bytes: Vec<u8>,
    /// Whether the proofs of single entries are in it.
    pub proofs: bool,
}

/// The export's files below `folder`, without the proofs of single entries where they would be more than `most` bytes with
/// them: each can be made from the tiles, and an entry's page gives its own. What is still more is
/// [`io::ErrorKind::FileTooLarge`].
pub async fn zipped<P: Place>(store: &Store<'_, P>, disclose: bool, folder: &str, most: usize) -> Result<Zipped, ExportError> {
    match packed(store, Extent { disclose, proofs: true }, folder, most).await {
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            let bytes = packed(store, Extent { disclose, proofs: false }, folder, most).await?;
            Ok(Zipped { bytes, proofs: false })
        }
        other => Ok(Zipped { bytes: other?, proofs: true }),
    }
}

/// More than `most` bytes of them is [`io::ErrorKind::FileTooLarge`].
async fn packed<P: Place>(store: &Store<'_, P>, extent: Extent, folder: &str, most: usize) -> Result<Vec<u8>, ExportError> {
    let (mut zip, mut total) = (ZipWriter::new(Cursor::new(Vec::new())), 0);
    // Most of it is hashes, which nothing makes smaller.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    export::write(store, extent, &mut |path, bytes| {
        total += bytes.len();
        if total > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        zip.start_file(format!("{folder}/{path}"), options).map_err(io::Error::from)?;
        zip.write_all(bytes)
    })
    .await?;
    Ok(zip.finish().map_err(io::Error::from)?.into_inner())
}
