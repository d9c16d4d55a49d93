//! What a person is told, before it is a mail or a card: one text for both, so they cannot differ.
//!
//! A title that is the question, three facts, one link. Nothing of the evidence stands in it (pages.md, "Mails and cards").

use crate::gate::mail::Block;

/// Most items that a digest names; the inbox has the rest.
pub const DIGEST_ITEMS: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub title: String,
    pub facts: Vec<(&'static str, String)>,
    /// Questions of a digest, at most [`DIGEST_ITEMS`].
    pub items: Vec<String>,
    pub link: (&'static str, String),
    /// Sentences after the link.
    pub foot: Vec<String>,
}

const NO_KEY: &str = "The link only shows the way: nobody can decide without signing in. If nobody answers, nothing happens.";
const DEMO: &str = "DEMO: made with demo people and demo data.";

impl Notice {
    /// `decide_by` is said as people read it.
    pub fn of_proposal(question: &str, asked_by: &str, reasons: &[String], decide_by: String, link: String, demo: bool) -> Self {
        Self {
            title: question.into(),
            facts: vec![("Asked by", asked_by.into()), ("Why now", reasons.join(" ")), ("Decide by", decide_by)],
            items: Vec::new(),
            link: ("Sign in, look and decide", link),
            foot: foot(demo),
        }
    }

    /// One notice in place of many: `questions` of which the first are named, and the way to the inbox.
    pub fn digest(client: &str, questions: &[String], soonest: String, inbox: String, demo: bool) -> Self {
        let total = questions.len();
        Self {
            title: format!("{client}: {total} approvals wait"),
            facts: vec![("Soonest deadline", soonest)],
            items: questions.iter().take(DIGEST_ITEMS).cloned().collect(),
            link: ("Sign in and see all of them", inbox),
            foot: foot(demo),
        }
    }

    pub fn blocks(&self) -> Vec<Block> {
        let facts = self.facts.iter().map(|(label, value)| Block::Fact { label, value: value.clone() });
        let items = self.items.iter().map(|item| Block::Paragraph(item.clone()));
        let (label, url) = &self.link;
        [Block::Heading(self.title.clone())]
            .into_iter()
            .chain(facts)
            .chain(items)
            .chain([Block::Link { label, url: url.clone() }])
            .chain(self.foot.iter().map(|sentence| Block::Paragraph(sentence.clone())))
            .collect()
    }
}

fn foot(demo: bool) -> Vec<String> {
    [NO_KEY].into_iter().chain(demo.then_some(DEMO)).map(str::to_owned).collect()
}
