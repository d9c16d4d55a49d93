//! Verification of an exported log, offline: no store, no network, no trust in who made the folder, and no key out of it.
//!
//! From the entries up: every hash in every tile is made again, the root is that of a checkpoint which both of the log's keys
//! signed, and what is disclosed is what an entry committed to. With a checkpoint that was kept it also finds what a single
//! copy cannot show: entries taken off, a history written anew, another story told to somebody else. Memory: the items' ids.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    chain::Hash,
    demo,
    folder::{self, Disclosure, Header},
    format::DEMO_NOTICE,
    leaf::{self, LeafError},
    tiles,
    tlog::{
        Checkpoint, Note, Tile, Tree, VerifierKey, bundle, checkpoint::CheckpointError, merkle, note::NoteError, proof,
        record_proof::RecordProof, tile::WIDTH,
    },
};

/// What a good log says.
#[derive(Clone, Debug, PartialEq)]
pub struct LogReport {
    pub header: Header,
    pub checkpoint: Checkpoint,
    /// The earliest and the latest time of an entry.
    pub times: Option<(OffsetDateTime, OffsetDateTime)>,
    pub kinds: BTreeMap<String, u64>,
    pub disclosed: u64,
    pub erased: u64,
    /// Which entries are erased: the first and the last of each row of them.
    pub erased_rows: Vec<(u64, u64)>,
    pub proofs: u64,
    /// Copies of checkpoints that the folder carries, each of which this log extends.
    pub anchors: u64,
    /// Copies that none of the keys given for the vault's signed: of before a rotation, if they are honest.
    pub anchors_of_other_keys: u64,
    /// Witnesses that cosigned the checkpoint, and when.
    pub cosigned: Vec<(String, OffsetDateTime)>,
    /// The checkpoint that was kept, which this log extends.
    pub seen: Option<Checkpoint>,
    /// Files that no export has.
    pub others: Vec<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("this is not the folder of an audit log: {0}")]
    NotALog(&'static str),
    #[error("give both keys of the log, by --key: the one of type Ed25519 and the one of type ECDSA; {0} is missing")]
    KeyMissing(&'static str),
    #[error("the checkpoint does not count: {0}")]
    Checkpoint(CheckpointError),
    #[error("the checkpoint does not count: {0}. The witness that you name did not cosign it, or somebody changed it")]
    Unwitnessed(NoteError),
    #[error("{0} says something else than the checkpoint: {1}")]
    Header(&'static str, &'static str),
    #[error("{0} is missing: the checkpoint has {1} entries")]
    Missing(String, u64),
    #[error("{0} does not have the form it should have")]
    Form(String),
    #[error("entry {index} does not match its level 0 tile: {bundle} or {tile} was changed")]
    Entry { index: u64, bundle: Tile, tile: Tile },
    #[error("hash {position} of {tile} is not the one that the tile below it makes: one of the two was changed")]
    Tile { tile: Tile, position: usize },
    #[error("the entries lead to the root {found}, and the checkpoint says {says}: entries and tiles were changed together")]
    Root { found: Hash, says: Hash },
    #[error("entry {index} is no entry of ours: {fault}")]
    Leaf { index: u64, fault: LeafError },
    #[error("entry {0} repeats an item that stands in the log before")]
    Twice(u64),
    #[error("entry {0} is disclosed as something else than it committed to")]
    Disclosed(u64),
    #[error("the proof of entry {0} does not lead from the entry to the checkpoint")]
    Proof(u64),
    #[error("the proof is of entry {proof}, and the file beside it of entry {file}")]
    OtherEntry { proof: u64, file: u64 },
    #[error("the checkpoint that was kept does not count: {0}")]
    Seen(CheckpointError),
    #[error("ROLLBACK: the checkpoint that was kept has {seen} entries, this log has {size}: entries were taken off its end")]
    Rollback { seen: u64, size: u64 },
    #[error(
        "SPLIT VIEW: two checkpoints of {size} entries have other roots, so two histories were told. Both are signed; keep both as evidence.\n\nThis one's:\n{ours}\nThe one that was kept:\n{seen}"
    )]
    SplitView { size: u64, ours: String, seen: String },
    #[error("{0} is not a copy of a checkpoint that both keys signed: {1}")]
    Anchor(String, CheckpointError),
    #[error("NOT ITS ANCHOR: {0} was copied away and has {1} entries; this log is shorter, or its first {1} entries have another root")]
    Apart(String, u64),
    #[error("REWRITTEN HISTORY: the first {seen} entries of this log have the root {found}, the checkpoint that was kept says {says}")]
    Rewritten { seen: u64, found: Hash, says: Hash },
}

