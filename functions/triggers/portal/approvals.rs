//! The approval inbox and the decision page.

use time::Duration;

use super::{
    Reader,
    after::{self, Recording, Seen},
    link, policy,
};
use crate::{
    gate::{
        self, Answer, Capacity, DecideError, Refusal, Represented, Verdict,
        decide::NOBODY_LEFT,
        delivery::viewed,
        learning::{Because, Look},
        link::Permit,
        policy::CHANGE_POLICY,
        state::State,
        view,
    },
    readiness::{self, catalogue::catalogue, propose::MAX_REASON, submission},
    tenancy::{
        Actor, ClientPlace, PersonId, ProposalId, StoreError, TenantId,
        directory::{Proof, Role},
    },
    web::{
        Problem, Reply,
        pages::{
            Choice, Field, FieldError, FieldKind, Link, ProposalPage, ProposalState, Run, Section, Side, TakeBackForm, WithdrawForm, paths,
        },
        problem::chain,
        reply, step_up,
    },
};

/// Items on a page of the inbox.
const PAGE: usize = 50;

pub(super) async fn inbox(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let after = reader.request.query_value("after");
    let inbox = reader.inbox(after.as_deref(), PAGE).await?;
    let mut page = view::inbox_page(reader.frame(Section::Approvals).await?, inbox, link::led_here(reader));
    for item in page.yours.iter_mut().chain(&mut page.others) {
        item.about = catalogue().objective(&item.subject).map(|determination| determination.text.to_owned());
    }
    page.first = after.map(|_| Link::new(paths::inbox(), "First page"));
    viewed::note(reader.app, reader.person.id, viewed::Page::Inbox);
    Ok(reply::page(200, &page))
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant, id) = ids(tenant, id)?;
    let shown = page(reader, 200, tenant, id, view::Returned::default(), &[]).await?;
    viewed::note(reader.app, reader.person.id, viewed::Page::Proposal(tenant, id));
    Ok(shown)
}

/// The page of the finding that somebody asks to take back, with what is wrong with the form.
pub(super) async fn not_taken_back(reader: &Reader<'_>, tenant: TenantId, id: ProposalId, message: String) -> Result<Reply, Problem> {
    page(reader, 422, tenant, id, view::Returned::default(), &[FieldError { field: "reason", message }]).await
}

/// Where a refused form leaves the browser's address: opened again, it is the page of the proposal.
pub(super) fn back(tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant, id) = ids(tenant, id)?;
    Ok(reply::redirect(&paths::proposal(tenant, id)))
}

