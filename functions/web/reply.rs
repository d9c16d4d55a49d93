//! Replies for people: a rendered page, a redirect among our own pages, a problem as a page or as a document.

use askama::Template;

use super::{
    Problem, Reply, Request,
    pages::{Frame, Link, ProblemPage, paths},
    security,
    session::Next,
    visible::visible,
};

/// Renders a page, in which nothing hides; never kept by a browser or proxy.
pub fn page(status: u16, template: &impl Template) -> Reply {
    match template.render() {
        Ok(html) => no_store(Reply::new(status, "text/html; charset=utf-8", visible(&html).into_owned())),
        Err(error) => {
            tracing::error!(error = %error, "page did not render");
            no_store(Reply::new(500, "text/plain; charset=utf-8", "This page could not be built. Nothing was changed; try again."))
        }
    }
}

/// The same for a page that asks for a script of ours: its address, and the origin that people use.
pub fn page_with_script(template: &impl Template, origin: &str, script: &str) -> Reply {
    let plain = page(200, template);
    let headers = plain.headers.iter().filter(|(name, _)| matches!(*name, "content-type"));
    let bare = Reply { status: plain.status, headers: headers.cloned().collect(), body: plain.body.clone() };
    security::guard_with_script(bare, origin, script).with("cache-control", "no-store")
}

/// A download; the caller names it.
pub fn file(content_type: &str, bytes: Vec<u8>) -> Reply {
    no_store(Reply::new(200, content_type, bytes))
}

/// 303 to a path of ours. Anything else leads to the clients page, so that no reply sends a browser to another host.
pub fn redirect(path: &str) -> Reply {
    let ours = path.starts_with(paths::BASE) && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    no_store(Reply::see_other(if ours { path } else { "/api/portal/clients" }))
}

/// A problem as a page for a browser, as a problem document for everything else.
pub fn problem(request: &Request, problem: &Problem, frame: Frame) -> Reply {
    let reference = request.invocation_id.as_str();
    if wants_html(&request.headers) { problem_page(problem, reference, frame) } else { security::guard(problem.reply(reference)) }
}

/// A problem as a page, for whoever knows that a browser asks.
pub fn problem_page(problem: &Problem, reference: &str, frame: Frame) -> Reply {
    let way_on = if problem.status == 401 || problem.kind.starts_with("sign-in") || problem.kind == "not-let-in" {
        Link::new(paths::sign_in(), "Sign in")
    } else {
        Link::new(paths::inbox(), "Go to your approvals")
    };
    page(problem.status, &ProblemPage::new(frame, problem, reference, way_on))
}

/// A sign-in that did not go through; the way on is to try again, with the same target.
pub fn sign_in_problem(request: &Request, problem: &Problem, frame: Frame, next: Option<&Next>) -> Reply {
    let again = next.map_or_else(paths::sign_in, |next| paths::sign_in_then(next.as_str()));
    problem_then(request, problem, frame, Vec::new(), Link::new(again, "Sign in"))
}

/// A problem with this way on. `typed`: what the form held, by label, for the person to copy.
pub fn problem_then(request: &Request, problem: &Problem, frame: Frame, typed: Vec<(&'static str, String)>, way_on: Link) -> Reply {
    let reference = request.invocation_id.as_str();
    if !wants_html(&request.headers) {
        return security::guard(problem.reply(reference));
    }
    page(problem.status, &ProblemPage { typed, ..ProblemPage::new(frame, problem, reference, way_on) })
}

/// Whether `Accept` names HTML; a browser's navigation always does. Names are in lower case.
pub fn wants_html(headers: &[(String, String)]) -> bool {
    headers.iter().find(|(name, _)| name == "accept").is_some_and(|(_, accept)| {
        accept.split(',').any(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let html = matches!(pieces.next(), Some("text/html" | "application/xhtml+xml"));
            html && !pieces.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

fn no_store(reply: Reply) -> Reply {
    security::guard(reply).with("cache-control", "no-store")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use time::macros::datetime;

    use super::*;
    use crate::{
        config::{self, RawConfig},
        web::Method,
    };

    fn asking(accept: Option<&str>) -> Request {
        Request {
            method: Method::Get,
            path: "portal/inbox".into(),
            query: String::new(),
            headers: accept.map(|value| ("accept".to_owned(), value.to_owned())).into_iter().collect(),
            body: Bytes::new(),
            invocation_id: "3f9c1f7e".into(),
        }
    }

    fn answer(accept: Option<&str>) -> Reply {
        let config = config::check(&RawConfig::new()).expect("defaults");
        problem(&asking(accept), &Problem::not_found(), Frame::anonymous(&config, datetime!(2026-11-25 02:52:09 UTC)))
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_a_problem_document() {
        let cases = [
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "text/html; charset=utf-8"),
            (Some("application/json"), "application/problem+json"),
            (Some("*/*"), "application/problem+json"),
            (Some("text/html;q=0, application/json"), "application/problem+json"),
            (None, "application/problem+json"),
        ];
        for (accept, content_type) in cases {
            let reply = answer(accept);
            assert_eq!(reply.status, 404);
            assert_eq!(reply.header("content-type"), Some(content_type), "{accept:?}");
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert!(String::from_utf8_lossy(&reply.body).contains("3f9c1f7e"), "the reference");
        }
    }

    #[test]
    fn a_redirect_never_leaves_our_pages() {
        assert_eq!(redirect("/api/portal/inbox").header("location"), Some("/api/portal/inbox"));
        for other in [
            "https://evil.example",
            "//evil.example",
            "/api/health",
            "/api/portal/\\evil",
            "/api/portal/a\r\nset-cookie: x",
            "/api/portal/\u{e9}",
        ] {
            assert_eq!(redirect(other).header("location"), Some("/api/portal/clients"), "{other:?}");
        }
    }
}
