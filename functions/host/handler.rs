//! The handler's core: one call in, one reply out, without sockets.
//!
//! A call inside the route prefix is HTTP for a route of the table; a call outside it is an envelope for a queue or
//! timer function by name, or the host's ping. Whatever happens within, the host hears JSON or a problem document in
//! time: before its own time-out, which would kill the process and every other invocation with it.
//! Work runs in a task of its own: a panic ends that invocation only, and a client that hangs up stops nothing half-way.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span, info_span};

use super::{
    body::{self, Body, BodyError},
    envelope::{self, Envelope, EnvelopeError, MAX_ENVELOPE_BYTES},
    headers,
    start::Life,
};
use crate::{
    app::App,
    config::Config,
    triggers::{Failure, HttpFn, Kind, QueueMessage, Tick, Trigger, health, route::Template},
    web::{Method, Problem, Reply, Request, pages::Frame, reply, security, session},
};

/// A request as it comes from the host.
#[derive(Debug)]
pub struct Call {
    /// In upper case.
    pub method: String,
    /// With its leading slash, not decoded.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a call to the end of its work.
    pub deadline: Duration,
    /// For the body of an HTTP call: it holds a place while it comes.
    pub body_time: Duration,
    /// Invocations at work at once, of HTTP functions and of all others each; one more is answered 429.
    pub max_concurrent: usize,
}

pub struct Handler {
    routes: Vec<Route>,
    envelopes: Vec<&'static Trigger>,
    /// With slashes around: `/api/`.
    prefix: String,
    deadline: Duration,
    body_time: Duration,
    http_permits: Arc<Semaphore>,
    /// Of their own: whatever strangers send, messages and timers are worked on.
    envelope_permits: Arc<Semaphore>,
    life: watch::Receiver<Life>,
}

struct Route {
    name: &'static str,
    template: Template,
    methods: &'static [&'static str],
    max_body_bytes: usize,
    run: HttpFn,
}

