//! Tiles and entry bundles: which there are for a log of a given length, and their paths (C2SP tlog-tiles).
//!
//! A tile holds 256 hashes, or fewer where the log ends. Full ones never change; a partial one has its width in its path,
//! so it never changes either.

use std::fmt;

/// Hashes of a full tile, and entries of a full bundle.
pub const WIDTH: usize = FULL as usize;
const FULL: u16 = 256;

/// One tile or bundle. As text: its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// `None`: a bundle of entries.
    level: Option<u8>,
    index: u64,
    /// 1 to [`WIDTH`].
    width: u16,
}

impl Tile {
    pub fn full(level: u8, index: u64) -> Self {
        Self { level: Some(level), index, width: FULL }
    }

    pub fn bundle(index: u64, width: u16) -> Self {
        Self { level: None, index, width }
    }

    pub fn level(&self) -> Option<u8> {
        self.level
    }

    pub fn index(&self) -> u64 {
        self.index
    }

    pub fn width(&self) -> usize {
        self.width.into()
    }

    pub fn is_full(&self) -> bool {
        self.width() == WIDTH
    }

    /// The full one in its place.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { width: FULL, ..*self }
    }

    /// The folder of the partial forms of this tile, which may go once it is full.
    pub fn partials(&self) -> String {
        format!("{}.p/", self.whole())
    }

    /// The tile at this place for a log of `size` entries; `None` where it ends before.
    pub fn at(level: Option<u8>, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at(level.unwrap_or(0), size);
        let width = hashes.checked_sub(index.checked_mul(WIDTH as u64)?)?.min(WIDTH as u64);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { level, index, width })
    }

    /// Everything that a checkpoint of `size` entries stands on: bundles first, then the levels upwards.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        [None].into_iter().chain((0..=7).map(Some)).flat_map(move |level| (0..).map_while(move |index| Self::at(level, index, size)))
    }

    /// Reads a path, spelled in no other way than it is written.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => None,
            level => Some(level.parse().ok().filter(|level| *level < 64)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|width| (1..FULL).contains(width))?),
            None => (rest, FULL),
        };
        let mut value = 0u64;
        for element in index.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            value = value.checked_mul(1000)?.checked_add(digits.parse().ok().filter(|_| digits.len() == 3)?)?;
        }
        let tile = Self { level, index: value, width };
        (tile.to_string() == path).then_some(tile)
    }
}

/// Hashes at this level of tiles: each stands for a full tile below.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for start in (0..digits.len()).step_by(3) {
            let last = start + 3 == digits.len();
            write!(f, "{}{}{}", if last { "" } else { "x" }, &digits[start..start + 3], if last { "" } else { "/" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_and_counts_are_those_of_the_specification() {
        assert_eq!(Tile::full(0, 1_234_067).to_string(), "tile/0/x001/x234/067");
        assert_eq!(Tile::bundle(0, 7).to_string(), "tile/entries/000.p/7");
        assert_eq!(Tile::bundle(3, 7).partials(), "tile/entries/003.p/");
        // Its example: 70,000 entries.
        let all: Vec<_> = Tile::all(70_000).collect();
        let of = |level, full| all.iter().filter(|t| t.level == level && t.is_full() == full).map(Tile::width).collect::<Vec<_>>();
        assert_eq!((of(Some(0), true).len(), of(Some(0), false)), (273, vec![112]));
        assert_eq!((of(Some(1), true).len(), of(Some(1), false)), (1, vec![17]));
        assert_eq!((of(Some(2), true).len(), of(Some(2), false)), (0, vec![1]));
        assert_eq!((of(None, true).len(), of(None, false)), (273, vec![112]));
        let names: Vec<_> = Tile::all(256).map(|tile| tile.to_string()).collect();
        assert_eq!(names, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(Tile::all(0).count(), 0);
    }

    #[test]
    fn other_spellings_are_no_paths() {
        for path in [
            "tile/0/0",
            "tile/00/000",
            "tile/64/000",
            "tile/0/x000/000",
            "tile/0/1000",
            "tile/0/001/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/07",
            "tile/0/000.p/+7",
            "tile/0/+00",
            "tile/0/x01/000",
            "tile/entries/000/",
            "/tile/0/000",
            "tile/0/../000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_reads_as_what_it_was_written_for(level in proptest::option::of(0..64u8), index: u64, width in 1..=256u16) {
            let tile = Tile { level, index, width };
            prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
        }

        #[test]
        fn whatever_stands_there_is_a_path_or_not(path in "tile/[0-9a-z/.x]{0,20}") {
            if let Some(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.to_string(), path);
            }
        }
    }
}
