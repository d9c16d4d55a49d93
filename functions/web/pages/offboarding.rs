//! The end of a client, step by step: what is done, what comes next and from when on.

use askama::Template;

use super::{Field, FieldKind, Frame, Link, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "offboarding.html", config = "functions/web/pages/askama.toml")]
pub struct OffboardingPage {
    pub frame: Frame,
    pub client: String,
    pub clients_href: String,
    pub people_href: String,
    pub steps: Vec<StepView>,
    /// Until the data keys are destroyed.
    pub take_back: Option<StepForm>,
    pub notice: Option<&'static str>,
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub struct StepView {
    pub title: &'static str,
    pub tag: Tag,
    /// A sentence each.
    pub lines: Vec<String>,
    /// A command to run elsewhere, as it is.
    pub command: Option<String>,
    pub forms: Vec<StepForm>,
    pub link: Option<Link>,
    /// A text to read, such as the certificate.
    pub text: Option<String>,
}

#[derive(Clone, Debug)]
pub struct StepForm {
    pub action: String,
    pub token: String,
    pub fields: Vec<Field>,
    pub label: &'static str,
    /// What it ends cannot be begun again.
    pub is_final: bool,
}
