//! A client's keys, or the installation's own: what wraps them, since when which one seals, and where they may be unwrapped.

use askama::Template;

use super::{FieldKind, Frame, StepForm};

#[derive(Clone, Debug, Template)]
#[template(path = "keys.html", config = "functions/web/pages/askama.toml")]
pub struct KeysPage {
    pub frame: Frame,
    /// The client's name; `None`: the installation's own.
    pub client: Option<String>,
    pub clients_href: String,
    pub people_href: String,
    pub own_href: String,
    /// What is known, as label and text.
    pub facts: Vec<(&'static str, String)>,
    /// `None` where nobody said in which region this installation runs.
    pub regions: Option<StepForm>,
    pub rotate: Option<StepForm>,
    /// Where the vault makes no keys by itself.
    pub vault_key: Option<StepForm>,
    /// Of the data key that seals.
    pub epoch: String,
    pub notice: Option<&'static str>,
    pub error: Option<String>,
}
