//! The steps about the installation: what it depends on, how approvers are told, and the lock of the logs' copies.

use time::Duration;

use super::{
    super::Reader,
    ANSWER, LOCK, azure,
    facts::{Essential, Facts, bad},
    step::{State, Step, step},
};
use crate::{
    platform::ports::Retention,
    triggers::health::doctor::Finding,
    web::pages::{Ago, Field, FieldKind, StepForm, paths},
};

/// In which the sweep asks the store again, with room.
const TOLD_AGAIN: Duration = Duration::hours(1);

pub(super) fn parts(facts: &Facts) -> Step {
    let look = facts.essentials.look.as_deref();
    let wrong: Vec<String> = look.into_iter().flat_map(bad).filter_map(said).collect();
    let (state, line) = match look.map(|look| look.findings.len()) {
        None => (State::Untold("Not looked yet"), "The instance that shows this page has not looked since it started.".to_owned()),
        Some(all) if wrong.is_empty() => (State::Done, format!("All {all} are as they should be, or come back by themselves.")),
        Some(all) => (State::Wrong, format!("{} of {all} are not as they should be. Health says what waits for each.", wrong.len())),
    };
    step(
        state,
        Essential::Parts.title(),
        "Databases, queues, keys and sign-in: with one of them missing, some function waits and nobody sees why.",
        "the last look found nothing that somebody has to mend.",
    )
    .says(line)
    .lists(wrong)
    .leads(paths::health(), if look.is_none() { "Look now, under Health" } else { "See all of it under Health" })
    .essential(Essential::Parts, facts)
}

/// What is wrong with a part, as the doctor says it.
fn said(finding: &Finding) -> Option<String> {
    let error = finding.outcome.as_ref().err()?;
    Some(format!("{}: {}; {}", finding.what, error.kind, error.advice()))
}

pub(super) fn told(reader: &Reader<'_>, facts: &Facts) -> Step {
    let config = &reader.app.config;
    let (title, why, done) = (
        "How approvers are told",
        "Who is not told finds a question only by looking under Approvals, and each has a deadline after which nothing is decided.",
        "cards or mails are on, and the last one was taken.",
    );
    let failing = facts.channels.iter().find(|channel| channel.is_failing());
    let last = facts.channels.iter().filter_map(|channel| channel.accepted_at).max();
    let is_sent = config.delivery.service.is_some() || config.delivery.teams.is_some();
    let (state, line) = match (is_sent, failing, last) {
        (false, ..) if config.mails => (
            State::Advised,
            "Mails are put into the mailbox, where nobody is told of them. For real approvers set ASSAY_MAIL to acs or smtp, or ASSAY_TEAMS.".to_owned(),
        ),
        (false, ..) => (
            State::Advised,
            "Nobody is told: what waits stands under Approvals only. Set ASSAY_MAIL to acs or smtp, or ASSAY_TEAMS for cards in Teams.".into(),
        ),
        (true, Some(channel), _) => (State::Wrong, format!("The last one by {} was refused: {}", channel.channel.word(), channel.why)),
        (true, None, Some(at)) => (State::Done, format!("The last one was taken {}.", Ago { at, now: reader.app.now() }.words())),
        (true, None, None) => (
            State::Advised,
            "It is on, and nothing was sent yet. Send a test there; that it was taken shows here then.".into(),
        ),
    };
    let demo = config.is_demo() && !is_sent;
    step(if demo { State::Nothing } else { state }, title, why, done)
        .says(if demo { "The demo puts mails into its mailbox, as files to look at.".to_owned() } else { line })
        .leads(paths::delivery(), "Send a test, and see what the next card and mail look like")
}

pub(super) fn lock(reader: &Reader<'_>, facts: &Facts, error: Option<&(&'static str, String)>) -> Step {
    let (title, why, done) = (
        "Lock of the logs\u{2019} copies",
        "Until it is locked, whoever manages the storage account can take back the copies that show that nobody rewrote the logs.",
        "Azure says that the policy of the container anchors is locked, by itself or as an owner has seen it and recorded.",
    );
    let Some(account) = azure::storage_account(reader.app) else {
        return step(State::Nothing, title, why, done).says(
            "The copies are kept in a folder, which has no lock: there is nothing to lock. Copy the folder anchors elsewhere now and then.",
        );
    };
    let told = facts.retention;
    let recorded = facts.lock.as_ref();
    let just_now = recorded.is_some_and(|lock| reader.app.now() - lock.at < TOLD_AGAIN);
    let state = match (told, recorded) {
        (Some(Retention::Locked { .. }), _) | (Some(Retention::Policy) | None, Some(_)) => State::Done,
        (Some(_), Some(_)) if just_now => State::Done,
        // Azure says otherwise than what was recorded.
        (Some(Retention::None | Retention::Unlocked { .. }), Some(_)) => State::Wrong,
        _ => State::Advised,
    };
    let mut step = step(state, title, why, done);
    if let Some(told) = told {
        let when = if just_now { "told before, and tells again within the hour" } else { "tells" };
        step = step.says(format!("What the store {when}: {}.", told.words(reader.app.now())));
    }
    if let Some(lock) = recorded {
        let (who, ago) = (reader.roster.person_name(lock.by), Ago { at: lock.at, now: reader.app.now() }.words());
        step = step.says(format!("{who} recorded {ago} that it is locked for {} days, as Azure answered.", lock.days));
        if state == State::Wrong {
            step = step.says("The two do not agree: find out whether another container was locked, and who changed this one.");
        }
    }
    if state == State::Done {
        return step.leads(paths::audit(), "See the log and its copies");
    }
    let has_policy = !matches!(told, None | Some(Retention::None));
    let mut answer = Field::new(
        ANSWER,
        "What Azure answers when the policy is shown",
        "All of it, from { to }. It is kept with your name; its hash stands in the audit trail.",
        FieldKind::Lines,
        reader.field(ANSWER),
    )
    .required();
    answer.error = error.filter(|(field, _)| *field == ANSWER).map(|(_, why)| why.clone());
    step = step
        .says("Locking cannot be undone, by nobody: no copy can be changed or deleted before its days are over, the days can only be made more, and neither the storage account nor its resource group can be deleted until then. So lock when you are sure that this installation stays. Assay has no right to lock: a person does, with the role Storage Account Contributor on the account for the day. Recording it takes a sign-in of the last ten minutes.")
        .copies(azure::lock_commands(reader.app, &account, has_policy));
    step.view.form = Some(StepForm {
        action: paths::record_lock(),
        token: reader.token(&[LOCK]),
        fields: vec![answer],
        label: "Record that it is locked",
        is_final: false,
    });
    step
}
