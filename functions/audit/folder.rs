//! The form of an export: a folder that is a log of C2SP tlog-tiles, and beside it what people read.
//!
//! | path | what |
//! | --- | --- |
//! | `checkpoint`, `tile/..` | the log, as any client of tlog-tiles reads it |
//! | `proofs/N/INDEX.tlog-proof` | where one entry stands, by itself (C2SP tlog-proof) |
//! | `anchors/SIZE` | the newest copies of checkpoints that were put where nobody can take them back |
//! | `disclosed/N.jsonl` | what the entries of bundle N commit to, a line each |
//! | `export.json` | whose log, when, by which release; nothing in it is proof |
//! | `EVENTS.md` | what each kind of entry means, and its fields |
//! | `log-policy`, `VERIFY.md` | which keys, and how to verify; not to be trusted from the folder itself |
//!
//! N is the bundle's number as in its tile's path.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    chain::Hash,
    format,
    log_key::LogKeys,
    tlog::{Tile, VerifierKey},
};

pub const CHECKPOINT: &str = super::tiles::CHECKPOINT;
pub const HEADER: &str = "export.json";
pub const POLICY: &str = "log-policy";
pub const GUIDE: &str = "VERIFY.md";
/// What each kind of entry means, and its fields (see `schema`).
pub const EVENTS: &str = "EVENTS.md";

/// The one before is a single file (see `format`).
pub const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`format::FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// A client's id, or `deployment`.
    pub owner: String,
    /// The log's name, which the checkpoint begins with.
    pub origin: String,
    #[serde(with = "time::serde::rfc3339")]
    pub exported_at: OffsetDateTime,
    /// The release that wrote the folder.
    pub release: String,
    pub demo: bool,
    /// [`format::DEMO_NOTICE`] when `demo`, otherwise absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    pub entries: u64,
    /// Whether there is a line of `disclosed` for each entry.
    pub disclosed: bool,
    /// Whether there is a proof of its own for each entry.
    pub proofs: bool,
}

impl Header {
    /// Whether the words that every export of its kind has are there.
    pub fn is_ours(&self) -> bool {
        self.format == format::FORMAT && self.version == VERSION && self.notice.as_deref() == self.demo.then_some(format::DEMO_NOTICE)
    }
}

/// What one entry committed to, or that nobody can read it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Disclosure {
    Open {
        index: u64,
        salt: Hash,
        /// Exact bytes as a string: JSON with the acting person, function or connection, and the detail.
        content: String,
    },
    Erased {
        index: u64,
        /// True: the key that sealed it was destroyed.
        erased: bool,
    },
}

impl Disclosure {
    pub fn index(&self) -> u64 {
        match self {
            Self::Open { index, .. } | Self::Erased { index, .. } => *index,
        }
    }
}

/// The number of a bundle as paths have it: `000`, `x001/234`.
fn number(bundle: u64) -> String {
    Tile::full(0, bundle).to_string().trim_start_matches("tile/0/").to_owned()
}

pub fn disclosed(bundle: u64) -> String {
    format!("disclosed/{}.jsonl", number(bundle))
}

pub fn proof(index: u64) -> String {
    format!("proofs/{}/{index}.tlog-proof", number(index / super::tlog::tile::WIDTH as u64))
}

/// A copy of the checkpoint of that many entries.
pub fn anchor(size: u64) -> String {
    format!("{ANCHORS}/{size:020}")
}

pub const ANCHORS: &str = "anchors";

/// C2SP tlog-policy: the log's keys, and the witness that cosigned this copy, if one did.
pub fn policy(keys: &LogKeys, witness: Option<&VerifierKey>) -> String {
    let vaults = keys.p256.iter().fold(String::new(), |text, key| text + "#log " + &key.to_string() + "\n");
    format!(
        "# Keys that lie beside what they verify prove nothing: compare them with those you got another way.\nlog {}\n# The same log's second signature (ECDSA on P-256), for programs that know it:\n{vaults}{}",
        keys.ed25519,
        witness.map_or_else(|| "quorum none\n".into(), |key| format!("witness w1 {key}\nquorum w1\n")),
    )
}

const PROOFS_LEFT_OUT: &str =
    " The proofs of single entries are left out: each can be made from the tiles, and the page of an entry gives its own.";

/// How to verify, for people; the keys are left for them to fill in.
pub fn guide(header: &Header) -> String {
    let Header { owner, origin, entries, proofs, .. } = header;
    let proofs = if *proofs { "" } else { PROOFS_LEFT_OUT };
    let notice = header.notice.as_ref().map(|notice| format!("{notice}\n\n")).unwrap_or_default();
    format!(
        "# How to verify this audit log\n\n{notice}\
This folder holds the audit log of {owner}: {entries} entries, under the name `{origin}`.{proofs}\n\n\
You need the log's verifier keys from another place than this folder: ask the company that runs Assay to read you the keys' \
fingerprints by telephone, or take them from the audit page after you signed in. Put them into a file outside of this folder, \
one a line. If a witness cosigns the log (`log-policy` says so), get its key from whoever runs the witness, and add `--witness KEY`.\n\n\
## With Assay\n\n    assay verify FOLDER --key KEYS.txt\n\n\
If you kept the `checkpoint` of an earlier export, add `--seen OLD-CHECKPOINT`: then it also says whether entries were taken off \
or written anew since. Keep the `checkpoint` of this one.\n\n\
## With programs that are not ours\n\n\
The log is one of C2SP tlog-tiles (c2sp.org/tlog-tiles). ED25519-KEY is the line of your file whose key begins with `A`.\n\n\
Python 3.12 or newer:\n\n    pip install aics-tlog==0.2.1\n    aics-tlog verify-checkpoint --tiles FOLDER --log-key 'ED25519-KEY' --origin '{origin}'\n    \
aics-tlog verify-inclusion --tiles FOLDER --log-key 'ED25519-KEY' --index 0\n\n\
Go: `golang.org/x/mod/sumdb/note` and `golang.org/x/mod/sumdb/tlog` open the checkpoint and check every entry against it; Assay's \
own tests do it with a program of a page (`tests/judges/go`).\n\n\
## What it proves\n\n\
No entry was changed, moved, dropped or added since the checkpoint was signed. Each entry names ids and a commitment: SHA-256 over \
32 salt bytes and the content. Where content is disclosed (`disclosed/`), its line has both. An entry marked as erased still proves \
that, when and by which kind of actor something happened, and no more. What each kind of entry means, and which fields its content \
has, is said in `EVENTS.md`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disclosure_is_read_as_one_of_two_forms_and_no_other() {
        let open = Disclosure::Open { index: 7, salt: Hash::from_bytes([1; 32]), content: "{}".into() };
        let erased = Disclosure::Erased { index: 8, erased: true };
        for line in [&open, &erased] {
            let text = serde_json::to_string(line).expect("writes");
            assert_eq!(serde_json::from_str::<Disclosure>(&text).expect("reads"), *line);
            let more = text.replace("\"index\"", "\"more\":1,\"index\"");
            assert!(serde_json::from_str::<Disclosure>(&more).is_err(), "{more}");
        }
    }

    #[test]
    fn paths_beside_the_tiles_go_by_their_bundle() {
        assert_eq!((disclosed(0), disclosed(1234)), ("disclosed/000.jsonl".into(), "disclosed/x001/234.jsonl".into()));
        assert_eq!(proof(300), "proofs/001/300.tlog-proof");
    }
}
