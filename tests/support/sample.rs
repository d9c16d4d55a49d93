//! A data folder as one file of the repository, and what lies in it: every document, also of kinds that nobody asks for.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use assay::platform::local;
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// As `platform/local` lays documents out: container, partition, id; the bytes are a revision and the body.
const DOCUMENTS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("documents");
const REVISION_BYTES: usize = 8;

/// Where a document lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub container: String,
    pub partition: String,
    pub id: String,
}

impl Address {
    pub fn kind(&self) -> &str {
        self.id.split_once(':').map_or(&self.id, |(kind, _)| kind)
    }
}

/// Every document of a data folder that nobody has open.
pub fn documents(folder: &Path) -> BTreeMap<Address, Value> {
    let database = local::builder().open(folder.join("documents.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(DOCUMENTS).unwrap();
    let mut found = BTreeMap::new();
    for row in table.iter().unwrap() {
        let (key, stored) = row.unwrap();
        let (container, partition, id) = key.value();
        let address = Address { container: container.into(), partition: partition.into(), id: id.into() };
        found.insert(address, serde_json::from_slice(&stored.value()[REVISION_BYTES..]).unwrap());
    }
    found
}

/// A store as a release left it.
pub struct Sample {
    /// Its version, or what it stands for.
    pub release: String,
    /// When it was left.
    pub at: OffsetDateTime,
    pub folder: TempDir,
}

#[derive(Serialize, Deserialize)]
struct Left {
    release: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

const LEFT: &str = "sample.json";

impl Sample {
    pub fn unpacked(from: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        ZipArchive::new(io::BufReader::new(file)).unwrap().extract(folder.path()).unwrap();
        let Left { release, at } = serde_json::from_slice(&fs::read(folder.path().join(LEFT)).unwrap()).unwrap();
        Self { release, at, folder }
    }

    /// Every file but locks and what is only on its way.
    pub fn pack(&self, to: &Path) {
        let left = Left { release: self.release.clone(), at: self.at };
        fs::write(self.folder.path().join(LEFT), json!(left).to_string()).unwrap();
        let mut zip = ZipWriter::new(File::create(to).unwrap());
        for path in files(self.folder.path()) {
            let name = path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap();
            if !name.starts_with("handler.") {
                // One time for all, so that the same bytes make the same file.
                let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
                zip.start_file(name, options).unwrap();
                zip.write_all(&fs::read(path).unwrap()).unwrap();
            }
        }
        zip.finish().unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = open.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
