//! The package as the one file that Azure takes.
//!
//! The same program gives the same bytes, wherever and whenever: order, times and modes are fixed. Without the execute bit in
//! the central directory, and "made on Unix" beside it, the handler does not start (the host mends the bit on some plans only).

use std::io::{self, Cursor, Write as _};

use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::{Bill, EXECUTABLE, texts};

pub(super) const EXECUTABLE_MODE: u32 = 0o755;
pub(super) const FILE_MODE: u32 = 0o644;

/// The package of this program, which is made of that.
pub fn zipped(program: &[u8], bill: &Bill) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len() / 2)));
    let options = |mode| {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        // The earliest that a zip can say: a build has no time of its own.
        options.compression_level(Some(9)).last_modified_time(DateTime::DEFAULT).unix_permissions(mode)
    };
    let legal = bill.files.iter().map(|(name, text)| ((*name).to_owned(), text.as_str()));
    for (name, text) in texts().map(|(name, text): (String, &str)| (name, text)).chain(legal) {
        zip.start_file(name, options(FILE_MODE)).map_err(io::Error::from)?;
        zip.write_all(text.as_bytes())?;
    }
    zip.start_file(EXECUTABLE, options(EXECUTABLE_MODE)).map_err(io::Error::from)?;
    zip.write_all(program)?;
    Ok(zip.finish().map_err(io::Error::from)?.into_inner())
}
