//! An export as one file for a browser: the same folder, packed. Built in memory, so only up to a size.

use std::io::{self, Cursor, Write as _};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    Extent,
    export::{self, ExportError},
};
use crate::tenancy::{Place, Store};

/// The export's files below `folder`. More than `most` bytes of them is [`io::ErrorKind::FileTooLarge`].
pub async fn zipped<P: Place>(store: &Store<'_, P>, extent: Extent, folder: &str, most: usize) -> Result<Vec<u8>, ExportError> {
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
