//! `/api/portal/...`: the pages, and the forms on them.
//!
//! Routes a path to one use case and picks the template for the view struct it returns. GET and HEAD change nothing.
//! A POST needs a session, our own origin and the form's token before anything is read for it ([`reader`]).

mod accept;
mod access;
mod after;
mod analytics;
mod approvals;
mod clients;
mod connection_form;
mod connection_view;
mod connections;
mod dead_letters;
mod delivery;
mod entry;
mod events;
mod find;
mod health;
mod keys;
mod left_out;
mod link;
mod lost_form;
mod member;
mod new_client;
mod offboarding;
mod people;
mod policy;
mod reader;
mod sampled;
mod set_aside;
mod setup;
mod sign_in;
mod stand_in;
mod team;
mod trail;
mod words;

use self::{entry::Part, reader::Reader};
use crate::{
    app::App,
    audit::refusal::{self, Refused},
    tenancy::TenantId,
    web::{
        Method, Problem, Reply, Request, assets,
        pages::{Frame, Section, paths},
        reply,
    },
};

pub async fn run(request: Request, app: &App) -> Reply {
    let path = request.path.clone();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    // On the heap: the futures of all pages in one are too large for a stack.
    match Box::pin(answer(app, &request, &parts)).await {
        Ok(reply) => reply,
        Err(problem) => {
            let frame = match Reader::of(app, &request).await {
                Ok(Some(reader)) => reader.frame(Section::None).await.unwrap_or_else(|_| Frame::anonymous(&app.config, app.now())),
                _ => Frame::anonymous(&app.config, app.now()),
            };
            if problem.kind == Problem::FOREIGN_FORM {
                return lost_form::of_another_session(app, &request, &parts, &problem, frame);
            }
            if problem.kind == Problem::STEP_UP {
                return lost_form::to_confirm(app, &request, &parts, &problem, frame);
            }
            reply::problem(&request, &problem, frame)
        }
    }
}

async fn answer(app: &App, request: &Request, parts: &[&str]) -> Result<Reply, Problem> {
    if !request.method.is_safe() && !request.form_is_text() {
        return Err(Problem::bad_request("The form holds bytes that are no text. Nothing was done."));
    }
    match (request.method.is_safe(), parts) {
        (true, ["assets", name]) => return assets::serve(name).ok_or_else(Problem::not_found),
        (true, ["sign-in"]) => return Ok(sign_in::show(app, request)),
        (false, ["sign-in"]) => return Box::pin(sign_in::begin(app, request)).await,
        (true, ["signed-in"]) => return Box::pin(sign_in::finish(app, request)).await,
        (true, [] | [""]) => return Ok(reply::redirect(&paths::clients())),
        _ => {}
    }
    let Some(reader) = Reader::of(app, request).await? else {
        return if request.method.is_safe() && parts == ["link"] {
            Ok(link::neutral(app, request, &address(request)))
        } else if request.method.is_safe() {
            Ok(reply::redirect(&paths::sign_in_then(&address(request))))
        } else {
            lost_form::of_nobody(app, request, parts).await
        };
    };
    if request.method.is_safe() {
        let shown = show(&reader, parts).await;
        // A line of the process's own log, and nothing in the store: a GET changes nothing (design I10).
        if shown.as_ref().is_err_and(|problem| problem.status == 404) && names_a_client_of_others(&reader, parts) {
            tracing::warn!(person = %reader.person.id, "asked for a client for which they have no grant");
        }
        return Ok(reader.keep(shown?));
    }
    let outcome = Box::pin(act(&reader, parts)).await.map(|reply| reader.keep(reply));
    let reason = match &outcome {
        Err(problem) if problem.status == 403 => problem.kind,
        Err(problem) if problem.status == 404 && names_a_client_of_others(&reader, parts) => "no-grant",
        Ok(reply) if reply.status == 403 => "not-allowed",
        _ => return outcome,
    };
    refusal::count(app, &reader.deployment_scope(), Refused::Form, reason).await?;
    outcome
}

