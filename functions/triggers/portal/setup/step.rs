//! A step of the first day: how it stands, and its words, put together piece by piece.

use super::{
    super::Reader,
    facts::{Essential, Facts},
    installation, people, tools,
};
use crate::web::pages::{Link, SetupStep, Tag, Tone};

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Done,
    ToDo,
    /// Something is there and does not work.
    Wrong,
    /// Nothing waits for it.
    Advised,
    /// It does not apply to this installation.
    Nothing,
    /// Assay cannot tell, so it counts for nothing.
    Untold(&'static str),
}

impl State {
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Nothing)
    }

    pub(super) fn is_counted(self) -> bool {
        !matches!(self, Self::Untold(_))
    }

    fn tag(self) -> Tag {
        match self {
            Self::Done => Tag::new(Tone::Met, "Done"),
            Self::ToDo => Tag::new(Tone::Wait, "To do"),
            Self::Wrong => Tag::new(Tone::Not, "Look here"),
            Self::Advised => Tag::new(Tone::Wait, "Advised"),
            Self::Nothing => Tag::new(Tone::Unknown, "Nothing to do"),
            Self::Untold(word) => Tag::new(Tone::Unknown, word),
        }
    }
}

pub(super) struct Step {
    pub(super) state: State,
    pub(super) view: SetupStep,
}

pub(super) fn step(state: State, title: &'static str, why: &'static str, done_means: &'static str) -> Step {
    let view =
        SetupStep { title, tag: state.tag(), blocks: false, why, lines: vec![], done_means, next: None, to_copy: vec![], form: None };
    Step { state, view }
}

impl Step {
    pub(super) fn says(mut self, line: impl Into<String>) -> Self {
        self.view.lines.push(line.into());
        self
    }

    pub(super) fn lists(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.view.lines.extend(lines);
        self
    }

    pub(super) fn leads(mut self, href: String, text: &str) -> Self {
        self.view.next = Some(Link::new(href, text));
        self
    }

    pub(super) fn copies(mut self, all: Vec<(String, String)>) -> Self {
        self.view.to_copy = all;
        self
    }

    /// Nothing is approved without it, as long as it is missing.
    pub(super) fn essential(mut self, essential: Essential, facts: &Facts) -> Self {
        self.view.blocks = facts.essentials.missing.contains(&essential);
        self
    }
}

/// All of them, in the order in which they are done. `error`: what is wrong with the form that came.
pub(super) fn all(reader: &Reader<'_>, facts: &Facts, error: Option<&(&'static str, String)>) -> Vec<Step> {
    vec![
        installation::parts(facts),
        people::owners(reader),
        people::consent(reader),
        people::client(reader),
        tools::connection(facts),
        tools::event(facts),
        tools::meaning(facts),
        tools::mapping(reader, facts),
        people::approvers(reader, facts),
        installation::told(reader, facts),
        people::policy(reader),
        installation::lock(reader, facts, error),
    ]
}