/// The keys, from outside, and a checkpoint that was kept. Each witness whose key is among them must have cosigned.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    pub keys: &'k [VerifierKey],
    pub seen: Option<&'k [u8]>,
}

/// Verifies the export in a folder.
pub fn verify_folder(folder: &Path, known: Known<'_>) -> Result<LogReport, LogFault> {
    let files = Files { folder, size: 0 };
    let note = files.read(folder::CHECKPOINT)?.ok_or(LogFault::NotALog("there is no checkpoint in it"))?;
    let checkpoint = open(&note, known.keys)?;
    let cosigned = cosigned(&note, known.keys)?;
    let files = Files { size: checkpoint.size, ..files };
    let seen = seen(known)?;
    if let Some((seen, kept)) = seen.as_ref().zip(known.seen) {
        of_one_log(&checkpoint, &note, seen, kept)?;
        if seen.size > checkpoint.size {
            return Err(LogFault::Rollback { seen: seen.size, size: checkpoint.size });
        }
    }
    let header = header(&files, &checkpoint)?;
    let (anchors, anchors_of_other_keys) = anchors(folder, known.keys)?;
    let mut check = Check {
        files,
        note,
        report: LogReport {
            header,
            checkpoint,
            times: None,
            kinds: BTreeMap::new(),
            disclosed: 0,
            erased: 0,
            erased_rows: Vec::new(),
            proofs: 0,
            anchors: 0,
            anchors_of_other_keys,
            cosigned,
            seen,
            others: Vec::new(),
        },
        tree: Tree::default(),
        items: HashSet::new(),
        anchors,
    };
    check.run()?;
    check.report.others = others(folder, &check.report);
    Ok(check.report)
}