async fn show(reader: &Reader<'_>, parts: &[&str]) -> Result<Reply, Problem> {
    match parts {
        ["clients"] => clients::list(reader).await,
        ["clients", "new"] => new_client::show(reader).await,
        ["clients", tenant] => clients::show(reader, tenant).await,
        ["clients", tenant, "sprs"] => clients::home(tenant),
        ["clients", tenant, "people"] => people::show(reader, tenant).await,
        ["clients", tenant, "keys"] => keys::show(reader, tenant).await,
        ["clients", tenant, "keys", _] => keys::back(reader, tenant),
        ["clients", tenant, "offboarding"] => Box::pin(offboarding::show(reader, tenant)).await,
        ["clients", tenant, "offboarding", "certificate"] => offboarding::certificate(reader, tenant).await,
        ["clients", tenant, "offboarding", _] => offboarding::back(reader, tenant),
        ["clients", tenant, "policy"] => Box::pin(policy::show(reader, tenant)).await,
        ["clients", tenant, "requirements", id] => clients::requirement(reader, tenant, id, None).await,
        ["keys"] => keys::show_own(reader).await,
        ["keys", "rotate"] => keys::back_to_own(reader),
        ["access"] => access::show(reader).await,
        ["people"] => team::show(reader).await,
        ["people", id] => member::show(reader, id).await,
        ["inbox"] => approvals::inbox(reader).await,
        ["link"] => link::follow(reader).await,
        ["proposals", tenant, id] => approvals::show(reader, tenant, id).await,
        ["proposals", tenant, id, "decide" | "withdraw"] => approvals::back(tenant, id),
        ["clients", tenant, "requirements", id, "propose" | "roll-back"] => clients::back(tenant, id),
        ["connections"] => connections::list(reader).await,
        ["connections", "new"] => connection_form::show_new(reader).await,
        ["connections", id] => connection_form::show(reader, id).await,
        ["mapping"] => connections::mapping(reader).await,
        ["set-aside"] => set_aside::list(reader).await,
        ["dead-letters"] => dead_letters::list(reader).await,
        ["delivery"] => delivery::show(reader).await,
        ["delivery", "test"] => delivery::back(reader),
        ["setup"] => Box::pin(setup::show(reader)).await,
        ["setup", "lock"] => setup::back(reader),
        ["health"] => health::show(reader).await,
        ["analytics"] => Box::pin(analytics::all(reader)).await,
        ["analytics", tenant] => Box::pin(analytics::client(reader, tenant)).await,
        ["analytics", tenant, "sampled"] => sampled::list(reader, tenant).await,
        ["analytics", tenant, "sampled", id] => Box::pin(sampled::show(reader, tenant, id)).await,
        ["analytics", tenant, "leave-out" | "accept"] => left_out::back(reader, tenant),
        ["audit"] => trail::deployment(reader).await,
        ["audit", "events"] => events::show(reader).await,
        ["audit", "events", "file"] => events::file(reader),
        ["audit", "entry", index] => entry::of_installation(reader, index, Part::Page).await,
        ["audit", "entry", index, "proof"] => entry::of_installation(reader, index, Part::Proof).await,
        ["audit", "entry", index, "content"] => entry::of_installation(reader, index, Part::Content).await,
        ["audit", tenant, "entry", index] => entry::of_client(reader, tenant, index, Part::Page).await,
        ["audit", tenant, "entry", index, "proof"] => entry::of_client(reader, tenant, index, Part::Proof).await,
        ["audit", tenant, "entry", index, "content"] => entry::of_client(reader, tenant, index, Part::Content).await,
        ["audit", tenant] => trail::client(reader, tenant).await,
        _ => Err(Problem::not_found()),
    }
}

