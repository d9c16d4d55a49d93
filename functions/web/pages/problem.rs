//! The error page: what happened, what was kept, what to do next, and a reference that the log carries too.

use askama::Template;

use super::{Frame, Link};
use crate::web::Problem;

#[derive(Clone, Debug, Template)]
#[template(path = "problem.html", config = "functions/web/pages/askama.toml")]
pub struct ProblemPage {
    pub frame: Frame,
    pub status: u16,
    pub title: String,
    pub detail: String,
    pub reference: String,
    /// What the form held that was not taken, by label.
    pub typed: Vec<(&'static str, String)>,
    pub way_on: Link,
}

impl ProblemPage {
    pub fn new(frame: Frame, problem: &Problem, reference: &str, way_on: Link) -> Self {
        Self {
            frame,
            status: problem.status,
            title: problem.title.to_owned(),
            detail: problem.detail.clone(),
            reference: reference.to_owned(),
            typed: Vec::new(),
            way_on,
        }
    }
}
