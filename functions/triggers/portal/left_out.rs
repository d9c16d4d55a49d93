//! Asking that a reviewer's decisions teach Assay nothing: a change of the policy, which another approver decides.

use std::collections::BTreeSet;

use super::{Reader, analytics};
use crate::{
    gate::{
        Policy,
        amend::{self, AmendError},
        inbox,
        policy::{self, CHANGE_POLICY, SignedPolicy},
    },
    tenancy::{
        ClientPlace, PersonId,
        directory::{Grant, Role},
    },
    web::{
        Problem, Reply,
        pages::{Choice, Field, FieldError, FieldKind, Link, RuleForm, paths},
        reply,
    },
};

const MAX_REASON: usize = 2000;

pub(super) fn may_ask(grant: &Grant) -> bool {
    grant.has(Role::Engineer) || grant.has(Role::Approver)
}

/// A reload after a form that came back.
pub(super) fn back(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, _) = reader.client(tenant)?;
    Ok(reply::redirect(&paths::client_analytics(tenant.id)))
}

pub(super) fn form(reader: &Reader<'_>, grant: &Grant, errors: &[FieldError], today: Option<&BTreeSet<PersonId>>) -> Option<RuleForm> {
    let today = today.filter(|_| may_ask(grant))?;
    let approvers = reader.roster.grants_of(grant.tenant(), reader.app.now()).filter(|other| other.has(Role::Approver));
    let people: BTreeSet<PersonId> = approvers.map(|other| other.person).chain(today.iter().copied()).collect();
    let of = |person: &PersonId| {
        let now = if today.contains(person) { ", left out now" } else { "" };
        Choice { value: person.to_string(), label: format!("{}{now}", reader.roster.person_name(*person)) }
    };
    let counts = [("out", "Leave out what they decided"), ("in", "Learn from what they decided again")];
    let counts = counts.map(|(value, label)| Choice { value: value.into(), label: label.into() });
    let why = "The approver reads this first, and it is recorded.";
    let fields = vec![
        Field::new("reviewer", "Whose decisions", "", FieldKind::OneOf(people.iter().map(of).collect()), reader.field("reviewer"))
            .required(),
        Field::new("count", "What is asked", "", FieldKind::OneOf(counts.into()), reader.field("count")).required(),
        Field::new("why", "Why", why, FieldKind::Prose(MAX_REASON), reader.field("why")).required(),
    ];
    Some(RuleForm {
        action: paths::leave_out(grant.tenant()),
        token: reader.token(&["leave-out", &grant.tenant().to_string()]),
        kind: None,
        groups: vec![],
        fields: fields.into_iter().map(|field| field.with_errors(errors)).collect(),
    })
}

/// The change of the policy that waits, for who may ask for one: until it is decided there is no other.
pub(super) async fn waits(reader: &Reader<'_>, grant: &Grant) -> Result<Option<Link>, Problem> {
    if !may_ask(grant) {
        return Ok(None);
    }
    // The form says it too, when it is sent.
    let open = match inbox::lately(reader.app, grant, reader.correlation()).await {
        Err(error) if error.concerns_one_record() => return Ok(None),
        other => other?,
    };
    let change = open.iter().find(|mark| mark.kind == CHANGE_POLICY);
    Ok(change.map(|mark| Link::new(paths::proposal(grant.tenant(), mark.proposal), mark.question.clone())))
}

pub(super) async fn ask(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(id)?;
    if !may_ask(grant) {
        return Err(Problem::forbidden("Only an engineer or approver of this client can ask for this. Nothing was done."));
    }
    reader.must_be_own_form(&["leave-out", &tenant.id.to_string()])?;
    let scope = reader.scope(grant);
    let store = scope.store(reader.app).await?;
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, policy::KEY).await?;
    let today = match policy::shown(&store, &reader.roster, found.as_ref()).await? {
        Ok(today) => today,
        Err(unsound) => return Err(Problem::conflict(unsound.sentence())),
    };
    drop(store);
    let wanted = match wanted(reader, grant, today) {
        Ok(wanted) => wanted,
        Err(error) => return analytics::of_one(reader, id, &[error]).await,
    };
    let seen = Some(wanted.version);
    match amend::propose_over(reader.app, &scope, &tenant.name, (wanted, seen), &reader.field("why")).await {
        Ok(proposal) => Ok(reply::redirect(&paths::proposal(tenant.id, proposal))),
        Err(AmendError::Waits(_)) => analytics::of_one(reader, id, &[FieldError { field: "reviewer", message: amend::WAITS.into() }]).await,
        Err(AmendError::Fault(fault)) => {
            analytics::of_one(reader, id, &[FieldError { field: "reviewer", message: fault.to_string() }]).await
        }
        Err(AmendError::Marked) => analytics::of_one(reader, id, &[FieldError { field: "why", message: amend::MARKED.into() }]).await,
        Err(AmendError::Moved) => Err(Problem::conflict("The policy changed at this moment. Nothing was asked: open the page again.")),
        Err(AmendError::Unsound(unsound)) => Err(Problem::conflict(unsound.sentence())),
        Err(AmendError::Store(error)) => Err(error.into()),
    }
}

/// The policy with what was typed.
fn wanted(reader: &Reader<'_>, grant: &Grant, today: Policy) -> Result<Policy, FieldError> {
    let wrong = |field, message: String| Err(FieldError { field, message });
    let mut left_out = today.left_out.clone();
    let is_known = |person: &PersonId| {
        today.left_out.contains(person)
            || reader.roster.grants_of(grant.tenant(), reader.app.now()).any(|other| other.person == *person && other.has(Role::Approver))
    };
    let Some(person) = reader.field("reviewer").parse::<PersonId>().ok().filter(is_known) else {
        return wrong("reviewer", "Choose whose decisions it is about.".into());
    };
    match reader.field("count").as_str() {
        "out" => left_out.insert(person),
        "in" => left_out.remove(&person),
        _ => return wrong("count", "Choose what is asked.".into()),
    };
    let why = reader.field("why");
    if why.is_empty() || why.chars().count() > MAX_REASON {
        return wrong("why", format!("Say why, in at most {MAX_REASON} characters: the approver decides on your reason."));
    }
    Ok(Policy { left_out, ..today })
}
