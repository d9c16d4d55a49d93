//! What ran without anybody's approval and was drawn for a look: the list, and one item with the question.

use askama::Template;
use time::OffsetDateTime;

use super::{EvidenceCard, Field, FieldKind, Frame, LevelMark, Link, RuleForm};

#[derive(Clone, Debug, Template)]
#[template(path = "sampled.html", config = "functions/web/pages/askama.toml")]
pub struct SampledPage {
    pub frame: Frame,
    pub client: String,
    pub analytics_href: String,
    pub items: Vec<SampledRow>,
    /// The address of the next page.
    pub next: Option<String>,
    /// After how many days nobody is asked any more.
    pub days: i64,
    /// Whether this reader answers, or only looks on.
    pub answers: bool,
    pub notice: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct SampledRow {
    /// What ran, leading to its own page.
    pub what: Link,
    pub level: LevelMark,
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug, Template)]
#[template(path = "sampled_item.html", config = "functions/web/pages/askama.toml")]
pub struct SampledItemPage {
    pub frame: Frame,
    pub client: String,
    pub list_href: String,
    /// "Evidence taken in: configuration"
    pub what: String,
    pub level: LevelMark,
    pub at: OffsetDateTime,
    /// The record as it is kept now.
    pub card: Option<EvidenceCard>,
    /// The proposal that ran, where it can be undone.
    pub proposal: Option<Link>,
    /// Only for who answers.
    pub form: Option<RuleForm>,
    pub error: Option<(&'static str, String)>,
}

impl SampledItemPage {
    /// What the form asks besides the two answers.
    fn fields(&self) -> &[Field] {
        self.form.as_ref().map_or(&[], |form| &form.fields)
    }
}
