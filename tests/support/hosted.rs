//! What people and vendors do with the packaged handler under the stand-in host, over HTTP: post, sign in, open a page, send
//! its form, each until it is taken. The host's clock moves by hand, and only while nothing is in flight.

use std::{path::PathBuf, sync::Arc, time::Duration};

use assay::{
    connectors::demo::{self, What},
    host::local::Host,
    tenancy::ProposalId,
};
use reqwest::{Client, Response, header, redirect};
use tokio::time::{Interval, interval};
use url::form_urlencoded;

use super::{
    clock::VirtualClock,
    flow::{HARBOR, QUEUES, person},
};

/// How far the host's clock goes when nothing is in flight and nothing is due.
const STEP: time::Duration = time::Duration::seconds(10);
/// Steps without the awaited thing after which a run gives up: an hour.
const PATIENCE: usize = 360;

pub struct Hosted {
    /// For messages.
    pub name: &'static str,
    /// The host's.
    pub clock: Arc<VirtualClock>,
    /// The handler's, for what it said last.
    log: PathBuf,
    http: Client,
}

impl Hosted {
    pub fn new(name: &'static str, clock: Arc<VirtualClock>, log: PathBuf) -> Self {
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(Duration::from_secs(30)).build().unwrap();
        Self { name, clock, log, http }
    }

    /// Until health says so; the host's clock stands still.
    pub async fn until_well(&self, host: &Host) {
        let mut beat = beat();
        for _ in 0..2000 {
            if self.get(host, "/api/health").await.is_ok_and(|reply| reply.status() == 200) {
                return;
            }
            beat.tick().await;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
        panic!("{}: the handler never gets well:\n{last}", self.name);
    }

    /// Time passes while the host has nothing to do; says whether what is awaited came true.
    pub async fn passes(&self, host: &Host, is_true: impl AsyncFn() -> bool) -> bool {
        let mut beat = beat();
        let mut steps = 0;
        while steps < PATIENCE {
            if is_true().await {
                return true;
            }
            beat.tick().await;
            let busy = host.is_busy() || QUEUES.iter().any(|queue| host.queues.has_due(queue).unwrap());
            if !busy {
                self.clock.advance(STEP);
                steps += 1;
            }
        }
        false
    }

    /// As vendors do: until it is taken.
    pub async fn vendor_sends(&self, host: &Host, delivery: &demo::Delivery) {
        let url = format!("{}/api/webhooks/{}/{}?{}", host.address, delivery.connector, delivery.connection, delivery.query);
        for _ in 0..5 {
            let request = delivery.headers.iter().fold(self.http.post(&url), |request, (name, value)| request.header(*name, value));
            if request.body(delivery.body.clone()).send().await.is_ok_and(|reply| reply.status() == 200) {
                return;
            }
        }
        panic!("{}: the callback is never taken", self.name);
    }

    /// Signs in, opens the link, sends the form; sends it again until it is taken.
    pub async fn approve(&self, host: &Host, id: ProposalId) {
        let page = format!("/api/portal/proposals/{HARBOR}/{id}");
        let cookie = self.sign_in(host).await;
        let (mut form, mut last) = (None, None);
        let carried_out = async || {
            let shown = self.http.get(format!("{}{page}", host.address)).header(header::COOKIE, &cookie).send().await;
            text(shown).await.is_ok_and(|html| html.contains("Carried out"))
        };
        for _ in 0..20 {
            if form.is_none() {
                let shown = self.http.get(format!("{}{page}", host.address)).header(header::COOKIE, &cookie).send().await;
                form = text(shown).await.ok().and_then(|html| decision(&html));
            }
            let Some(form) = &form else { continue };
            match self.post(host, &format!("{page}/decide"), &cookie, form).await {
                Ok(reply) if reply.status() == 303 => {
                    self.passes(host, carried_out).await;
                    return;
                }
                other => last = Some(other),
            }
        }
        let said = match last {
            Some(reply) => text(reply).await.unwrap_or_else(|error| error.to_string()),
            None => "there is no form".into(),
        };
        panic!("{}: the decision is never taken: {said}", self.name);
    }

    async fn sign_in(&self, host: &Host) -> String {
        for _ in 0..20 {
            let form =
                form_urlencoded::Serializer::new(String::new()).append_pair("person", &person(What::Approver).id.to_string()).finish();
            let Ok(reply) = self.post(host, "/api/portal/sign-in", "", &form).await else { continue };
            if let Some(cookie) = reply.headers().get(header::SET_COOKIE) {
                return cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            }
        }
        panic!("{}: nobody can sign in", self.name);
    }

    pub async fn get(&self, host: &Host, path: &str) -> reqwest::Result<Response> {
        self.http.get(format!("{}{path}", host.address)).send().await
    }

    async fn post(&self, host: &Host, path: &str, cookie: &str, form: &str) -> reqwest::Result<Response> {
        let request = self.http.post(format!("{}{path}", host.address));
        let request = request.header(header::COOKIE, cookie).header(header::ORIGIN, &host.address);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned()).send().await
    }
}

async fn text(reply: reqwest::Result<Response>) -> reqwest::Result<String> {
    reply?.error_for_status()?.text().await
}

/// The decision form with its hidden fields, answered with yes.
fn decision(html: &str) -> Option<String> {
    let form = html.split("<form").find(|form| form.contains("/decide"))?.split("</form").next()?;
    let mut answer = form_urlencoded::Serializer::new(String::new());
    for input in form.split("name=\"").skip(1) {
        let Some((name, rest)) = input.split_once("\" value=\"") else { continue };
        if !name.contains('"') && name != "decision" {
            answer.append_pair(name, rest.split('"').next()?);
        }
    }
    answer.append_pair("decision", "approve").append_pair("comment", "I compared it with the RMM.");
    Some(answer.finish())
}

pub fn beat() -> Interval {
    interval(Duration::from_millis(20))
}
