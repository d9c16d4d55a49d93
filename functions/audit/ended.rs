//! A log whose owner's data keys were destroyed: nobody opens a record of it any more, and what is published proves all the same.
//!
//! From outside: the published entries lead to the root that was recorded when the keys were destroyed, and to that of each
//! checkpoint that was copied away or kept. Reads only.

use super::{
    chain::Hash,
    replay::{Mark, Outside, Recorded, Replayed, Wrong, marks},
    tiles,
    tlog::{Tile, Tree, bundle, merkle, tile::WIDTH},
};
use crate::{
    app::App,
    tenancy::{StoreError, keys::Owner},
};

/// How the log ended, by the record of the destruction.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub entries: u64,
    pub root: Hash,
    /// Entries of the newest copy of a checkpoint, 0 where none was known.
    pub copied: u64,
}

const RECORD: &str = "the record of the destruction";

/// Compares what is published with how the log ended.
pub async fn ended(app: &App, owner: Owner, end: End, outside: Outside<'_>) -> Result<Replayed, StoreError> {
    let mut found = Replayed::default();
    let mark = Some(Mark { what: RECORD, size: end.entries, root: end.root });
    let recorded = Recorded { mark, copied: end.copied, entries: end.entries };
    let marks = marks(app, owner, recorded, &mut found, outside).await?;
    let length = marks.iter().find(|mark| mark.what == Mark::PUBLISHED).map_or(0, |mark| mark.size);
    found.published = length;
    for mark in &marks {
        found.faults.extend(mark.is_longer(length));
    }
    if length > end.entries {
        let words = format!("{length} entries are published, and {RECORD} says that the log ends with {}", end.entries);
        found.faults.push(Wrong::new("goes on", words));
    }
    let mut tree = Tree::default();
    'log: for tile in (0..length.div_ceil(WIDTH as u64)).filter_map(|number| Tile::at(None, number, length)) {
        let bytes = tiles::read(app, owner, tile).await?.unwrap_or_default();
        for entry in bundle::entries(&bytes) {
            let Some(entry) = entry else { break 'log };
            tree.append(merkle::leaf(entry), &mut |_, _| {});
            for mark in &marks {
                found.faults.extend(mark.is_of_another(&tree));
            }
        }
    }
    found.entries = tree.size();
    if tree.size() != length {
        let words =
            format!("{length} entries are published, and {} can be read: put back the blob container `log` from a backup", tree.size());
        found.faults.push(Wrong::new("entries are missing", words));
    }
    Ok(found)
}
