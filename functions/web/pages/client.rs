//! One client: the figures, the score, every requirement by family, and what to fix first.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, PostForm, Readings, Standing, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "client.html", config = "functions/web/pages/askama.toml")]
pub struct ClientPage {
    pub frame: Frame,
    pub name: String,
    pub readings: Readings,
    /// Requirements, of 110.
    pub met: usize,
    pub not_met: usize,
    /// Neither decided nor read.
    pub unread: usize,
    /// Open proposals, and since when the oldest waits.
    pub waiting: usize,
    pub oldest_waiting: Option<OffsetDateTime>,
    /// `Conditional status is possible`, or why not; a sentence or two. `None` while nothing can be said.
    pub status: Option<String>,
    pub newest_evidence: Option<OffsetDateTime>,
    pub connections: Vec<Tag>,
    /// The 14 families in the order of the standard.
    pub families: Vec<Family>,
    /// Most points for the least work, at most ten.
    pub fix_first: Vec<Fix>,
    pub inbox_href: String,
    pub audit_href: String,
    pub policy_href: String,
    /// Only for the owner.
    pub people_href: Option<String>,
    /// For an engineer, where there is a score: asks that it be submitted.
    pub sprs: Option<PostForm>,
}

#[derive(Clone, Debug)]
pub struct Family {
    /// `3.1`
    pub number: String,
    pub name: String,
    pub cells: Vec<Cell>,
}

/// A requirement in the grid.
#[derive(Clone, Debug)]
pub struct Cell {
    /// `AC.L2-3.1.1`
    pub id: String,
    /// `3.1.1`
    pub number: String,
    pub title: String,
    pub standing: Standing,
    /// `5`, `3 or 5`, `none`.
    pub weight: String,
    /// Why it stands there: `4 of 6 objectives decided`.
    pub why: String,
    pub href: String,
}

impl Cell {
    /// `3.1.12` -> `12`.
    fn last(&self) -> &str {
        self.number.rsplit('.').next().unwrap_or(&self.number)
    }
}

#[derive(Clone, Debug)]
pub struct Fix {
    pub id: String,
    pub href: String,
    pub title: String,
    /// What is missing, as a sentence.
    pub missing: String,
    pub points: String,
    /// `not allowed`, `allowed`, `at 3 points only`.
    pub poam: String,
    pub evidence: Tag,
}
