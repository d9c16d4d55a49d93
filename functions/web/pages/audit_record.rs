//! One entry of the audit trail: what happened in words, and all that proves where it stands.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, Link, LogKey, Reach, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "audit_record.html", config = "functions/web/pages/askama.toml")]
pub struct AuditRecordPage {
    pub frame: Frame,
    /// Whose log.
    pub log: String,
    pub back: Link,
    pub index: u64,
    pub actor: String,
    /// `a person, as person:7c4e.. in the log`.
    pub actor_sort: String,
    /// Everything that they did.
    pub same_actor: Link,
    /// Verb and object, in the past.
    pub text: String,
    pub href: Option<String>,
    /// A comment, a reason.
    pub note: Option<String>,
    pub at: OffsetDateTime,
    pub kind: String,
    /// What the kind means.
    pub kind_href: String,
    pub outcome: Tag,
    pub object: String,
    /// How a person had proved who they are, as far as the entry says so.
    pub context: Vec<(&'static str, String)>,
    pub correlation: String,
    pub fields: Vec<RecordField>,
    /// Exact text, and the hash of it in hex.
    pub leaf: String,
    pub leaf_hash: String,
    pub stands: RecordStands,
    /// The newest copy of a checkpoint, when it covers this entry.
    pub anchored: Option<Reach>,
    pub keys: Vec<LogKey>,
    pub proof_file: Link,
    pub entry_file: Link,
}

#[derive(Clone, Debug)]
pub struct RecordField {
    pub name: String,
    pub value: String,
    /// Empty when the field is of a newer release.
    pub meaning: &'static str,
}

#[derive(Clone, Debug)]
pub enum RecordStands {
    In(ProofView),
    NotYet,
    /// Why there is no proof.
    Broken(String),
}

/// What the script of the page checks: exact bytes in base64, and what is read of them for people.
#[derive(Clone, Debug)]
pub struct ProofView {
    pub script: String,
    pub leaf: String,
    /// In hex.
    pub salt: String,
    /// `None`: too long for a page.
    pub content: Option<String>,
    /// From the leaf up, in base64.
    pub hashes: Vec<String>,
    /// The signed checkpoint.
    pub note: String,
    /// The vault's verifier keys.
    pub vault_keys: Vec<String>,
    pub size: u64,
    /// In hex.
    pub root: String,
}

impl ProofView {
    fn path(&self) -> String {
        self.hashes.join(" ")
    }

    fn vault_keys(&self) -> String {
        self.vault_keys.join(" ")
    }
}
