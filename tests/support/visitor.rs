//! A browser at an installation with Entra sign-in: keeps its cookies as browsers do, goes to the authority and back.

use std::{cell::RefCell, collections::BTreeMap};

use assay::{
    triggers::portal,
    web::{Method, Reply, Request},
};
use url::form_urlencoded;

use super::{
    app::TestApp,
    authority::{Authority, ORIGIN},
    browser,
};

pub struct Visitor<'a> {
    test: &'a TestApp,
    pub cookies: RefCell<BTreeMap<String, String>>,
    /// Headers that this browser sends besides.
    pub headers: Vec<(String, String)>,
    /// What it takes for an answer.
    pub accept: &'static str,
}

impl<'a> Visitor<'a> {
    pub fn of(test: &'a TestApp) -> Self {
        Self { test, cookies: RefCell::default(), headers: Vec::new(), accept: "text/html" }
    }

    /// Signed in as whom the authority vouches for.
    pub async fn signed_in(test: &'a TestApp, authority: &Authority) -> Self {
        let visitor = Self::of(test);
        let arrived = visitor.sign_in(authority).await;
        assert_eq!(arrived.status, 303, "{}", browser::text(&arrived));
        visitor
    }

    pub async fn ask(&self, method: Method, address: &str, body: &str) -> Reply {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let cookies: Vec<String> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = vec![("cookie".to_owned(), cookies.join("; ")), ("accept".to_owned(), self.accept.to_owned())];
        if method == Method::Post {
            headers.push(("origin".into(), ORIGIN.into()));
        }
        headers.extend(self.headers.iter().cloned());
        let request = Request {
            method,
            path: path.into(),
            query: query.into(),
            headers,
            body: body.to_owned().into(),
            invocation_id: "visitor".into(),
        };
        let reply = portal::run(request, self.test.app()).await;
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| *name == "set-cookie") {
            assert!(cookie.starts_with("__Host-") && cookie.contains("Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.ends_with("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.into(), value.into());
            }
        }
        reply
    }

    pub async fn get(&self, address: &str) -> Reply {
        self.ask(Method::Get, address, "").await
    }

    pub async fn post(&self, address: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(Method::Post, address, &body).await
    }

    /// Opens the page and sends that one of its forms which goes to `action`.
    pub async fn press(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> Reply {
        let hidden = browser::hidden_of(&self.get(page).await, action);
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.post(action, &hidden.chain(typed.iter().copied()).collect::<Vec<_>>()).await
    }

    /// Presses the button of the sign-in page: the address at the authority.
    pub async fn depart(&self, next: Option<&str>) -> String {
        let fields: Vec<(&str, &str)> = next.map(|next| ("next", next)).into_iter().collect();
        let reply = self.post("portal/sign-in", &fields).await;
        browser::leads_on_to(&reply)
    }

    /// All the way: to the authority and back.
    pub async fn sign_in(&self, authority: &Authority) -> Reply {
        self.get(&authority.sign_in(&self.depart(None).await)).await
    }

    pub async fn is_signed_in(&self) -> bool {
        self.get("portal/clients").await.status == 200
    }
}
