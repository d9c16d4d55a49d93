//! Verification of a copy that an earlier release made, a single file, offline: no store, no key, no network, and no trust in who wrote the file.
//!
//! Reads the file as a stream and stops at the first thing that is wrong, by the entry's number and in words. What it
//! proves: no entry was changed, moved, dropped or repeated since the head was made, and disclosed content is what the
//! entry committed to. It cannot show that the whole log was written anew: compare the head with one kept elsewhere.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    chain::{self, Hash},
    demo,
    format::{DEMO_NOTICE, End, FORMAT, Header, Line, MAX_LINE_BYTES, VERSION},
    leaf::{self, Leaf, LeafError},
};

/// What a good file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub header: Header,
    /// The earliest and the latest time of an entry; entries of different processes need not come in order of time.
    pub times: Option<(OffsetDateTime, OffsetDateTime)>,
    /// How many entries of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// Entries whose content is in the file and is what the leaf committed to.
    pub disclosed: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    #[error("this is not an Assay audit export: its first line is not the header of one")]
    NotAnExport,
    #[error("this export has version {0}, which this release does not know: verify it with the release that wrote it or a newer one")]
    Version(u32),
    #[error("entry {seq} (line {line}) is broken: {fault}")]
    Entry { seq: u64, line: u64, fault: Fault },
    #[error("the file is cut off: the header promises {promised} entries, {found} are there")]
    CutOff { promised: u64, found: u64 },
    #[error("every entry holds, but the header names another head: it says {says}, the entries lead to {found}")]
    Head { says: Hash, found: Hash },
    #[error("the entries hold, but the file does not end as it should: {0}")]
    End(&'static str),
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the line does not have the form of an entry")]
    Form,
    #[error("entry {0} stands in its place: entries were dropped, repeated or moved")]
    Order(u64),
    #[error("it does not continue what stands before it (for the first entry: the owner that the header names)")]
    Previous,
    #[error("its leaf and its hash do not belong together: one of them was changed")]
    Hash,
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error("the same item stands in the log twice")]
    Twice,
    #[error("its disclosed content is not what it committed to")]
    Disclosed,
}

/// Verifies the export in a file.
pub fn verify_file(path: &Path) -> Result<Report, VerifyError> {
    verify(BufReader::with_capacity(256 * 1024, File::open(path)?))
}

/// Verifies an export from its first to its last byte.
pub fn verify(reader: impl BufRead) -> Result<Report, VerifyError> {
    let mut lines = Lines { reader, line: Vec::new(), number: 0, cut: false, digest: Context::new(&SHA256) };
    let header = header(lines.next()?)?;
    let mut report = Report { header, times: None, kinds: BTreeMap::new(), disclosed: 0 };
    let mut items = HashSet::new();
    let mut hash = chain::start(&report.header.owner);
    for seq in 0..report.header.entries {
        let Some(bytes) = lines.next()? else {
            return Err(VerifyError::CutOff { promised: report.header.entries, found: seq });
        };
        if parse::<End>(bytes).is_some() {
            return Err(VerifyError::CutOff { promised: report.header.entries, found: seq });
        }
        let entry = entry(bytes, seq, &hash).and_then(|entry| if items.insert(entry.leaf.id) { Ok(entry) } else { Err(Fault::Twice) });
        match entry {
            Ok(entry) => {
                hash = entry.hash;
                report.count(entry);
            }
            Err(fault) => return Err(VerifyError::Entry { seq, line: lines.number, fault }),
        }
    }
    if hash != report.header.head {
        return Err(VerifyError::Head { says: report.header.head, found: hash });
    }
    end(&mut lines)?;
    Ok(report)
}

fn header(line: Option<&[u8]>) -> Result<Header, VerifyError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        format: String,
        version: u32,
    }
    let line = line.ok_or(VerifyError::NotAnExport)?;
    match parse::<Versioned>(line) {
        Some(Versioned { format, version }) if format == FORMAT && version != VERSION => return Err(VerifyError::Version(version)),
        Some(Versioned { format, .. }) if format == FORMAT => {}
        _ => return Err(VerifyError::NotAnExport),
    }
    let header: Header = parse(line).ok_or(VerifyError::NotAnExport)?;
    let notice = header.demo.then_some(DEMO_NOTICE);
    if header.notice.as_deref() == notice { Ok(header) } else { Err(VerifyError::NotAnExport) }
}