pub(super) async fn decide(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant_id, id) = ids(tenant, id)?;
    let (_, grant) = reader.client(tenant)?;
    let (version, hash) = (reader.field("version"), reader.field("hash"));
    let permit = Permit::read(reader.app, tenant_id, id, reader.person.id, &hash, &reader.field("permit")).await?;
    let jti = permit.as_ref().map(|permit| permit.jti.as_str()).unwrap_or_default();
    let shown_at = reader.must_be_own_timed_form(&words(id, &version, &hash, jti).each_ref().map(String::as_str))?;
    let permit = permit.map_err(|_| Problem::foreign_form(OLD_PAGE))?;
    let decision = reader.field("decision");
    let verdict = match decision.as_str() {
        "approve" | "alone" => Verdict::Approve,
        "reject" => Verdict::Reject,
        other => match after::verdict(other) {
            Some(verdict) => verdict,
            None => return Err(Problem::bad_request("The form says neither approve nor reject. Nothing was decided.")),
        },
    };
    if decision == "alone" || verdict == Verdict::Done {
        reader.must_have_proved_it()?;
    }
    if verdict == Verdict::Done && !reader.field("in_place_of").is_empty() {
        return Err(Problem::bad_request(Refusal::DeedForAnother.sentence()));
    }
    let version = version.parse().map_err(|_| Problem::bad_request("The form has no version. Nothing was decided."))?;
    let says_no = matches!(verdict, Verdict::Reject | Verdict::Override);
    let look = Look { shown_at: Some(shown_at), because: Because::of_key(&reader.field(BECAUSE)).filter(|_| says_no) };
    if says_no && look.because.is_none() {
        let what = if verdict == Verdict::Reject { "reject it" } else { "have it undone" };
        let message = format!("Choose why you {what}: what Assay should learn of it depends on that.");
        let error = FieldError { field: BECAUSE, message };
        let returned = view::Returned { comment: reader.field("comment"), ..view::Returned::default() };
        return page(reader, 422, tenant_id, id, returned, &[error]).await;
    }
    let scope = reader.scope(grant);
    let (comment, evidence) = match verdict {
        Verdict::Done => {
            match after::may_record(reader, &scope, grant, id, &Seen { version, hash: &hash }).await? {
                Recording::Open => {}
                Recording::Recorded => return Ok(reply::redirect(&paths::proposal(tenant_id, id))),
                Recording::Refused(refusal) => return refused(reader, tenant_id, id, reader.field("comment"), &refusal).await,
                Recording::Overtaken => return returned(reader, 409, tenant_id, id, &[]).await,
            }
            match Box::pin(after::deed(reader, &scope, id)).await? {
                Ok((said, shown_by)) => (said, vec![shown_by]),
                Err(errors) => return after::not_recorded(reader, tenant_id, id, &errors).await,
            }
        }
        _ => (reader.field("comment"), vec![]),
    };
    let answer = Answer { verdict, version, hash, comment };
    let stands_for = match reader.field("in_place_of").as_str() {
        "" => None,
        seat => Some(represented(reader, tenant_id, seat)?),
    };
    let capacity = {
        let Proof { at, contexts, .. } = reader.proof();
        Capacity {
            stands_for,
            signed_in_at: *at,
            acrs: (!contexts.is_empty()).then(|| contexts.join(" ")),
            look,
            permit: Some(permit),
            break_glass: decision == "alone",
            evidence,
            roster: Some(reader.roster.clone()),
        }
    };
    match gate::decide_as(reader.app, &scope, grant, &reader.person, id, &answer, &capacity).await {
        Ok(_) => Ok(reply::redirect(&paths::proposal(tenant_id, id))),
        Err(DecideError::NotFound) => Err(Problem::not_found()),
        Err(DecideError::Store(error)) => Err(error.into()),
        // An ordinary sign-in would come back from an open one, as old as before.
        Err(DecideError::Refused(Refusal::SignInTooOld { minutes })) => Err(reader.to_prove(Duration::minutes(minutes.into()))),
        Err(DecideError::Refused(Refusal::SignInTooWeak)) => Err(reader.to_prove(step_up::FRESH)),
        Err(DecideError::Refused(refusal)) => refused(reader, tenant_id, id, answer.comment, &refusal).await,
        Err(DecideError::NobodyLeft) => {
            let returned = view::Returned { comment: answer.comment, error: Some(NOBODY_LEFT.into()), too_late: false };
            page(reader, 409, tenant_id, id, returned, &[]).await
        }
    }
}

/// The page again, with why the answer was not taken.
async fn refused(reader: &Reader<'_>, tenant: TenantId, id: ProposalId, comment: String, refusal: &Refusal) -> Result<Reply, Problem> {
    let status = match refusal {
        _ if refusal.is_about_the_form() => 422,
        _ if refusal.is_about_the_person() => 403,
        Refusal::Expired { .. } => 410,
        _ => 409,
    };
    let too_late = matches!(refusal, Refusal::AlreadyDecided { .. });
    let returned = view::Returned { comment, error: Some(refusal.sentence()), too_late };
    page(reader, status, tenant, id, returned, &[]).await
}

/// In whose place somebody answers; whether they were asked to, the gate knows.
fn represented(reader: &Reader<'_>, tenant: TenantId, seat: &str) -> Result<Represented, Problem> {
    let person: PersonId = seat.parse().map_err(|_| Problem::bad_request("The form names nobody to stand in for. Nothing was decided."))?;
    let may_sign_in = reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now()).any(|one| one.id == person);
    let approves = reader.roster.grants_of(tenant, reader.app.now()).any(|grant| grant.person == person && grant.has(Role::Approver));
    Ok(Represented { person, name: reader.roster.person_name(person), may_approve: may_sign_in && approves })
}

