//! One notice in place of many that wait for one reader on one channel.

use super::Notice;
use crate::{
    app::App,
    gate::{mail::Mail, notify, proposal::Proposal},
    tenancy::directory::Person,
    web::pages::paths,
};

pub(super) fn notice(app: &App, client: &str, proposals: &[&Proposal]) -> Notice {
    let soonest = proposals.iter().map(|proposal| proposal.decide_by).min().unwrap_or_else(|| app.now());
    let questions: Vec<String> = proposals.iter().map(|proposal| proposal.draft.question.clone()).collect();
    let inbox = app.config.link(paths::inbox().trim_start_matches("/api/"));
    let soonest = soonest.format(notify::EXACT).unwrap_or_default();
    Notice::digest(client, &questions, soonest, inbox, app.config.is_demo())
}

/// The mail in place of that of the first, whose notice has this key.
pub(super) fn mail(app: &App, client: &str, proposals: &[&Proposal], to: &Person, key: &str) -> Mail {
    let notice = notice(app, client, proposals);
    let mail = notify::compose(app, client, proposals[0], to, key, &notice);
    Mail { subject: notice.title, message_id: format!("digest.{}", mail.message_id), ..mail }
}
