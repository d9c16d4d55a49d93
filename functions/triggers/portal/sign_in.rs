//! Sign-in and sign-out, in the way that is configured. What is refused here is counted in the deployment's log.

use super::Reader;
use crate::{
    app::App,
    audit::refusal::{self, Refused},
    config::SignIn,
    tenancy::DeploymentScope,
    web::{
        Method, Problem, Reply, Request,
        entra::{self, EntraError, Failure, Prompt},
        pages::{DemoPerson, Frame, LeadOnPage, SignInPage, paths},
        problem::chain,
        reply, security,
        session::{self, Next},
    },
};

pub(super) fn show(app: &App, request: &Request) -> Reply {
    let next = request.query_value("next").and_then(|next| Next::parse(&next));
    let entra = app.config.entra();
    let page = SignInPage {
        frame: Frame::anonymous(&app.config, app.now()),
        people: people(app),
        organization: entra.map(|entra| entra.address("oauth2/v2.0/logout")),
        action: paths::sign_in(),
        again: request.query_value("again").is_some(),
        notice: next
            .as_ref()
            .filter(|next| ["/proposals/", "/link?"].iter().any(|page| next.as_str().contains(page)))
            .map(|_| "Sign in to see this approval.".into()),
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

/// The form of the sign-in page. There is no session yet that a token could be bound to; the origin is checked all the same.
pub(super) async fn begin(app: &App, request: &Request) -> Result<Reply, Problem> {
    if !security::same_origin(request, &app.config) {
        return Err(refused(app, request, "foreign-form", Problem::foreign_form(with_address(app, "Sign in on our own page."))).await);
    }
    let next = Next::or_clients(request.form_value("next").as_deref());
    match app.config.sign_in {
        SignIn::Entra(_) => {
            let prompt = match (request.form_value("again"), request.form_value("account").as_deref()) {
                (Some(_), _) => Prompt::Again,
                (None, Some("other")) => Prompt::OtherAccount,
                _ => Prompt::Any,
            };
            match entra::begin(app, &next, prompt).await {
                Ok(departure) => {
                    let page = LeadOnPage { frame: Frame::anonymous(&app.config, app.now()), to: departure.to.into() };
                    Ok(reply::page(200, &page).with("set-cookie", departure.cookie.header()))
                }
                Err(error) => Ok(failed(app, request, error, Some(&next)).await),
            }
        }
        SignIn::Demo | SignIn::None => pick(app, request, &next).await,
    }
}

/// Where the authority sends the browser back to: the one GET that may create something (design I10), once. A HEAD, as
/// scanners send it, is none.
pub(super) async fn finish(app: &App, request: &Request) -> Result<Reply, Problem> {
    if request.method != Method::Get {
        return Ok(reply::redirect(&paths::sign_in()));
    }
    // From an administrator's consent: no sign-in, and nothing is believed of it.
    if request.query_value("admin_consent").is_some() && request.query_value("code").is_none() {
        return Ok(reply::redirect(&paths::setup()));
    }
    match entra::finish(app, request).await {
        Ok(arrival) => {
            let [session, attempt] = &arrival.cookies;
            Ok(reply::redirect(arrival.next.as_str()).with("set-cookie", session.header()).with("set-cookie", attempt.header()))
        }
        Err(Failure { error, next, cookie }) => {
            let reply = failed(app, request, error, next.as_ref()).await;
            Ok(match cookie {
                Some(cookie) => reply.with("set-cookie", cookie.header()),
                None => reply,
            })
        }
    }
}

/// Says so, and leads back to where they wanted to go.
async fn failed(app: &App, request: &Request, error: EntraError, next: Option<&Next>) -> Reply {
    if matches!(error, EntraError::NothingBegun) {
        tracing::debug!("a sign-in came back that this browser did not begin");
    } else {
        tracing::warn!(error = chain(&error), "a sign-in failed");
    }
    let (reason, elsewhere) = (error.reason(), matches!(error, EntraError::NothingBegun | EntraError::UnknownState));
    let mut problem = Problem::from(error);
    if elsewhere {
        problem.detail = with_address(app, &problem.detail);
    }
    if let Some(reason) = reason {
        problem = refused(app, request, reason, problem).await;
    }
    reply::sign_in_problem(request, &problem, Frame::anonymous(&app.config, app.now()), next)
}

/// A browser keeps the cookie for the host that it opened, and not every address of the app is the one that people use.
fn with_address(app: &App, said: &str) -> String {
    format!("{said} Assay's address is {}: open it there if your browser shows another.", app.config.origin())
}

/// The problem, counted.
async fn refused(app: &App, request: &Request, reason: &'static str, problem: Problem) -> Problem {
    let scope = DeploymentScope::of_function("sign-in", &request.invocation_id);
    refusal::count(app, &scope, Refused::SignIn, reason).await.map_or_else(Problem::from, |()| problem)
}

/// Picks a demo person.
#[cfg(feature = "demo")]
async fn pick(app: &App, request: &Request, next: &Next) -> Result<Reply, Problem> {
    use crate::web::demo_sign_in::{self, SignInError};

    let Some(person) = request.form_value("person").and_then(|id| id.parse().ok()) else {
        return Err(Problem::bad_request("Pick a person."));
    };
    match demo_sign_in::sign_in(app, request, person).await {
        Ok(cookie) => Ok(reply::redirect(next.as_str()).with("set-cookie", cookie.header())),
        Err(SignInError::Off) => Err(refused(app, request, "demo-sign-in-is-off", Problem::forbidden("Demo sign-in is off here.")).await),
        Err(SignInError::Unknown) => {
            let problem = Problem::bad_request("There is no such demo person. Pick one from the page.");
            Err(refused(app, request, "no-such-person", problem).await)
        }
        Err(SignInError::Store(error)) => Err(error.into()),
    }
}

#[cfg(not(feature = "demo"))]
async fn pick(app: &App, request: &Request, _next: &Next) -> Result<Reply, Problem> {
    Err(refused(app, request, "demo-sign-in-is-off", Problem::forbidden("Demo sign-in is not part of this build.")).await)
}

pub(super) async fn sign_out(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_be_own_form(&["sign-out"])?;
    let cookie = session::sign_out(reader.app, reader.request).await?;
    // A browser forgets what it kept of our pages (W3C Clear Site Data); they are not to be kept anyway.
    let reply = reply::redirect(&paths::sign_in()).with("clear-site-data", "\"cache\", \"storage\"");
    Ok(reply.with("set-cookie", cookie.header()))
}