pub(super) async fn withdraw(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant_id, id) = ids(tenant, id)?;
    let (_, grant) = reader.client(tenant)?;
    reader.must_be_own_form(&["withdraw", &tenant_id.to_string(), &id.to_string()])?;
    match gate::withdraw(reader.app, &reader.scope(grant), id).await {
        Ok(_) => Ok(reply::redirect(&paths::proposal(tenant_id, id))),
        Err(DecideError::NotFound) => Err(Problem::not_found()),
        Err(DecideError::Store(error)) => Err(error.into()),
        Err(DecideError::Refused(refusal)) if refusal.is_about_the_person() => Err(Problem::forbidden(refusal.sentence())),
        Err(DecideError::Refused(refusal)) => Err(Problem::conflict(refusal.sentence())),
        Err(DecideError::NobodyLeft) => Err(Problem::conflict(NOBODY_LEFT)),
    }
}

/// The page with the form that comes back.
pub(super) async fn returned(
    reader: &Reader<'_>,
    status: u16,
    tenant: TenantId,
    id: ProposalId,
    errors: &[FieldError],
) -> Result<Reply, Problem> {
    page(reader, status, tenant, id, view::Returned::default(), errors).await
}

/// `errors`: of the decision's form, or of the one that asks to take a finding back.
async fn page(
    reader: &Reader<'_>,
    status: u16,
    tenant: TenantId,
    id: ProposalId,
    returned: view::Returned,
    errors: &[FieldError],
) -> Result<Reply, Problem> {
    let (app, eyes) = (reader.app, reader.eyes());
    // A proposal of a client without a grant looks like one that does not exist.
    let (_, grant) = reader.client(&tenant.to_string())?;
    let scope = reader.scope(grant);
    let moment = gate::inbox::moment(app, &scope);
    let store = scope.store(app).await?;
    let mut wanted = view::wanted(id);
    wanted.extend(readiness::view::wanted(view::subject(app, eyes, grant, id).as_deref()));
    let found = store.gather(ClientPlace::Assessment, wanted).await?;
    let shown = view::read(eyes, &scope, id, moment, &found).await?.ok_or_else(Problem::not_found)?;
    let is_policy = shown.proposal.draft.kind == CHANGE_POLICY && shown.proposal.state == State::Open;
    let change = is_policy.then(|| gate::amend::made_by(&shown.proposal)).flatten();
    let asked = shown.proposal.requester == Actor::Person(reader.person.id);
    let own = readiness::view::own_proposal(&found, id, &shown.proposal.draft.action).await?;
    let overtaken = submission::overtaken(&store, &shown.proposal).await?;
    // Only now: what was found of this client's open proposals is remembered for the number in the navigation.
    let frame = reader.frame(Section::Approvals).await?;
    let mut page = view::proposal_page(app, eyes, grant, shown, frame, returned, |_| String::new()).await?;
    if let Some(wanted) = change {
        page.dry_run = Box::pin(policy::looked_back(reader, &scope, &wanted)).await?;
    }
    if let (Some(why), ProposalState::NotYours { why: said }) = (&overtaken, &mut page.state) {
        *said = if page.done.is_some() { "This cannot be recorded as it was asked.".into() } else { why.clone() };
    }
    page.done = page.done.map(|form| after::done_form(reader, form, overtaken, errors));
    if let Some(sign_in) = &mut page.sign_in {
        sign_in.prove = reader.proves_at(Duration::minutes(sign_in.minutes.into()), &paths::proposal(tenant, id));
    }
    permit_form(reader, &mut page, tenant, id).await;
    if let ProposalState::Open(form) = &mut page.state {
        form.because = Some(because("If you reject: why", reader.field(BECAUSE), errors));
    }
    if let Some(form) = page.review.as_mut().filter(|form| form.undo_until.is_some()) {
        form.because = Some(because("If you have it undone: why", reader.field(BECAUSE), errors));
    }
    let withdrawable = asked && page.may_be_withdrawn();
    page.withdraw = withdrawable.then(|| WithdrawForm {
        action: paths::withdraw(tenant, id),
        token: reader.token(&["withdraw", &tenant.to_string(), &id.to_string()]),
    });
    if let Some(own) = own {
        page.kind = own.kind.into();
        page.subject = Some(Link::new(paths::requirement(tenant, own.requirement), own.requirement));
        page.today = own.today.filter(|_| page.still_open()).map(|sides| sides.map(Side::of).into());
        if let ProposalState::Decided { run: Run::Done { done, .. }, .. } = &mut page.state {
            *done = own.done;
            let may_ask = own.stands && grant.has(Role::Engineer);
            page.take_back = may_ask.then(|| {
                let token = reader.token(&["roll_back", &tenant.to_string(), &id.to_string()]);
                let (action, typed) = (paths::roll_back(tenant, own.requirement), reader.field("reason"));
                TakeBackForm::new(action, token, id.to_string(), MAX_REASON, typed, errors)
            });
        }
    }
    Ok(reply::page(status, &page))
}

