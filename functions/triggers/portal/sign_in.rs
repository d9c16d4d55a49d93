//! Sign-in and sign-out. Without the demo nobody can sign in here yet, and the page says so.

use super::Reader;
use crate::{
    app::App,
    web::{
        Problem, Reply, Request,
        pages::{DemoPerson, Frame, SignInPage, paths},
        reply,
        session::{self, Next},
    },
};

pub(super) fn show(app: &App, request: &Request) -> Reply {
    let next = request.query_value("next").and_then(|next| Next::parse(&next));
    let page = SignInPage {
        frame: Frame::anonymous(&app.config, app.now()),
        people: people(app),
        action: paths::sign_in(),
        notice: next.as_ref().filter(|next| next.as_str().contains("/proposals/")).map(|_| "Sign in to see this approval.".into()),
        next: next.map(|next| next.as_str().to_owned()),
    };
    reply::page(200, &page)
}

#[cfg(feature = "demo")]
fn people(app: &App) -> Vec<DemoPerson> {
    if !app.config.is_demo() {
        return Vec::new();
    }
    let people = crate::connectors::demo::PEOPLE.iter();
    people.map(|p| DemoPerson { id: p.id.to_string(), name: p.name.into(), what: p.what.words().into() }).collect()
}

#[cfg(not(feature = "demo"))]
fn people(_app: &App) -> Vec<DemoPerson> {
    Vec::new()
}

/// Picks a demo person. There is no session yet that a token could be bound to; the origin is checked all the same.
#[cfg(feature = "demo")]
pub(super) async fn sign_in(app: &App, request: &Request) -> Result<Reply, Problem> {
    use crate::{
        audit::refusal::{self, Refused},
        tenancy::DeploymentScope,
        web::{
            demo_sign_in::{self, SignInError},
            security,
        },
    };
    let refused = async |reason: &'static str, problem: Problem| {
        let scope = DeploymentScope::of_function("sign-in", &request.invocation_id);
        refusal::count(app, &scope, Refused::SignIn, reason).await.map_or_else(Problem::from, |()| problem)
    };
    if !security::same_origin(request, &app.config) {
        return Err(refused("foreign-form", Problem::foreign_form("Sign in on our own page.")).await);
    }
    let Some(person) = request.form_value("person").and_then(|id| id.parse().ok()) else {
        return Err(Problem::bad_request("Pick a person."));
    };
    let cookie = match demo_sign_in::sign_in(app, request, person).await {
        Ok(cookie) => cookie,
        Err(SignInError::Off) => return Err(refused("demo-sign-in-is-off", Problem::forbidden("Demo sign-in is off here.")).await),
        Err(SignInError::Unknown) => {
            let problem = Problem::bad_request("There is no such demo person. Pick one from the page.");
            return Err(refused("no-such-person", problem).await);
        }
        Err(SignInError::Store(error)) => return Err(error.into()),
    };
    let next = Next::or_clients(request.form_value("next").as_deref());
    Ok(reply::redirect(next.as_str()).with("set-cookie", cookie.header()))
}

#[cfg(not(feature = "demo"))]
pub(super) fn sign_in(_app: &App, _request: &Request) -> std::future::Ready<Result<Reply, Problem>> {
    std::future::ready(Err(Problem::forbidden("Demo sign-in is not part of this build.")))
}

pub(super) async fn sign_out(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_be_own_form(&["sign-out"])?;
    let cookie = session::sign_out(reader.app, reader.request).await?;
    Ok(reply::redirect(&paths::sign_in()).with("set-cookie", cookie.header()))
}
