//! The steps of a first day: what each is for, how it stands, and the one thing to do next.

use askama::Template;

use super::{FieldKind, Frame, Link, StepForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "setup.html", config = "functions/web/pages/askama.toml")]
pub struct SetupPage {
    pub frame: Frame,
    pub steps: Vec<SetupStep>,
    /// Of the steps of which Assay can tell.
    pub done: usize,
    pub counted: usize,
    pub health_href: String,
    pub notice: Option<&'static str>,
    /// What is wrong with a form that came, by the field.
    pub errors: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
pub struct SetupStep {
    pub title: &'static str,
    pub tag: Tag,
    /// Nothing can be approved before.
    pub blocks: bool,
    pub why: &'static str,
    /// How it stands, a sentence each.
    pub lines: Vec<String>,
    pub done_means: &'static str,
    /// The one thing to do, or where to look.
    pub next: Option<Link>,
    /// To run or open elsewhere, each with what it is for.
    pub to_copy: Vec<(String, String)>,
    pub form: Option<StepForm>,
}

impl SetupPage {
    /// The steps that nothing can be approved without, with their numbers.
    fn blocking(&self) -> Vec<(usize, &'static str)> {
        self.steps.iter().enumerate().filter(|(_, step)| step.blocks).map(|(n, step)| (n + 1, step.title)).collect()
    }
}