struct Checked {
    leaf: Leaf,
    hash: Hash,
    disclosed: bool,
}

fn entry(bytes: &[u8], seq: u64, previous: &Hash) -> Result<Checked, Fault> {
    let line: Line = parse(bytes).ok_or(Fault::Form)?;
    if line.seq != seq {
        return Err(Fault::Order(line.seq));
    }
    if line.previous != *previous {
        return Err(Fault::Previous);
    }
    if line.hash != chain::link(previous, &line.leaf) {
        return Err(Fault::Hash);
    }
    let leaf = leaf::read(&line.leaf)?;
    if line.disclosed.as_ref().is_some_and(|d| leaf::commitment(&d.salt, &d.content) != leaf.commitment) {
        return Err(Fault::Disclosed);
    }
    Ok(Checked { leaf, hash: line.hash, disclosed: line.disclosed.is_some() })
}

/// The last line, and nothing behind it.
fn end(lines: &mut Lines<impl BufRead>) -> Result<(), VerifyError> {
    let before = Hash::of(lines.digest.clone().finish());
    let end: End = match lines.next()? {
        None => return Err(VerifyError::End("its last line is missing")),
        Some(bytes) => match parse(bytes) {
            Some(end) => end,
            None if parse::<Line>(bytes).is_some() => {
                return Err(VerifyError::End("more entries follow than the header promises"));
            }
            None => return Err(VerifyError::End("its last line does not have the form it should have")),
        },
    };
    // Spelled exactly as it is written, so that no byte of this line can change either.
    let spelled_alike = serde_json::to_vec(&end).is_ok_and(|again| again == lines.line);
    if end.end != FORMAT || !spelled_alike {
        return Err(VerifyError::End("its last line does not have the form it should have"));
    }
    if end.sha256 != before {
        return Err(VerifyError::End("its checksum is another one: something outside the chain was changed, such as the header's date"));
    }
    let at_end = lines.next()?.is_none();
    if at_end && !lines.cut { Ok(()) } else { Err(VerifyError::End("something follows its last line")) }
}

impl Report {
    /// A demo's log: its header says so, or an entry does, which no header can take back.
    pub fn is_demo(&self) -> bool {
        self.header.demo || self.kinds.contains_key(demo::MARKED)
    }

    fn count(&mut self, entry: Checked) {
        let at = entry.leaf.at;
        self.times = Some(self.times.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        *self.kinds.entry(entry.leaf.kind).or_default() += 1;
        self.disclosed += u64::from(entry.disclosed);
    }
}

impl fmt::Display for Report {
    /// Words for the terminal, several lines, no line feed at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { owner, exported_at, release, entries, head, .. } = &self.header;
        let time = |at: &OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        if self.is_demo() {
            writeln!(f, "{DEMO_NOTICE}")?;
        }
        if self.is_demo() && !self.header.demo {
            writeln!(f, "An entry of the log says so. The file's header does not: Assay did not write it like that.")?;
        }
        writeln!(f, "The log of {owner} holds: {entries} entries, none changed, moved, dropped or repeated.")?;
        if let Some((first, last)) = &self.times {
            writeln!(f, "From {} to {}.", time(first), time(last))?;
        }
        writeln!(f, "Content is disclosed for {} of them, and each is what its entry committed to.", self.disclosed)?;
        for (kind, count) in &self.kinds {
            writeln!(f, "  {count:>7}  {kind}")?;
        }
        writeln!(f, "Exported {} by release {release}.", time(exported_at))?;
        write!(f, "Head {head}: compare it with a head you got another way; a log written anew from its start has another one.")
    }
}

/// Lines ended by a line feed, bounded, with a digest over all that was read before the present one.
struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    /// The file ends in the middle of a line.
    cut: bool,
    digest: Context,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its line feed; `None` at the end of the file, and for a line that the end cuts off.
    fn next(&mut self) -> Result<Option<&[u8]>, io::Error> {
        self.line.clear();
        self.number += 1;
        let length = self.reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.line)?;
        self.digest.update(&self.line);
        if self.line.pop() == Some(b'\n') {
            return Ok(Some(&self.line));
        }
        // A line that is far too long is not one of ours: an empty one has no form either.
        self.line.clear();
        self.cut = length > 0;
        Ok((length == MAX_LINE_BYTES).then_some(&self.line))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