/// When each of the witnesses cosigned.
pub(super) fn cosigned(note: &[u8], keys: &[VerifierKey]) -> Result<Vec<(String, OffsetDateTime)>, LogFault> {
    let note = Note::parse(note).map_err(|error| LogFault::Checkpoint(error.into()))?;
    let of = |key: &VerifierKey| {
        let at = note.cosigned_at(key).map_err(LogFault::Unwitnessed)?;
        let at = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        Ok((key.name().to_owned(), at.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
    };
    keys.iter().filter(|key| key.is_witness()).map(of).collect()
}

/// The checkpoint of a note that a key of each kind signed.
pub(super) fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Checkpoint, LogFault> {
    let (vaults, ours): (Vec<_>, Vec<_>) = keys.iter().filter(|key| !key.is_witness()).partition(|key| key.is_p256());
    if ours.is_empty() || vaults.is_empty() {
        return Err(LogFault::KeyMissing(if ours.is_empty() { "Ed25519" } else { "ECDSA" }));
    }
    let parsed = Note::parse(note).map_err(|error| LogFault::Checkpoint(error.into()))?;
    for kind in [ours, vaults] {
        // After a rotation there are several of the vault's, and one of them signed.
        let mut outcome = None;
        for key in kind {
            match parsed.verify(key) {
                Ok(()) => outcome = Some(Ok(key)),
                Err(NoteError::Unsigned(name)) => outcome = outcome.or(Some(Err(NoteError::Unsigned(name)))),
                Err(error) => return Err(LogFault::Checkpoint(error.into())),
            }
        }
        match outcome {
            Some(Ok(key)) => Checkpoint::open(note, &[key]).map_err(LogFault::Checkpoint)?,
            Some(Err(error)) => return Err(LogFault::Checkpoint(error.into())),
            None => return Err(LogFault::KeyMissing("one")),
        };
    }
    Checkpoint::parse(parsed.text()).map_err(LogFault::Checkpoint)
}

fn as_seen(fault: LogFault) -> LogFault {
    match fault {
        LogFault::Checkpoint(error) => LogFault::Seen(error),
        other => other,
    }
}

/// The checkpoint that was kept, signed like the log's own.
pub(super) fn seen(known: Known<'_>) -> Result<Option<Checkpoint>, LogFault> {
    known.seen.map(|kept| open(kept, known.keys).map_err(as_seen)).transpose()
}

/// What two checkpoints alone say, whichever of them is the older one.
pub(super) fn of_one_log(ours: &Checkpoint, note: &[u8], seen: &Checkpoint, kept: &[u8]) -> Result<(), LogFault> {
    if seen.origin != ours.origin {
        return Err(LogFault::Seen(CheckpointError::Origin(seen.origin.clone())));
    }
    if seen.size == ours.size && seen.root != ours.root {
        let text = |note: &[u8]| String::from_utf8_lossy(note).into_owned();
        return Err(LogFault::SplitView { size: ours.size, ours: text(note), seen: text(kept) });
    }
    Ok(())
}

fn header(files: &Files<'_>, checkpoint: &Checkpoint) -> Result<Header, LogFault> {
    let bytes = files.read(folder::HEADER)?.ok_or(LogFault::NotALog("there is no export.json in it"))?;
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| LogFault::Form(folder::HEADER.into()))?;
    if !header.is_ours() {
        return Err(LogFault::Form(folder::HEADER.into()));
    }
    if header.origin != checkpoint.origin || !header.origin.ends_with(&format!("/{}", header.owner)) {
        return Err(LogFault::Header(folder::HEADER, "whose log it is"));
    }
    if header.entries != checkpoint.size {
        return Err(LogFault::Header(folder::HEADER, "how many entries there are"));
    }
    Ok(header)
}

#[derive(Clone, Copy)]
struct Files<'f> {
    folder: &'f Path,
    size: u64,
}

impl Files<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, LogFault> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LogFault::Read { path, source }),
        }
    }

    fn must(&self, name: &str) -> Result<Vec<u8>, LogFault> {
        self.read(name)?.ok_or_else(|| LogFault::Missing(name.to_owned(), self.size))
    }

    fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, LogFault> {
        let name = tile.to_string();
        tiles::hashes(&tile, &self.must(&name)?).ok_or(LogFault::Form(name))
    }
}

struct Check<'f> {
    files: Files<'f>,
    note: Vec<u8>,
    report: LogReport,
    tree: Tree,
    items: HashSet<u128>,
    anchors: BTreeMap<u64, Checkpoint>,
}