/// Ample for the largest body that a route takes.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Why an invocation has no result.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("as many invocations as allowed are at work")]
    Overload,
    #[error("not ready: {0}")]
    NotReady(&'static str),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the body came too slowly")]
    SlowBody,
    #[error("the deadline passed")]
    Late,
    #[error("panicked")]
    Panicked,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Handler {
    /// Mounts a table under a route prefix such as `api`. Routes that do not parse are left out: `triggers::check`
    /// has reported them by then.
    pub fn new(table: &'static [Trigger], prefix: &str, limits: Limits, life: watch::Receiver<Life>) -> Self {
        let mut routes: Vec<Route> = table.iter().filter_map(Route::of).collect();
        routes.sort_by(|a, b| a.template.precedence(&b.template));
        let permits = || Arc::new(Semaphore::new(limits.max_concurrent.min(Semaphore::MAX_PERMITS)));
        Self {
            routes,
            envelopes: table.iter().filter(|t| !matches!(t.kind, Kind::Http { .. })).collect(),
            prefix: format!("/{}/", prefix.trim_matches('/')),
            deadline: limits.deadline,
            body_time: limits.body_time,
            http_permits: permits(),
            envelope_permits: permits(),
            life,
        }
    }

    /// Always a reply, never later than the deadline and the time a refused upload may take to drain.
    pub async fn answer(&self, mut call: Call) -> Reply {
        if body::is_beyond_the_host(&call.headers) {
            // Never the host's: it is told before a byte is read, and its connection ends with the rest of it unread.
            let reference = headers::invocation_id(&call.headers).unwrap_or("none");
            let refused = Problem::too_large(body::DRAIN_BYTES).reply(reference).with("connection", "close");
            return security::guard_all(refused, self.is_https());
        }
        let reply = if let Some(path) = self.under_prefix(&call.path) {
            let path = path.to_owned();
            security::guard_all(self.http(&mut call, &path).await, self.is_https())
        } else if call.path == "/" && matches!(call.method.as_str(), "GET" | "HEAD") {
            // The readiness ping, repeated later as a health probe.
            Reply::json(200, &serde_json::json!({ "status": "listening" }))
        } else {
            self.envelope(&mut call).await
        };
        call.body.drain().await;
        headers::only_ascii(reply)
    }

    /// Whether people reach it by https; not known before the settings are.
    fn is_https(&self) -> bool {
        matches!(&*self.life.borrow(), Life::Ready(app, _) if session::is_https(&app.config))
    }

    /// The host compares the prefix without regard to case, and hands on the path as the client wrote it.
    fn under_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let head = path.get(..self.prefix.len())?;
        head.eq_ignore_ascii_case(&self.prefix).then(|| &path[self.prefix.len()..])
    }

    // ---- HTTP functions

    async fn http(&self, call: &mut Call, path: &str) -> Reply {
        let reference = headers::invocation_id(&call.headers).unwrap_or("none").to_owned();
        let html = reply::wants_html(&call.headers);
        let found: Vec<(&Route, String)> = if may_be_rewritten(path) {
            Vec::new()
        } else {
            self.routes.iter().filter_map(|r| Some((r, r.template.matches(path)?))).collect()
        };
        let method = method_of(&call.method);
        let Some((route, path)) = found.iter().find(|(r, _)| method.is_some_and(|m| r.takes(m))) else {
            return self.refusal(&no_route(&found, &call.method), &reference, html);
        };
        let Some(method) = method else { return self.refusal(&Problem::not_found(), &reference, html) };
        if route.name == health::NAME {
            return self.health();
        }
        let span = info_span!("invocation", function = route.name, invocation_id = %reference);
        let started = Instant::now();
        let outcome = self.run_http(route, method, path, call, &span).await;
        span.in_scope(|| log(started, outcome.as_ref().map(|reply| reply.status)));
        outcome.unwrap_or_else(|cut| {
            let reply = self.refusal(&problem_of(&cut), &reference, html);
            if matches!(cut, Cut::Overload) { reply.with("retry-after", "5") } else { reply }
        })
    }

    /// A page for a browser, once there is an App to say by which clock and whether it is a demo; else a problem document.
    fn refusal(&self, problem: &Problem, reference: &str, html: bool) -> Reply {
        match &*self.life.borrow() {
            Life::Ready(app, _) if html => reply::problem_page(problem, reference, Frame::anonymous(&app.config, app.now())),
            _ => problem.reply(reference),
        }
    }

    async fn run_http(&self, route: &Route, method: Method, path: &str, call: &mut Call, span: &Span) -> Result<Reply, Cut> {
        let deadline = Instant::now() + self.deadline;
        let permit = permit(&self.http_permits)?;
        let app = self.app(deadline).await?;
        let body = read(&mut call.body, route.max_body_bytes, deadline.min(Instant::now() + self.body_time)).await?;
        let invocation_id = headers::invocation_id(&call.headers).map_or_else(|| app.ids.uuid().to_string(), str::to_owned);
        let request = Request {
            method,
            path: path.to_owned(),
            query: std::mem::take(&mut call.query),
            headers: std::mem::take(&mut call.headers),
            body,
            invocation_id,
        };
        let run = route.run;
        guarded(deadline, permit, span, async move { run(request, &app).await }).await
    }

    /// Health answers at once, in every state of life and under any load.
    fn health(&self) -> Reply {
        match &*self.life.borrow() {
            Life::Ready(_, None) => health::looking(),
            Life::Ready(app, Some(ailments)) if ailments.is_empty() => health::run(app),
            Life::Ready(_, Some(ailments)) => health::limited(ailments),
            Life::Starting => health::starting(),
            Life::Unwell(reasons) => health::unwell(reasons),
        }
    }

    // ---- queue and timer functions

    async fn envelope(&self, call: &mut Call) -> Reply {
        let name = call.path.trim_start_matches('/');
        let trigger = self.envelopes.iter().find(|t| t.name == name).filter(|_| call.method == "POST");
        let Some(trigger) = trigger else {
            return envelope::failure(404, "no such function");
        };
        if headers::came_through_the_proxy(&call.headers) {
            tracing::warn!(function = trigger.name, "refused: an envelope that came through the proxy is forged");
            return envelope::failure(404, "no such function");
        }
        let invocation_id = headers::invocation_id(&call.headers).unwrap_or("none").to_owned();
        let span = info_span!("invocation", function = trigger.name, invocation_id = %invocation_id);
        let started = Instant::now();
        let outcome = self.run_envelope(trigger, invocation_id, call, &span).await;
        span.in_scope(|| log(started, outcome.as_ref().map(|()| 200)));
        match outcome {
            Ok(()) => envelope::success(),
            Err(Cut::Overload) => envelope::failure(429, "too busy"),
            Err(_) => envelope::failure(500, "failed; the log has the reason"),
        }
    }

    async fn run_envelope(&self, trigger: &'static Trigger, invocation_id: String, call: &mut Call, span: &Span) -> Result<(), Cut> {
        let deadline = Instant::now() + self.deadline;
        let permit = permit(&self.envelope_permits)?;
        let app = self.app(deadline).await?;
        let bytes = read(&mut call.body, MAX_ENVELOPE_BYTES, deadline).await?;
        let envelope = Envelope::parse(&bytes)?;
        match trigger.kind {
            Kind::Queue { run, .. } => {
                let message = QueueMessage { body: envelope.queue_message("message")?, invocation_id };
                guarded(deadline, permit, span, async move { run(message, &app).await }).await??;
            }
            Kind::Timer { run, .. } => {
                let tick = Tick { past_due: envelope.timer("timer")?.past_due, invocation_id };
                guarded(deadline, permit, span, async move { run(tick, &app).await }).await??;
            }
            Kind::Http { .. } => return Err(Cut::NotReady("HTTP functions take no envelopes")),
        }
        Ok(())
    }

    // ---- both

    /// Waits while the process starts; fails at once when it cannot start.
    async fn app(&self, deadline: Instant) -> Result<Arc<App>, Cut> {
        let mut life = self.life.clone();
        let settled = timeout_at(deadline, life.wait_for(|l| !matches!(l, Life::Starting))).await;
        match settled {
            Ok(Ok(life)) => match &*life {
                Life::Ready(app, _) => Ok(app.clone()),
                _ => Err(Cut::NotReady("the start failed; health has the reasons")),
            },
            _ => Err(Cut::NotReady("the start takes longer than the deadline")),
        }
    }
}

