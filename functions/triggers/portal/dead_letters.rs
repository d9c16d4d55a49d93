//! Dead letters: what could not be processed, why, and the button to try again.

use super::Reader;
use crate::{
    audit::dead_letter::{self, DeadLetterState},
    platform::ports::Continuation,
    web::{
        Problem, Reply,
        pages::{DeadLetterView, DeadLettersPage, Link, PostForm, Section, paths},
        reply,
    },
};

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let after = reader.request.query_value("after").map(Continuation);
    let (letters, next) = dead_letter::list(reader.app, &reader.deployment_scope(), after).await?;
    let letters = letters
        .into_iter()
        .map(|letter| DeadLetterView {
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
        })
        .collect();
    Ok(reply::page(
        200,
        &DeadLettersPage {
            frame: reader.frame(Section::Connections).await?,
            letters,
            older: next.map(|next| Link::new(format!("{}?after={}", paths::dead_letters(), next.0), "More")),
            notice: reader.request.query_value("replayed").map(|_| "Sent again. If it fails again, it comes back here.".into()),
        },
    ))
}

pub(super) async fn replay(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    reader.must_be_own_form(&["replay", id])?;
    dead_letter::replay(reader.app, &reader.deployment_scope(), id, &reader.person.name).await?;
    Ok(reply::redirect(&format!("{}?replayed=1", paths::dead_letters())))
}