impl Check<'_> {
    fn run(&mut self) -> Result<(), LogFault> {
        let size = self.report.checkpoint.size;
        let of_it = |anchor: &Checkpoint| anchor.origin == self.report.checkpoint.origin && anchor.size <= size;
        if let Some((number, _)) = self.anchors.iter().find(|(number, anchor)| **number != anchor.size || !of_it(anchor)) {
            return Err(LogFault::Apart(folder::anchor(*number), *number));
        }
        for number in 0..size.div_ceil(WIDTH as u64) {
            self.bundle(number)?;
        }
        self.tiles(self.tree.partial().map(|(tile, hashes)| (tile, hashes.to_vec())))?;
        let (found, says) = (self.tree.root(), self.report.checkpoint.root);
        if found == says { Ok(()) } else { Err(LogFault::Root { found, says }) }
    }

    fn bundle(&mut self, number: u64) -> Result<(), LogFault> {
        let size = self.report.checkpoint.size;
        let (Some(bundle), Some(tile)) = (Tile::at(None, number, size), Tile::at(Some(0), number, size)) else { return Ok(()) };
        let (bytes, hashes) = (self.files.must(&bundle.to_string())?, self.files.hashes(tile)?);
        let disclosed = self.disclosures(number)?;
        let first = number * WIDTH as u64;
        let mut count = 0;
        let mut full = Vec::new();
        for (position, entry) in bundle::entries(&bytes).enumerate() {
            let (index, expected) = (first + position as u64, hashes.get(position));
            let (Some(entry), Some(expected)) = (entry, expected) else {
                // Cut off, or longer than it should be: named by the entry where it begins.
                return Err(LogFault::Entry { index, bundle, tile });
            };
            let leaf = merkle::leaf(entry);
            if leaf != *expected {
                return Err(LogFault::Entry { index, bundle, tile });
            }
            self.tree.append(leaf, &mut |tile, hashes| full.push((tile, hashes.to_vec())));
            self.entry(index, entry, disclosed.as_deref().and_then(|lines| lines.get(position)))?;
            if self.report.header.proofs {
                self.proof(index, &leaf)?;
            }
            if let Some(seen) = self.report.seen.as_ref().filter(|seen| seen.size == self.tree.size()) {
                let (found, says) = (self.tree.root(), seen.root);
                if found != says {
                    return Err(LogFault::Rewritten { seen: seen.size, found, says });
                }
            }
            if let Some(anchor) = self.anchors.get(&self.tree.size()) {
                if anchor.root != self.tree.root() {
                    return Err(LogFault::Apart(folder::anchor(anchor.size), anchor.size));
                }
                self.report.anchors += 1;
            }
            count += 1;
        }
        if count != bundle.width() {
            return Err(LogFault::Entry { index: first + count as u64, bundle, tile });
        }
        self.tiles(full)
    }

    /// The hashes of level 0 were compared with the entries.
    fn tiles(&self, made: impl IntoIterator<Item = (Tile, Vec<Hash>)>) -> Result<(), LogFault> {
        for (tile, made) in made.into_iter().filter(|(tile, _)| tile.level() != Some(0)) {
            let there = self.files.hashes(tile)?;
            if let Some(position) = there.iter().zip(made).position(|(there, made)| *there != made) {
                return Err(LogFault::Tile { tile, position });
            }
        }
        Ok(())
    }

    fn entry(&mut self, index: u64, entry: &[u8], disclosed: Option<&Disclosure>) -> Result<(), LogFault> {
        let text = str::from_utf8(entry).map_err(|_| LogFault::Leaf { index, fault: LeafError::Form })?;
        let leaf = leaf::read(text).map_err(|fault| LogFault::Leaf { index, fault })?;
        if !self.items.insert(leaf.id.as_u128()) {
            return Err(LogFault::Twice(index));
        }
        match disclosed {
            // Nothing is disclosed: where something is, each entry has its line.
            None => {}
            Some(Disclosure::Open { salt, content, .. }) if leaf::commitment(salt, content) == leaf.commitment => {
                self.report.disclosed += 1;
            }
            Some(Disclosure::Erased { erased: true, .. }) => self.report.erase(index),
            _ => return Err(LogFault::Disclosed(index)),
        }
        let (report, at) = (&mut self.report, leaf.at);
        report.times = Some(report.times.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        match report.kinds.get_mut(&leaf.kind) {
            Some(count) => *count += 1,
            None => drop(report.kinds.insert(leaf.kind, 1)),
        }
        Ok(())
    }

    /// The lines of one bundle's entries, one for each and in order; `None` when nothing is disclosed.
    fn disclosures(&self, number: u64) -> Result<Option<Vec<Disclosure>>, LogFault> {
        if !self.report.header.disclosed {
            return Ok(None);
        }
        let (name, first) = (folder::disclosed(number), number * WIDTH as u64);
        let bytes = self.files.must(&name)?;
        let lines: Result<Vec<Disclosure>, _> = bytes.split_inclusive(|byte| *byte == b'\n').map(serde_json::from_slice).collect();
        let lines = lines.map_err(|_| LogFault::Form(name.clone()))?;
        let expected = (first + WIDTH as u64).min(self.report.checkpoint.size) - first;
        match lines.iter().zip(first..).find(|(line, index)| line.index() != *index) {
            Some((_, index)) => Err(LogFault::Disclosed(index)),
            None if (lines.len() as u64) < expected => Err(LogFault::Disclosed(first + lines.len() as u64)),
            None if lines.len() as u64 > expected => Err(LogFault::Form(name)),
            None => Ok(Some(lines)),
        }
    }

    fn proof(&mut self, index: u64, leaf: &Hash) -> Result<(), LogFault> {
        let bytes = self.files.must(&folder::proof(index))?;
        let checkpoint = &self.report.checkpoint;
        let holds = str::from_utf8(&bytes).ok().and_then(|text| RecordProof::parse(text).ok()).is_some_and(|proof| {
            // Its checkpoint was verified already: it is this folder's, byte by byte.
            proof.index == index
                && proof.checkpoint.as_bytes() == self.note
                && proof::includes(leaf, index, checkpoint.size, &proof.hashes, &checkpoint.root)
        });
        if !holds {
            return Err(LogFault::Proof(index));
        }
        self.report.proofs += 1;
        Ok(())
    }
}