fn permit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Cut> {
    permits.clone().try_acquire_owned().map_err(|_| Cut::Overload)
}

async fn read(body: &mut Body, limit: usize, until: Instant) -> Result<Bytes, Cut> {
    Ok(timeout_at(until, body.read(limit)).await.map_err(|_| Cut::SlowBody)??)
}

/// Runs the work in its own task, which holds its permit until it really ends. The deadline is kept twice: within, so
/// that work is dropped even if the client is gone; and here, for work that never gives way.
async fn guarded<T: Send + 'static>(
    deadline: Instant,
    permit: OwnedSemaphorePermit,
    span: &Span,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Cut> {
    let work = async move {
        let _permit = permit;
        timeout_at(deadline, work).await
    };
    match timeout_at(deadline, tokio::spawn(work.instrument(span.clone()))).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(_elapsed))) | Err(_elapsed) => Err(Cut::Late),
        Ok(Err(_panic)) => Err(Cut::Panicked),
    }
}

fn log(started: Instant, outcome: Result<u16, &Cut>) {
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(status) => tracing::info!(status, ms, "done"),
        Err(cut) => {
            let causes: Vec<String> =
                std::iter::successors(std::error::Error::source(cut), |e| e.source()).map(ToString::to_string).collect();
            tracing::warn!(error = %cut, causes = causes.join(": "), ms, "not done");
        }
    }
}

fn problem_of(cut: &Cut) -> Problem {
    match cut {
        Cut::Overload => Problem::new(429, "too-busy", "Too busy just now", "Nothing was started. Try again in a few seconds."),
        Cut::NotReady(_) => Problem::unavailable(),
        Cut::Body(BodyError::TooLarge { limit }) => Problem::too_large(*limit),
        Cut::Body(BodyError::Broken(_)) => Problem::bad_request("The body broke off; nothing was kept."),
        Cut::SlowBody => Problem::new(
            408,
            "too-slow-a-body",
            "It came too slowly",
            "The whole of it had not arrived in time; nothing was kept. Send it again.",
        ),
        Cut::Late => Problem::new(504, "too-slow", "It took too long", "What was not finished was stopped. Look before you try again."),
        Cut::Panicked | Cut::Envelope(_) | Cut::Failed(_) => Problem::new(
            500,
            "internal",
            "Assay stopped at an error of its own",
            "What was saved before it stays. Look at the page again before you repeat what you did.",
        ),
    }
}

fn no_route(found: &[(&Route, String)], method: &str) -> Problem {
    match found.first() {
        Some((route, _)) => Problem::new(
            405,
            "method-not-allowed",
            "This address does not take that",
            format!("{method} is not taken here, but {}.", route.methods.join(", ").to_uppercase()),
        ),
        None => Problem::not_found(),
    }
}

/// The proxy rewrites escapes; a path that still holds an escaped percent sign, slash or NUL, or a dot segment, is not
/// the one the client meant (measured on a running host).
fn may_be_rewritten(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    ["%25", "%2f", "%00"].iter().any(|escape| path.contains(escape)) || path.split('/').any(|s| s == "." || s == "..")
}

fn method_of(method: &str) -> Option<Method> {
    Some(match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => return None,
    })
}

impl Route {
    fn of(trigger: &Trigger) -> Option<Self> {
        let Kind::Http { route, methods, max_body_bytes, run } = trigger.kind else { return None };
        Some(Self { name: trigger.name, template: Template::parse(route).ok()?, methods, max_body_bytes, run })
    }

    /// HEAD is served wherever GET is: mail scanners and monitors send it.
    fn takes(&self, method: Method) -> bool {
        let lists = |wanted: &str| self.methods.contains(&wanted);
        match method {
            Method::Get => lists("get"),
            Method::Head => lists("head") || lists("get"),
            Method::Post => lists("post"),
            Method::Put => lists("put"),
            Method::Delete => lists("delete"),
        }
    }
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self { deadline: config.deadline, body_time: BODY_TIME, max_concurrent: config.max_concurrent }
    }
}

impl Default for Limits {
    /// While the configuration is bad nothing runs, so these only bound the waiting.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), body_time: BODY_TIME, max_concurrent: 256 }
    }
}
