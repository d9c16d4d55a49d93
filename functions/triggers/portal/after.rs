//! What people do about a proposal beside approving and rejecting it: review it after the fact, or record that they did it.

use time::{Date, macros::format_description};

use super::{Reader, approvals, clients};
use crate::{
    connectors::file::{self, FileError, LinkOut},
    evidence::EvidenceRef,
    gate::{Decision, Level, Proposal, Refusal, Verdict, machine::settled},
    readiness::{
        map::evidence_map,
        submission::{self, SubmissionError},
    },
    tenancy::{
        ClientPlace, ProposalId, Scope, TenantId,
        directory::{Grant, Role},
    },
    web::{
        Problem, Reply,
        pages::{DoneForm, Field, FieldError, FieldKind, ProposalPage, paths},
        reply,
    },
};

/// The verdict that a button of the forms after the fact says.
pub(super) fn verdict(word: &str) -> Option<Verdict> {
    match word {
        "uphold" => Some(Verdict::Uphold),
        "escalate" => Some(Verdict::Escalate),
        "override" => Some(Verdict::Override),
        "done" => Some(Verdict::Done),
        _ => None,
    }
}

const MAX_REFERENCE: usize = 200;

/// The form by which somebody records that they did what only a person does, or says that it is not to be done. `blocked`:
/// why it cannot be recorded now.
pub(super) fn done_form(reader: &Reader<'_>, form: DoneForm, blocked: Option<String>, errors: &[FieldError]) -> DoneForm {
    let field = |name, label, hint: &str, kind| Field::new(name, label, hint, kind, reader.field(name)).required().with_errors(errors);
    let mut fields = Vec::new();
    if blocked.is_none() {
        let reference = "What the other side gave you: a confirmation number or an entry\u{2019}s name";
        fields.extend([
            field("done_on", "Day on which you did it", "", FieldKind::Date),
            field("reference", "Reference", reference, FieldKind::Text),
            field("title", "What shows it", "The document or screenshot by its name", FieldKind::Text),
            field("place", "Where that is kept", "A place that the client can open", FieldKind::Text),
            field("sha256", "SHA-256 of the file", "64 characters; it proves later which file was meant", FieldKind::Text),
        ]);
    }
    if form.may_reject {
        fields.push(approvals::because("If you reject: why", reader.field(approvals::BECAUSE), errors));
    }
    if form.may_reject || blocked.is_none() {
        let hint = if form.may_reject { "Needed to reject" } else { "May be left out" };
        fields.push(Field::new("comment", "Comment", hint, FieldKind::Prose(1000), reader.field("comment")).with_errors(errors));
    }
    DoneForm { blocked, fields, ..form }
}

/// What the form was about when it was opened.
pub(super) struct Seen<'a> {
    pub(super) version: u32,
    pub(super) hash: &'a str,
}

/// Whether a deed can be recorded.
pub(super) enum Recording {
    Open,
    /// By this person, of what they saw: the same form once more.
    Recorded,
    Refused(Refusal),
    /// What was asked is not so any more; the page says what is.
    Overtaken,
}

/// Looked at before anything is filed: what shows a deed stays, so it is filed for none that cannot be recorded. The gate
/// looks again when it is, at all but the score, of which it knows nothing.
pub(super) async fn may_record(
    reader: &Reader<'_>,
    scope: &Scope,
    grant: &Grant,
    id: ProposalId,
    seen: &Seen<'_>,
) -> Result<Recording, Problem> {
    if !grant.has(Role::Approver) {
        return Ok(Recording::Refused(Refusal::NotApprover));
    }
    let store = scope.store(reader.app).await?;
    let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or_else(Problem::not_found)?;
    let proposal = held.value;
    let is_same = |one: &Decision| {
        let Decision { person, verdict, version, hash, .. } = one;
        *person == reader.person.id && *verdict == Verdict::Done && *version == seen.version && *hash == *seen.hash
    };
    Ok(match settled(&proposal) {
        _ if proposal.decisions.iter().any(is_same) => Recording::Recorded,
        Some(refusal) => Recording::Refused(refusal),
        None if reader.app.now() >= proposal.decide_by => Recording::Refused(Refusal::Expired { at: proposal.decide_by }),
        None if proposal.level() != Level::L3 => Recording::Refused(Refusal::NotAsked),
        None if proposal.version != seen.version => Recording::Refused(Refusal::WrongVersion { current: proposal.version }),
        None if proposal.hash != *seen.hash => Recording::Refused(Refusal::WrongHash),
        None if submission::overtaken(&store, &proposal).await?.is_some() => Recording::Overtaken,
        None => Recording::Open,
    })
}