/// The copies of checkpoints in the folder, by the number in their names, and how many are signed by none of these keys.
fn anchors(folder: &Path, keys: &[VerifierKey]) -> Result<(BTreeMap<u64, Checkpoint>, u64), LogFault> {
    let (mut anchors, mut of_other_keys) = (BTreeMap::new(), 0);
    for entry in fs::read_dir(folder.join(folder::ANCHORS)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(size) = name.parse::<u64>().ok().filter(|size| folder::anchor(*size).ends_with(&format!("/{name}"))) else { continue };
        let path = entry.path();
        let note = fs::read(&path).map_err(|source| LogFault::Read { path, source })?;
        match open(&note, keys) {
            Ok(anchor) => drop(anchors.insert(size, anchor)),
            Err(LogFault::Checkpoint(CheckpointError::Note(NoteError::Unsigned(_)))) => of_other_keys += 1,
            Err(LogFault::Checkpoint(error)) => return Err(LogFault::Anchor(folder::anchor(size), error)),
            Err(other) => return Err(other),
        }
    }
    Ok((anchors, of_other_keys))
}

/// Files that are none of the export's, at most a few: somebody put them there, and nothing here looked at them.
fn others(folder: &Path, report: &LogReport) -> Vec<PathBuf> {
    const MOST: usize = 8;
    let (size, header) = (report.checkpoint.size, &report.header);
    let is_ours = |path: &str| {
        let tile = Tile::parse(path).is_some_and(|tile| Tile::at(tile.level(), tile.index(), size) == Some(tile));
        let index = |path: &str| path.rsplit('/').next()?.strip_suffix(".tlog-proof")?.parse::<u64>().ok().filter(|index| *index < size);
        let line = |path: &str| {
            let number = path.strip_prefix("disclosed/")?.strip_suffix(".jsonl")?;
            Tile::parse(&format!("tile/0/{number}")).map(|tile| tile.index()).filter(|number| *number < size.div_ceil(WIDTH as u64))
        };
        [folder::CHECKPOINT, folder::HEADER, folder::POLICY, folder::GUIDE, folder::EVENTS].contains(&path)
            || tile
            || path.strip_prefix("anchors/").and_then(|size| size.parse().ok()).is_some_and(|size: u64| folder::anchor(size) == path)
            || (header.proofs && index(path).is_some_and(|index| folder::proof(index) == path))
            || (header.disclosed && line(path).is_some_and(|number| folder::disclosed(number) == path))
    };
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = folders.pop() {
        for entry in fs::read_dir(folder.join(&within)).into_iter().flatten().flatten() {
            let path = within.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if found.len() < MOST && !is_ours(&path.to_string_lossy().replace('\\', "/")) {
                found.push(path);
            }
        }
    }
    found
}

