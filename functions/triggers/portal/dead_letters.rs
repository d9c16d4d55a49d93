//! Dead letters: what could not be processed, why, and the buttons to try again, one or all of a reason, or to put away.

use std::collections::BTreeMap;

use super::Reader;
use crate::{
    audit::dead_letter::{self, DeadLetter, DeadLetterState},
    tenancy::seal::sha256,
    web::{
        Problem, Reply,
        pages::{DeadLetterStand, DeadLetterView, DeadLettersPage, Link, PostForm, SameReason, Section, paths},
        reply,
    },
};

const SEEN_TO: &str = "Written down: the message stays listed here and is no longer counted.";

/// Dead letters on one page.
const PAGE: usize = 50;

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let from = number(reader, "from").unwrap_or_default();
    let dead_letter::Letters { readable, unreadable } = dead_letter::each(reader.app, &reader.deployment_scope()).await?;
    let same_reason = if from == 0 { same_reason(reader, &readable).await } else { Vec::new() };
    let more = readable.len() > from.saturating_add(PAGE);
    let mut letters = Vec::new();
    for letter in readable.into_iter().skip(from).take(PAGE) {
        letters.push(view(reader, letter).await);
    }
    Ok(reply::page(
        200,
        &DeadLettersPage {
            frame: reader.frame(Section::Connections).await?,
            same_reason,
            letters,
            unreadable: if from == 0 { unreadable } else { Vec::new() },
            older: more.then(|| Link::new(format!("{}?from={}", paths::dead_letters(), from + PAGE), "More")),
            notice: notice(reader),
        },
    ))
}

async fn view(reader: &Reader<'_>, letter: DeadLetter) -> DeadLetterView {
    let form = |action: String, what: &str, label: &str| PostForm {
        action,
        token: reader.token(&[what, &letter.id]),
        fields: vec![],
        label: label.into(),
    };
    let state = match (&letter.replayed, &letter.seen) {
        (_, Some(seen)) => DeadLetterStand::SeenTo(seen.by.clone(), seen.at),
        (Some(replayed), _) => DeadLetterStand::Replayed(replayed.by.clone(), replayed.at),
        (None, None) => DeadLetterStand::Waiting {
            replay: dead_letter::may_be_tried_again(reader.app, &letter)
                .await
                .then(|| form(paths::replay(&letter.id), "replay", "Try again")),
            see_to: form(paths::see_to_dead_letter(&letter.id), "see to letter", "I have seen to it"),
        },
    };
    DeadLetterView {
        state,
        function: letter.queue,
        reason: letter.reason,
        about: (letter.times > 1).then(|| format!("came back {} times", letter.times - 1)),
        at: letter.at,
        id: letter.id,
    }
}

/// A cause such as a revoked key stops every message that comes meanwhile: one button for all of them.
async fn same_reason(reader: &Reader<'_>, letters: &[DeadLetter]) -> Vec<SameReason> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters.iter().filter(|letter| letter.state == DeadLetterState::Waiting) {
        if dead_letter::may_be_tried_again(reader.app, letter).await {
            *counts.entry(&letter.reason).or_default() += 1;
        }
    }
    let several = counts.into_iter().filter(|(_, waiting)| *waiting > 1);
    several
        .map(|(reason, waiting)| SameReason {
            reason: reason.to_owned(),
            waiting,
            replay: PostForm {
                action: paths::replay_all(),
                token: reader.token(&["replay all", reason]),
                fields: vec![("reason".into(), reason.to_owned())],
                label: "Try all of this reason again".into(),
            },
            id: format!("reason-{}", &sha256(reason.as_bytes())[..8]),
        })
        .collect()
}

fn notice(reader: &Reader<'_>) -> Option<String> {
    if let Some(done) = reader.done("seen") {
        return Some(if done == "1" { SEEN_TO } else { "Somebody has dealt with it already." }.into());
    }
    let done = reader.done("replayed")?;
    let (sent, left) = done.split_once(' ')?;
    let (sent, left): (usize, usize) = (sent.parse().ok()?, left.parse().ok()?);
    let again = "What fails again comes back here.";
    Some(match (sent, left) {
        (0, _) => "Nothing was sent: somebody had sent it again already.".into(),
        (1, 0) => "Sent again. If it fails again, it comes back here.".into(),
        (_, 0) => format!("{sent} messages were sent again. {again}"),
        (_, 1) => format!("{sent} messages were sent again; 1 of the same reason still waits. {again}"),
        _ => format!("{sent} messages were sent again; {left} of the same reason still wait: press again to go on. {again}"),
    })
}

fn number(reader: &Reader<'_>, name: &str) -> Option<usize> {
    reader.request.query_value(name)?.parse().ok()
}

pub(super) async fn replay(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    reader.must_be_own_form(&["replay", id])?;
    let scope = reader.deployment_scope();
    if !dead_letter::is_known(reader.app, &scope, id).await? {
        return Err(Problem::not_found());
    }
    let sent = dead_letter::replay(reader.app, &scope, id, &reader.person.name).await?;
    Ok(reader.back_to(&paths::dead_letters(), "replayed", &format!("{} 0", u8::from(sent))))
}

pub(super) async fn see_to(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    reader.must_be_own_form(&["see to letter", id])?;
    let scope = reader.deployment_scope();
    if !dead_letter::is_known(reader.app, &scope, id).await? {
        return Err(Problem::not_found());
    }
    let done = dead_letter::see_to(reader.app, &scope, id, &reader.person.name).await?;
    Ok(reader.back_to(&paths::dead_letters(), "seen", if done { "1" } else { "0" }))
}

pub(super) async fn replay_all(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let reason = reader.request.form_value("reason").unwrap_or_default();
    reader.must_be_own_form(&["replay all", &reason])?;
    let done = dead_letter::replay_all(reader.app, &reader.deployment_scope(), &reason, &reader.person.name).await?;
    Ok(reader.back_to(&paths::dead_letters(), "replayed", &format!("{} {}", done.sent, done.left)))
}