/// The comment and the record of what was typed, which is filed first; sent twice, it is filed once.
pub(super) async fn deed(
    reader: &Reader<'_>,
    scope: &Scope,
    id: ProposalId,
) -> Result<Result<(String, EvidenceRef), Vec<FieldError>>, Problem> {
    let [reference, title, place, hash, comment] = ["reference", "title", "place", "sha256", "comment"].map(|name| reader.field(name));
    let day = Date::parse(&reader.field("done_on"), format_description!("[year]-[month]-[day]")).ok();
    let mut errors = Vec::new();
    if reference.is_empty() || reference.chars().count() > MAX_REFERENCE {
        errors.push(FieldError { field: "reference", message: format!("Give the reference, in at most {MAX_REFERENCE} characters.") });
    }
    let Some(day) = day else {
        errors.push(FieldError { field: "done_on", message: "Give the day on which you did it.".into() });
        return Ok(Err(errors));
    };
    if day > reader.app.now().date() {
        errors.push(FieldError { field: "done_on", message: "That day lies in the future. Record it when it is done.".into() });
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    let form =
        clients::form_id(&[reader.person.id.to_string(), id.to_string(), title.clone(), place.clone(), hash.clone(), day.to_string()]);
    let link = LinkOut { name: title, place, hash, approved_on: day, form };
    match file::file(&scope.store(reader.app).await?, link).await {
        Ok(record) => {
            let shown_by = evidence_map().cite(&record);
            let more = if comment.is_empty() { String::new() } else { format!(" {comment}") };
            let said =
                format!("Done on {day}. Reference: {reference}. Shown by \u{201c}{}\u{201d}, SHA-256 {}.{more}", record.title, record.hash);
            Ok(Ok((said, shown_by)))
        }
        Err(FileError::Form(error)) => Ok(Err(vec![error])),
        Err(FileError::NotSignedIn) => Err(Problem::forbidden("Only a signed-in person can record this.")),
        Err(FileError::Store(error)) => Err(error.into()),
    }
}

/// An engineer asks that the client's score be submitted.
pub(super) async fn ask_for_submission(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (client, grant) = reader.engineer_of(tenant)?;
    reader.must_be_own_form(&[SPRS, &client.id.to_string()])?;
    match submission::propose(reader.app, &reader.scope(grant), &client.name).await {
        Ok(id) => Ok(reply::redirect(&paths::proposal(client.id, id))),
        Err(SubmissionError::NoScore) => Err(Problem::conflict(
            "There is no score to submit while a human has not found 3.12.4, the system security plan, MET. Nothing was asked.",
        )),
        Err(SubmissionError::Store(error)) => Err(error.into()),
    }
}

pub(super) const SPRS: &str = "sprs";

/// Fills what one answer uses up into the forms that are on the page; without it there are none.
pub(super) fn put_permit(page: &mut ProposalPage, filled: Option<(&str, &str)>) {
    let Some((token, permit)) = filled else {
        (page.review, page.done) = (None, None);
        return;
    };
    if let Some(form) = &mut page.review {
        (form.token, form.permit) = (token.into(), permit.into());
    }
    if let Some(form) = &mut page.done {
        (form.token, form.permit) = (token.into(), permit.into());
    }
}

/// The page of the proposal, with what is wrong with the form by which somebody records a deed.
pub(super) async fn not_recorded(reader: &Reader<'_>, tenant: TenantId, id: ProposalId, errors: &[FieldError]) -> Result<Reply, Problem> {
    approvals::returned(reader, 422, tenant, id, errors).await
}
