//! Dead letters: what could not be processed, why, and the buttons to try again, one or all of a reason.

use std::collections::BTreeMap;

use super::Reader;
use crate::{
    audit::dead_letter::{self, DeadLetter, DeadLetterState},
    tenancy::seal::sha256,
    web::{
        Problem, Reply,
        pages::{DeadLetterView, DeadLettersPage, Link, PostForm, SameReason, Section, paths},
        reply,
    },
};

/// Dead letters on one page.
const PAGE: usize = 50;

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let from = number(reader, "from").unwrap_or_default();
    let letters = dead_letter::all(reader.app, &reader.deployment_scope()).await?;
    let same_reason = if from == 0 { same_reason(reader, &letters) } else { Vec::new() };
    let more = letters.len() > from.saturating_add(PAGE);
    let letters = letters.into_iter().skip(from).take(PAGE).map(|letter| view(reader, letter)).collect();
    Ok(reply::page(
        200,
        &DeadLettersPage {
            frame: reader.frame(Section::Connections).await?,
            same_reason,
            letters,
            older: more.then(|| Link::new(format!("{}?from={}", paths::dead_letters(), from + PAGE), "More")),
            notice: notice(reader),
        },
    ))
}

fn view(reader: &Reader<'_>, letter: DeadLetter) -> DeadLetterView {
    DeadLetterView {
        replay: (letter.state == DeadLetterState::Waiting).then(|| PostForm {
            action: paths::replay(&letter.id),
            token: reader.token(&["replay", &letter.id]),
            fields: vec![],
            label: "Try again".into(),
        }),
        function: letter.queue,
        reason: letter.reason,
        about: (letter.times > 1).then(|| format!("came back {} times", letter.times - 1)),
        at: letter.at,
        replayed: letter.replayed.map(|replay| (replay.by, replay.at)),
        id: letter.id,
    }
}

/// A cause such as a revoked key stops every message that comes meanwhile: one button for all of them.
fn same_reason(reader: &Reader<'_>, letters: &[DeadLetter]) -> Vec<SameReason> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters.iter().filter(|letter| letter.state == DeadLetterState::Waiting) {
        *counts.entry(&letter.reason).or_default() += 1;
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
    let sent = number(reader, "replayed")?;
    let left = number(reader, "left").unwrap_or_default();
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
    Ok(reply::redirect(&format!("{}?replayed={}", paths::dead_letters(), u8::from(sent))))
}

pub(super) async fn replay_all(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let reason = reader.request.form_value("reason").unwrap_or_default();
    reader.must_be_own_form(&["replay all", &reason])?;
    let done = dead_letter::replay_all(reader.app, &reader.deployment_scope(), &reason, &reader.person.name).await?;
    Ok(reply::redirect(&format!("{}?replayed={}&left={}", paths::dead_letters(), done.sent, done.left)))
}
