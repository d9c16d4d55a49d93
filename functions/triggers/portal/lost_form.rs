//! A form of a sign-in that is over: nothing is done, and what was typed is handed back to be copied.
//!
//! A form's token is bound to its session, so the same form cannot be sent again after another sign-in; the way on is the
//! page it stood on, opened anew. What another site makes a browser send is never shown.

use crate::{
    app::App,
    audit::refusal::{self, Refused},
    tenancy::DeploymentScope,
    web::{
        Problem, Reply, Request,
        pages::{Frame, Link, paths},
        reply, security,
        session::{self, Next},
    },
};

/// What people write into forms, by the field's name. No credential is among it: the forms of connections are left out.
const TYPED: [(&str, &str); 14] = [
    ("comment", "Comment"),
    ("why", "Why"),
    ("why-group", "Why"),
    ("why-alone", "Why"),
    ("reference", "Reference"),
    ("reason", "Reason"),
    ("title", "Document"),
    ("place", "Where it is kept"),
    ("sha256", "SHA-256 of the file"),
    ("approved_on", "Approved on"),
    ("name", "Name"),
    ("email", "E-mail"),
    ("key", "Key"),
    ("azure-says", "What Azure answers"),
];

/// Last parts of addresses that act, below the page that has the form.
const ACTS: [&str; 7] = ["propose", "roll-back", "decide", "withdraw", "export", "sprs", "lock"];

/// The answer to a form of nobody who is signed in.
pub(super) async fn of_nobody(app: &App, request: &Request, parts: &[&str]) -> Result<Reply, Problem> {
    // A browser hides the cookie from what another site sends, so that site must not clear it either.
    if parts == ["sign-out"] && security::same_origin(request, &app.config) {
        let cookie = session::sign_out(app, request).await?;
        return Ok(reply::redirect(&paths::sign_in()).with("set-cookie", cookie.header()));
    }
    let stranger = DeploymentScope::of_function("sign-in", &request.invocation_id);
    refusal::count(app, &stranger, Refused::Form, "not-signed-in").await?;
    let problem = Problem::not_signed_in(
        "Your sign-in is over, so nothing was done. Copy what you typed, sign in, and send it from the page that opens then: this form is not taken any more.",
    );
    let again = Link::new(paths::sign_in_then(page_of(request, parts).as_str()), "Sign in");
    Ok(reply::problem_then(request, &problem, Frame::anonymous(&app.config, app.now()), typed(app, request, parts), again))
}

/// The answer to a form of somebody who is signed in, whose token does not hold.
pub(super) fn of_another_session(app: &App, request: &Request, parts: &[&str], problem: &Problem, frame: Frame) -> Reply {
    let page = Link::new(page_of(request, parts).as_str(), "Open the page again");
    reply::problem_then(request, problem, frame, typed(app, request, parts), page)
}

/// The answer to a form whose sender must prove once more who they are.
pub(super) fn to_confirm(app: &App, request: &Request, parts: &[&str], problem: &Problem, frame: Frame) -> Reply {
    let again = Link::new(paths::confirm_then(page_of(request, parts).as_str()), "Confirm that it is you");
    reply::problem_then(request, problem, frame, typed(app, request, parts), again)
}

fn typed(app: &App, request: &Request, parts: &[&str]) -> Vec<(&'static str, String)> {
    if parts.first() == Some(&"connections") || !security::same_origin(request, &app.config) {
        return Vec::new();
    }
    let of = |(name, label)| Some((label, request.form_value(name).filter(|text| !text.trim().is_empty())?));
    TYPED.into_iter().filter_map(of).collect()
}

/// The page that the form stood on.
fn page_of(request: &Request, parts: &[&str]) -> Next {
    let page = match parts {
        ["clients"] => paths::new_client(),
        ["connections"] => request.form_value("vendor").map_or_else(paths::new_connection, |vendor| paths::new_connection_of(&vendor)),
        ["people", _, _] => paths::team(),
        ["access", ..] => paths::access(),
        ["keys", ..] => paths::own_keys(),
        ["clients", tenant, page @ ("offboarding" | "keys"), _] => format!("{}clients/{tenant}/{page}", paths::BASE),
        ["connections", _, _, ..] => paths::connections(),
        ["set-aside", ..] => paths::set_aside(),
        ["dead-letters", ..] => paths::dead_letters(),
        own => {
            let page: Vec<&str> = own.iter().copied().take_while(|part| !ACTS.contains(part)).collect();
            format!("{}{}", paths::BASE, page.join("/"))
        }
    };
    Next::or_clients(Some(&page))
}