impl LogReport {
    /// A demo's log: its header says so, or an entry does, which no header can take back.
    pub fn is_demo(&self) -> bool {
        self.header.demo || self.kinds.contains_key(demo::MARKED)
    }

    fn erase(&mut self, index: u64) {
        self.erased += 1;
        match self.erased_rows.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => self.erased_rows.push((index, index)),
        }
    }

    /// Assay erases by destroying a key, and with it goes the content of all entries: a mixture was made by somebody.
    fn mixture(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.erased == 0 || self.disclosed == 0 {
            return Ok(());
        }
        let row = |(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{first} to {last}") };
        let rows: Vec<String> = self.erased_rows.iter().map(row).collect();
        writeln!(f, "Some are open and some erased, which an export of Assay never is by itself: ask who left out what these said.")?;
        writeln!(f, "Erased: entries {}.", rows.join(", "))
    }
}

impl fmt::Display for LogReport {
    /// Words for the terminal, several lines, no line feed at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { owner, exported_at, release, .. } = &self.header;
        let Checkpoint { origin, size, root } = &self.checkpoint;
        let time = |at: &OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        if self.is_demo() {
            writeln!(f, "{DEMO_NOTICE}")?;
        }
        if self.is_demo() && !self.header.demo {
            writeln!(f, "An entry of the log says so. The folder's export.json does not: Assay did not write it like that.")?;
        }
        writeln!(f, "The log of {owner} holds: {size} entries, none changed, moved, dropped or repeated.")?;
        writeln!(f, "Both keys signed its checkpoint as {origin}.")?;
        for (witness, at) in &self.cosigned {
            writeln!(f, "The witness {witness} cosigned it at {}.", time(at))?;
        }
        match &self.seen {
            Some(seen) if seen.size == *size => writeln!(f, "It is the log of the checkpoint that was kept.")?,
            Some(seen) => writeln!(f, "It extends the checkpoint that was kept: its first {} entries are those.", seen.size)?,
            None => writeln!(f, "No earlier checkpoint was given: what was taken off or written anew before this one does not show.")?,
        }
        if self.anchors > 0 {
            writeln!(f, "It extends the {} copies of its checkpoints that lie in the folder.", self.anchors)?;
        }
        if self.anchors_of_other_keys > 0 {
            let n = self.anchors_of_other_keys;
            writeln!(
                f,
                "Not compared: {n} copies that were signed by keys which were not given, as before a rotation; give those keys too."
            )?;
        }
        if let Some((first, last)) = &self.times {
            writeln!(f, "From {} to {}.", time(first), time(last))?;
        }
        if self.header.disclosed {
            writeln!(
                f,
                "Content is disclosed for {} of them, and each is what its entry committed to; {} are erased.",
                self.disclosed, self.erased
            )?;
            self.mixture(f)?;
        } else {
            writeln!(f, "Content is not disclosed.")?;
        }
        if self.header.proofs {
            writeln!(f, "{} proofs of single entries hold.", self.proofs)?;
        }
        for (kind, count) in &self.kinds {
            writeln!(f, "  {count:>7}  {kind}")?;
        }
        for path in &self.others {
            writeln!(f, "Not of this export, and not looked at: {}", path.display())?;
        }
        writeln!(f, "Exported {} by release {release}.", time(exported_at))?;
        write!(f, "Root {root}. Keep the file `checkpoint`: with it the next copy shows whether this one was its beginning.")
    }
}
