//! A browser of one person of the demo: opens our pages and sends their forms, as the portal function sees it.

use assay::{
    connectors::demo::What,
    tenancy::PersonId,
    triggers::portal,
    web::{Method, Reply, Request, demo_sign_in},
};
use url::form_urlencoded;

use super::flow::{Flow, person};

pub const ORIGIN: &str = "http://127.0.0.1:7071";

pub struct Browser<'a> {
    flow: &'a Flow,
    cookie: String,
    pub origin: &'static str,
}

impl<'a> Browser<'a> {
    /// Signed in as the first person of this kind.
    pub async fn of(flow: &'a Flow, what: What) -> Self {
        Self::of_person(flow, person(what).id).await
    }

    pub async fn of_person(flow: &'a Flow, id: PersonId) -> Self {
        let mut browser = Self::of_nobody(flow);
        let request = browser.request(Method::Post, "portal/sign-in", "");
        let cookie = demo_sign_in::sign_in(flow.app(), &request, id).await.unwrap();
        cookie.header().split(';').next().unwrap().clone_into(&mut browser.cookie);
        browser
    }

    /// The session, to come back with when the story has gone on.
    pub fn session(self) -> String {
        self.cookie
    }

    /// Not signed in.
    pub fn of_nobody(flow: &'a Flow) -> Self {
        Self { flow, cookie: String::new(), origin: ORIGIN }
    }

    /// Signed in earlier, with the cookie that came of it.
    pub fn with_cookie(flow: &'a Flow, cookie: &str) -> Self {
        Self { cookie: cookie.into(), ..Self::of_nobody(flow) }
    }

    pub fn request(&self, method: Method, address: &str, body: &str) -> Request {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        Request {
            method,
            path: path.into(),
            query: query.into(),
            headers: vec![
                ("cookie".into(), self.cookie.clone()),
                ("origin".into(), self.origin.into()),
                ("accept".into(), "text/html".into()),
            ],
            body: body.to_owned().into(),
            invocation_id: "browser".into(),
        }
    }

    async fn run(&self, request: Request) -> Reply {
        Box::pin(self.flow.test.faults.product(portal::run(request, self.flow.app()))).await
    }

    pub async fn get(&self, address: &str) -> Reply {
        self.run(self.request(Method::Get, address, "")).await
    }

    /// Opens the page that a reply leads to.
    pub async fn follow(&self, reply: &Reply) -> Reply {
        assert_eq!(reply.status, 303);
        self.get(reply.header("location").unwrap().strip_prefix("/api/").unwrap()).await
    }

    /// Sends exactly these fields.
    pub async fn post(&self, action: &str, fields: &[(&str, &str)]) -> Reply {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish();
        self.run(self.request(Method::Post, action, &body)).await
    }

    /// Opens the page and sends its form with these fields, its hidden ones included.
    pub async fn fill_in(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> Reply {
        let opened = self.open(page).await;
        self.send(opened, action, typed).await
    }

    /// Opens the page: the hidden fields of its form, to be sent later.
    pub async fn open(&self, page: &str) -> Vec<(String, String)> {
        hidden_of_form(&self.get(page).await)
    }

    /// Opens the page and sends that one of its forms which goes to `action`.
    pub async fn press(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> Reply {
        self.send(hidden_of(&self.get(page).await, action), action, typed).await
    }

    /// Sends a form that was opened before.
    pub async fn send(&self, hidden: Vec<(String, String)>, action: &str, typed: &[(&str, &str)]) -> Reply {
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.post(action, &hidden.chain(typed.iter().copied()).collect::<Vec<_>>()).await
    }
}

/// The checkbox that makes this person an approver of a client.
pub fn approves(what: What) -> String {
    format!("approver-{}", person(what).id)
}

/// The cookie that a reply sets, as the next request carries it.
pub fn cookie_of(reply: &Reply) -> Option<String> {
    let (_, cookie) = reply.headers.iter().find(|(name, _)| *name == "set-cookie")?;
    cookie.split(';').next().map(str::to_owned)
}

pub fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// Where the page of a reply leads by itself.
pub fn leads_on_to(reply: &Reply) -> String {
    let html = text(reply);
    assert_eq!(reply.status, 200, "{html}");
    let (_, to) = html.split_once("http-equiv=\"refresh\" content=\"0; url=").unwrap_or_else(|| panic!("it leads nowhere: {html}"));
    to.split('"').next().unwrap().replace("&#38;", "&")
}

/// The hidden fields of the form of a page.
pub fn hidden_of_form(reply: &Reply) -> Vec<(String, String)> {
    hidden(text(reply).split_once("<main").unwrap().1)
}

/// The hidden fields of that form of a page which goes to `action`.
pub fn hidden_of(reply: &Reply, action: &str) -> Vec<(String, String)> {
    let html = text(reply);
    let form = html.split("<form").skip(1).find(|form| form.contains(&format!("action=\"/api/{action}\"")));
    let form = form.unwrap_or_else(|| panic!("no form goes to {action}: {html}"));
    hidden(form.split("</form>").next().unwrap())
}

/// The hidden inputs of a piece of a page.
pub fn hidden(html: &str) -> Vec<(String, String)> {
    let inputs = html.split("<input type=\"hidden\" name=\"").skip(1).map(|input| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split('"').next().unwrap().to_owned())
    });
    inputs.collect()
}