async fn act(reader: &Reader<'_>, parts: &[&str]) -> Result<Reply, Problem> {
    if reader.request.method != Method::Post {
        return Err(Problem::not_found());
    }
    if is_of_great_effect(parts) {
        reader.must_have_proved_it()?;
    }
    if GATED.iter().any(|field| reader.request.form_value(field).is_some() || reader.request.query_value(field).is_some()) {
        return Err(Problem::bad_request(
            "How an action is gated comes from the client's policy, never from a request. Nothing was done: send it without a level.",
        ));
    }
    match parts {
        ["sign-out"] => sign_in::sign_out(reader).await,
        ["clients"] => Box::pin(new_client::add(reader)).await,
        ["clients", tenant, "people"] => Box::pin(people::change(reader, tenant)).await,
        ["clients", tenant, "keys", step] => Box::pin(keys::act(reader, tenant, step)).await,
        ["clients", tenant, "offboarding", step] => Box::pin(offboarding::act(reader, tenant, step)).await,
        ["clients", tenant, "policy"] => Box::pin(policy::ask(reader, tenant)).await,
        ["clients", tenant, "sprs"] => Box::pin(after::ask_for_submission(reader, tenant)).await,
        ["clients", tenant, "requirements", id, "propose"] => Box::pin(clients::propose(reader, tenant, id)).await,
        ["clients", tenant, "requirements", id, "roll-back"] => Box::pin(clients::roll_back(reader, tenant, id)).await,
        ["keys", "rotate"] => Box::pin(keys::rotate_own(reader)).await,
        ["access", tenant, "confirm"] => Box::pin(access::confirm(reader, tenant)).await,
        ["people", id] => Box::pin(member::change(reader, id)).await,
        ["people", id, "let-in"] => Box::pin(team::let_in(reader, id)).await,
        ["people", id, "turn-away"] => team::turn_away(reader, id).await,
        ["people", id, "end-access"] => Box::pin(team::end_access(reader, id)).await,
        ["proposals", tenant, id, "decide"] => Box::pin(approvals::decide(reader, tenant, id)).await,
        ["proposals", tenant, id, "withdraw"] => Box::pin(approvals::withdraw(reader, tenant, id)).await,
        ["connections"] => Box::pin(connection_form::add(reader)).await,
        ["connections", id] => Box::pin(connection_form::change(reader, id)).await,
        ["connections", id, "pull"] => connections::pull(reader, id).await,
        ["connections", id, "test"] => Box::pin(connections::test(reader, id)).await,
        ["connections", id, "alarms", alarm, "clear"] => connections::clear_alarm(reader, id, alarm).await,
        ["mapping"] => connections::confirm(reader).await,
        ["delivery", "test"] => Box::pin(delivery::test(reader)).await,
        ["setup", "lock"] => Box::pin(setup::record_lock(reader)).await,
        ["health"] => Box::pin(health::look_again(reader)).await,
        ["analytics", tenant, "sampled", id] => Box::pin(sampled::answer(reader, tenant, id)).await,
        ["analytics", tenant, "leave-out"] => Box::pin(left_out::ask(reader, tenant)).await,
        ["analytics", tenant, "accept"] => Box::pin(accept::ask(reader, tenant)).await,
        ["analytics", tenant, "take-part"] => Box::pin(analytics::take_part(reader, tenant)).await,
        ["audit", tenant, "export"] => trail::export(reader, tenant).await,
        ["set-aside", connection, "destroy"] => set_aside::destroy(reader, connection).await,
        ["set-aside", connection, "see-to"] => set_aside::see_to(reader, connection).await,
        ["dead-letters", "replay"] => dead_letters::replay_all(reader).await,
        ["dead-letters", id, "replay"] => dead_letters::replay(reader, id).await,
        ["dead-letters", id, "see-to"] => dead_letters::see_to(reader, id).await,
        _ => Err(Problem::not_found()),
    }
}

/// Who may do what, keys, a lock that cannot be taken back, and the end of a client: whoever finds a browser open must not be able to let
/// themselves in or put an end to anything. Taking access away never waits.
fn is_of_great_effect(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["clients"]
            | ["clients", _, "people"]
            | ["clients", _, "offboarding" | "keys", _]
            | ["keys" | "people", _]
            | ["setup", "lock"]
            | ["people", _, "let-in"]
    )
}

/// What no request may say of itself.
const GATED: [&str; 5] = ["level", "gate", "gate_level", "quorum", "approvals"];

/// A client that this person has no grant for, be there one or not: it looks like an address that is none, and is counted.
fn names_a_client_of_others(reader: &Reader<'_>, parts: &[&str]) -> bool {
    let (["clients" | "proposals", tenant, _, ..] | ["audit", tenant, ..]) = parts else { return false };
    tenant.parse().is_ok_and(|tenant: TenantId| reader.grants.iter().all(|grant| grant.tenant() != tenant))
}

/// The page's own path and query, to come back to after sign-in.
fn address(request: &Request) -> String {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    format!("/api/{}{query}", request.path)
}