/// The field of the decision's form that says why somebody rejects.
pub(super) const BECAUSE: &str = "because";

pub(super) fn because(label: &'static str, chosen: String, errors: &[FieldError]) -> Field {
    let choices = Because::ALL.map(|because| Choice { value: because.key().into(), label: because.words().into() });
    let hint = "Needed then. It tells what has to get better: the rule, what it can see, or nothing.";
    Field::new(BECAUSE, label, hint, FieldKind::OneOf(choices.into()), chosen).with_errors(errors)
}

/// What one decision uses up, into the form. A form that comes back with an error keeps the one it has, and with it the time
/// since when it was looked at. Without one nobody could decide, so then there is no form: the page says so.
async fn permit_form(reader: &Reader<'_>, page: &mut ProposalPage, tenant: TenantId, id: ProposalId) {
    if !matches!(page.state, ProposalState::Open(_)) && page.review.is_none() && page.done.is_none() {
        return;
    }
    match permit(reader, tenant, id, &page.hash).await {
        Ok((permit, signed)) => {
            let words = words(id, &page.version.to_string(), &page.hash, &permit.jti);
            let words = words.each_ref().map(String::as_str);
            let token = reader.timed_token(&words, reader.shown_at(&words).unwrap_or_else(|| reader.app.now()));
            after::put_permit(page, Some((&token, &signed)));
            if let ProposalState::Open(form) = &mut page.state {
                (form.token, form.permit) = (token, signed);
            }
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "no permit for a decision");
            after::put_permit(page, None);
            if matches!(page.state, ProposalState::Open(_)) {
                page.state = ProposalState::NotYours {
                    why:
                        "It cannot be decided just now: Assay's key for it does not answer. Nothing is lost; open this page again in a minute."
                            .into(),
                };
            }
        }
    }
}

async fn permit(reader: &Reader<'_>, tenant: TenantId, id: ProposalId, hash: &str) -> Result<(Permit, String), StoreError> {
    let (app, person, posted) = (reader.app, reader.person.id, reader.field("permit"));
    if !posted.is_empty()
        && let Ok(permit) = Permit::read(app, tenant, id, person, hash, &posted).await?
    {
        return Ok((permit, posted));
    }
    Permit::make(app, tenant, id, person, hash).await
}

const OLD_PAGE: &str = "This form was open for too long, or it is not of this page. Nothing was decided: open the page again.";

/// What the decision form's token is bound to: this proposal, this version, the hash that was shown, and the permit.
fn words(id: ProposalId, version: &str, hash: &str, permit: &str) -> [String; 5] {
    ["decide".into(), id.to_string(), version.into(), hash.into(), permit.into()]
}

fn ids(tenant: &str, id: &str) -> Result<(TenantId, ProposalId), Problem> {
    let not_found = |_| Problem::not_found();
    Ok((tenant.parse().map_err(not_found)?, id.parse().map_err(not_found)?))
}
