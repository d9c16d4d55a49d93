//! The main job in one process: two clients of one MSP, the functions of `triggers::TABLE` run as the host runs them,
//! vendors that post and answer, people who decide, and time that passes only when a story says so.
//!
//! What stands for the host does what the host does and no more: it hides a message for 30 seconds, delivers it again
//! when the function failed or its process died, moves it to `NAME-poison` after five tries, and runs the sweep every
//! five minutes. It never looks into a message.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use assay::{
    app::App,
    connectors::{
        Connection, Credentials, Secret, Settings, connection,
        demo::{self, Delivery, DemoPerson, What, autotask, connectwise},
    },
    gate::{self, Answer, DecideError, Decided, Proposal, Verdict},
    platform::ports::{HttpRequest, HttpResponse, Queue as _, Received},
    tenancy::{
        ClientPlace, ConnectionId, ConnectionPlace, DeploymentPlace, DeploymentScope, PersonId, ProposalId, Scope, Store, StoreError,
        TenantId,
        directory::{self, Grant, MappedCompany, Person, Role, Standing, Tenant},
        keys::{self, Owner},
        policy_mark::PolicyMark,
    },
    triggers::{Failure, HttpFn, Kind, QueueFn, QueueMessage, TABLE, Tick, TimerFn},
    web::{Method, Reply, Request},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{
    TestApp,
    authority::Authority,
    browser::{self, Browser},
    clock::START,
    http::response,
};

pub const HARBOR: TenantId = demo::HARBOR;
pub const RIDGE: TenantId = demo::RIDGE;
pub const QUEUES: [&str; 5] = ["intake", "analyze", "notify", "execute", "publish"];

/// How long a delivered message is hidden, how often it is tried, how often the timer runs: as `host.json` says.
const VISIBILITY: std::time::Duration = std::time::Duration::from_secs(30);
const TRIES: u32 = 5;
const SWEEP_EVERY: Duration = Duration::minutes(5);

/// How much of the world there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// ConnectWise reads Harbor Precision, Autotask reads Ridge Composites; all their devices.
    Both,
    /// Only ConnectWise, and three of Harbor's devices; Ridge has nothing connected.
    Small,
}

pub struct Flow {
    pub test: TestApp,
    /// How many port calls there had been when each invocation began.
    pub starts: Vec<usize>,
    /// Proposals that people answered.
    answered: Vec<ProposalId>,
    next_sweep: OffsetDateTime,
    /// How the last sweep ended.
    pub swept: Result<(), String>,
    /// Whether the process dies at the fault that the story planned; otherwise it lives on with the error.
    pub mortal: bool,
    /// How often it died.
    pub deaths: usize,
    /// Who vouches for people, at an installation with Entra sign-in.
    pub authority: Option<Arc<Authority>>,
}

impl Flow {
    pub async fn new(extent: Extent) -> Self {
        Self::begun(TestApp::new(), extent).await
    }

    /// The same in an App that a story prepared.
    pub async fn begun(test: TestApp, extent: Extent) -> Self {
        answer_as_the_vendors(&test, START, if extent == Extent::Small { 3 } else { usize::MAX });
        seed(&test, extent).await;
        Self::of(test)
    }

    /// The same on the Azure adapters.
    pub async fn on_azure(extent: Extent) -> Self {
        Self::on(TestApp::on_azure().await, extent).await
    }

    /// The same on this one.
    pub async fn on(test: TestApp, extent: Extent) -> Self {
        answer_as_the_vendors(&test, START, if extent == Extent::Small { 3 } else { usize::MAX });
        seed(&test, extent).await;
        Self::of(test)
    }

    /// What others began, taken over; the vendors show what they showed at `vendors_at`.
    pub fn taken_over(test: TestApp, vendors_at: OffsetDateTime) -> Self {
        answer_as_the_vendors(&test, vendors_at, usize::MAX);
        Self::of(test)
    }

    fn of(test: TestApp) -> Self {
        let next_sweep = test.app().now() + SWEEP_EVERY;
        Self { test, starts: Vec::new(), answered: Vec::new(), next_sweep, swept: Ok(()), mortal: false, deaths: 0, authority: None }
    }

    pub fn app(&self) -> &App {
        self.test.app()
    }

    /// A vendor's callback, sent once. `None` is no answer: the process died over it.
    pub async fn post(&mut self, delivery: &Delivery) -> Option<Reply> {
        let invocation_id = self.invocation();
        let headers = delivery.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let request = Request {
            method: Method::Post,
            path: format!("webhooks/{}/{}", delivery.connector, delivery.connection),
            query: delivery.query.clone(),
            headers,
            body: Bytes::from(delivery.body.clone()),
            invocation_id,
        };
        let reply = self.test.faults.product(http_function("webhooks")(request, self.test.app())).await;
        (!self.died()).then_some(reply)
    }

    /// A vendor's callback, sent until it is taken, as vendors do.
    pub async fn vendor_sends(&mut self, delivery: &Delivery) {
        for _ in 0..5 {
            match self.post(delivery).await {
                Some(reply) if reply.status == 200 => return,
                Some(reply) => assert_eq!(reply.status, 503, "{}", String::from_utf8_lossy(&reply.body)),
                None => {}
            }
            self.test.clock.advance(Duration::seconds(30));
        }
        panic!("the callback is never taken");
    }

    /// Delivers every message that is visible, and those that follow from them, until none is.
    pub async fn pump(&mut self) {
        while self.deliver_one().await {}
    }

    /// Delivers one visible message of this queue, if there is one.
    pub async fn pump_once(&mut self, queue: &str) {
        let (queue, run) = queue_functions().find(|(name, _)| *name == queue).unwrap();
        if let Some(received) = self.test.host_queue().receive(queue, 1, VISIBILITY).await.unwrap().pop() {
            self.deliver(queue, run, received).await;
        }
    }

    /// Delivers one visible message; false when there is none.
    pub async fn deliver_one(&mut self) -> bool {
        for (queue, run) in queue_functions() {
            let received = self.test.host_queue().receive(queue, 1, VISIBILITY).await.unwrap().pop();
            if let Some(received) = received {
                self.deliver(queue, run, received).await;
                return true;
            }
        }
        false
    }

    async fn deliver(&mut self, queue: &'static str, run: QueueFn, received: Received) {
        let outcome = self.invoke(run, received.body.clone()).await;
        if self.died() {
            return;
        }
        let queues = self.test.host_queue();
        match outcome {
            Ok(()) => queues.delete(queue, &received).await.unwrap(),
            Err(_) if received.dequeue_count >= TRIES => {
                queues.send(&format!("{queue}-poison"), received.body.clone(), std::time::Duration::ZERO).await.unwrap();
                queues.delete(queue, &received).await.unwrap();
            }
            // It stays hidden for the rest of its time.
            Err(_) => {}
        }
    }

    /// Runs a queue function on these bytes, whatever the queue holds.
    pub async fn run(&mut self, queue: &str, body: Bytes) -> Result<(), Failure> {
        let (_, run) = queue_functions().find(|(name, _)| *name == queue).unwrap();
        self.invoke(run, body).await
    }

    async fn invoke(&mut self, run: QueueFn, body: Bytes) -> Result<(), Failure> {
        let message = QueueMessage { body, invocation_id: self.invocation() };
        self.test.faults.product(run(message, self.test.app())).await
    }

    /// The timer, now.
    pub async fn sweep(&mut self) {
        self.next_sweep = self.test.app().now() + SWEEP_EVERY;
        let tick = Tick { past_due: false, invocation_id: self.invocation() };
        let outcome = self.test.faults.product(timer_function()(tick, self.test.app())).await.map_err(|error| error.to_string());
        self.swept = if self.died() { Err("the process died".into()) } else { outcome };
    }

    /// Time passes; messages are delivered and the sweep runs when their time comes.
    pub async fn pass(&mut self, time: Duration) {
        let end = self.test.app().now() + time;
        loop {
            let now = self.test.app().now();
            if now >= end {
                return;
            }
            self.test.clock.set((now + Duration::seconds(30)).min(end).min(self.next_sweep.max(now + Duration::seconds(1))));
            if self.test.app().now() >= self.next_sweep {
                self.sweep().await;
            }
            self.pump().await;
        }
    }

    /// ConnectWise shows only this many devices from now on.
    pub fn vendor_has_devices(&self, devices: usize) {
        answer_as_the_vendors(&self.test, START, devices);
    }

    /// The machine's clock is set; what the host counts by its own goes on: its timer, and the messages it hides.
    pub fn clock_jumps(&mut self, by: Duration) {
        self.test.clock.advance(by);
        self.test.queue.shift(by);
        self.next_sweep += by;
    }

    /// Until a sweep finds nothing left to do and no message waits anywhere.
    pub async fn settle(&mut self) {
        for _ in 0..60 {
            self.pump().await;
            self.pass(self.next_sweep - self.test.app().now() - Duration::seconds(1)).await;
            // Late, if the story moved the clock by hand.
            self.test.clock.set(self.next_sweep.max(self.test.app().now()));
            let before = self.waits();
            self.sweep().await;
            if self.swept.is_ok() && !before && !self.waits() {
                return;
            }
        }
        panic!("it never comes to rest: {:?}, {:?}", self.test.filled_queues(), self.swept);
    }

    fn waits(&self) -> bool {
        !self.test.filled_queues().is_empty()
    }

    /// Waits for the mail about this subject, opens its link and answers the page; sends the same form again until it is
    /// taken, as a person does whose page did not load.
    pub async fn answer(&mut self, who: &DemoPerson, tenant: TenantId, subject: &str, verdict: Verdict) -> Decided {
        let id = self.mailed(who, tenant, subject).await;
        // Nobody reads, looks at the evidence and decides in less.
        self.pass(Duration::minutes(2)).await;
        let mut form = None;
        for _ in 0..10 {
            self.starts.push(self.test.faults.count());
            let done = self.try_answer(who, tenant, id, verdict, &mut form).await;
            match done {
                _ if self.died() => {}
                Ok(decided) => {
                    self.answered.push(id);
                    return decided;
                }
                Err(DecideError::Store(_)) => {}
                Err(error) => panic!("{subject}: {error:?}"),
            }
            self.pass(Duration::seconds(30)).await;
        }
        panic!("{subject} is never decided");
    }

    /// The proposal that the mail's link leads to; time passes until there is one.
    pub async fn mailed(&mut self, who: &DemoPerson, tenant: TenantId, subject: &str) -> ProposalId {
        for _ in 0..60 {
            let asked = asked_in(mails_to(&self.test, who, tenant), subject);
            if let Some(id) = asked.into_iter().find(|id| !self.answered.contains(id)) {
                return id;
            }
            self.pass(Duration::seconds(30)).await;
        }
        panic!("nobody is asked about {subject}");
    }

    /// The same in a browser: signs in, opens the page of the mail's link and sends its form; each again until it is answered.
    pub async fn answer_on_the_page(&mut self, who: &DemoPerson, tenant: TenantId, subject: &str, decision: &str) {
        let id = self.mailed(who, tenant, subject).await;
        self.pass(Duration::minutes(2)).await;
        let page = format!("portal/proposals/{tenant}/{id}");
        let (mut cookie, mut form): (Option<String>, Option<Vec<(String, String)>>) = (None, None);
        for _ in 0..20 {
            self.starts.push(self.test.faults.count());
            let reply = match (&cookie, &form) {
                (None, _) => Browser::of_nobody(self).post("portal/sign-in", &[("person", &who.id.to_string())]).await,
                (Some(cookie), None) => Browser::with_cookie(self, cookie).get(&page).await,
                (Some(cookie), Some(form)) => {
                    let typed = [("decision", decision), ("comment", "I compared it with the RMM.")];
                    Browser::with_cookie(self, cookie).send(form.clone(), &format!("{page}/decide"), &typed).await
                }
            };
            if self.died() || reply.status >= 500 {
                self.pass(Duration::seconds(30)).await;
                continue;
            }
            match reply.status {
                303 if form.is_some() => {
                    self.answered.push(id);
                    return;
                }
                303 => cookie = browser::cookie_of(&reply),
                200 if browser::text(&reply).contains("It cannot be decided just now") => self.pass(Duration::minutes(1)).await,
                200 => form = Some(browser::hidden_of_form(&reply)),
                status => panic!("{subject}: answered {status}: {}", browser::text(&reply)),
            }
        }
        panic!("{subject} is never decided");
    }

    /// Looks at the page and answers it, once.
    pub async fn answer_once(&self, who: &DemoPerson, tenant: TenantId, id: ProposalId, verdict: Verdict) -> Result<Decided, DecideError> {
        self.try_answer(who, tenant, id, verdict, &mut None).await
    }

    async fn try_answer(
        &self,
        who: &DemoPerson,
        tenant: TenantId,
        id: ProposalId,
        verdict: Verdict,
        form: &mut Option<Answer>,
    ) -> Result<Decided, DecideError> {
        let (person, grant) = self.reader(who, tenant).await?;
        let scope = Scope::of_person(&grant, "page");
        if form.is_none() {
            let store = scope.store(self.app()).await?;
            let seen = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or(DecideError::NotFound)?;
            let Proposal { version, hash, .. } = seen.value;
            *form = Some(Answer { verdict, version, hash, comment: "I compared it with the RMM.".into() });
        }
        gate::decide(self.app(), &scope, &grant, &person, id, form.as_ref().unwrap()).await
    }

    /// The person and the grant, as a page reads them.
    pub async fn reader(&self, who: &DemoPerson, tenant: TenantId) -> Result<(Person, Grant), StoreError> {
        let store = DeploymentScope::of_function("portal", "page").store(self.app()).await?;
        let person = directory::person(&store, who.id).await?.unwrap();
        let grant = directory::grant(&store, tenant, who.id).await?.unwrap();
        Ok((person, grant))
    }

    /// A client's records, as the sweep sees them.
    pub async fn client(&self, tenant: TenantId) -> Store<'_, ClientPlace> {
        client_of(self.app(), tenant).await
    }

    pub async fn deployment(&self) -> Store<'_, DeploymentPlace> {
        DeploymentScope::of_function("story", "story").store(self.app()).await.unwrap()
    }

    fn invocation(&mut self) -> String {
        self.starts.push(self.test.faults.count());
        format!("invocation-{}", self.starts.len())
    }

    /// Somebody asks for something now.
    pub fn asks(&mut self) {
        self.starts.push(self.test.faults.count());
    }

    /// Whether the process died at the planned fault; then a new one stands in its place, and all goes well from here.
    pub fn died(&mut self) -> bool {
        let died = self.mortal && self.test.faults.struck();
        if died {
            self.deaths += 1;
            self.test.faults.mend();
            self.test.restart();
        }
        died
    }
}

/// The same by another App.
pub async fn client_of(app: &App, tenant: TenantId) -> Store<'_, ClientPlace> {
    let tenant = Tenant { id: tenant, name: String::new(), created_at: START };
    Scope::of_sweep(&tenant, "story").store(app).await.unwrap()
}

/// What lies in a person's mailbox about one client, as text.
pub fn mails_to(test: &TestApp, who: &DemoPerson, tenant: TenantId) -> Vec<String> {
    theirs(test.mails(&format!("{tenant}/")), who)
}

/// The proposals about this subject that a person was mailed.
pub fn asked_about(data: &Path, who: &DemoPerson, tenant: TenantId, subject: &str) -> Vec<ProposalId> {
    asked_in(theirs(mail_files(data, &format!("{tenant}/")), who), subject)
}

/// The same among mails with their names, wherever they came from.
pub fn asked_in_mails(mails: Vec<(String, String)>, who: &DemoPerson, subject: &str) -> Vec<ProposalId> {
    asked_in(theirs(mails, who), subject)
}

fn asked_in(mails: Vec<String>, subject: &str) -> Vec<ProposalId> {
    let ids = mails.into_iter().filter(|mail| mail.contains(subject)).map(|mail| pointed_to(&link_in(&mail)).1);
    ids.collect()
}

/// The address of a mail's link, without its host: `portal/link?token=...`.
pub fn link_in(mail: &str) -> String {
    let (_, link) = mail.split_once("/api/portal/link?").unwrap_or_else(|| panic!("no link in {mail}"));
    format!("portal/link?{}", link.split_whitespace().next().unwrap())
}

/// What a link says that it leads to; nothing of it is verified here.
pub fn pointed_to(link: &str) -> (TenantId, ProposalId) {
    let payload = URL_SAFE_NO_PAD.decode(link.split_once("token=").unwrap().1.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    (claims["tid"].as_str().unwrap().parse().unwrap(), claims["sub"].as_str().unwrap().parse().unwrap())
}

fn theirs(mails: Vec<(String, String)>, who: &DemoPerson) -> Vec<String> {
    mails.into_iter().filter(|(name, _)| name.ends_with(&format!("-{}.eml", who.id))).map(|(_, mail)| mail).collect()
}

/// The mails of a data folder whose name starts so, with their names.
pub fn mail_files(data: &Path, prefix: &str) -> Vec<(String, String)> {
    let folders = std::fs::read_dir(data.join("mailbox")).into_iter().flatten().map(|folder| folder.unwrap().path());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten()).map(|file| file.unwrap().path());
    let mails = files.map(|path| {
        let name = path.strip_prefix(data.join("mailbox")).unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    });
    mails.filter(|(name, _)| name.starts_with(prefix)).collect()
}

/// Somebody without a role, an account or a mail address.
pub fn somebody(id: PersonId, name: &str) -> Person {
    Person {
        id,
        name: name.into(),
        email: String::new(),
        is_owner: false,
        operates: false,
        identity: None,
        sign_in_name: None,
        same_as: None,
        access_ended_at: None,
        standing: Standing::default(),
    }
}

pub fn person(what: What) -> &'static DemoPerson {
    demo::PEOPLE.iter().find(|person| person.what == what).unwrap()
}

/// What happened at the vendor's clients just before `at`, as it posts it.
pub fn deliveries_of(connection: ConnectionId, at: OffsetDateTime) -> Vec<Delivery> {
    demo::deliveries(at).into_iter().filter(|delivery| delivery.connection == connection).collect()
}

/// A callback with another body, signed as its tool signs it.
pub fn with_body(sent: &Delivery, body: String) -> Delivery {
    assert_ne!(body, sent.body);
    let (name, signature) = match sent.connection {
        demo::AUTOTASK => ("x-hook-signature", autotask::signature(body.as_bytes())),
        _ => ("x-content-signature", connectwise::signature(body.as_bytes())),
    };
    let mut headers = sent.headers.clone();
    headers.retain(|(header, _)| *header != name);
    headers.push((name, signature));
    Delivery { body, headers, ..sent.clone() }
}

fn queue_functions() -> impl Iterator<Item = (&'static str, QueueFn)> {
    TABLE.iter().filter_map(|trigger| match trigger.kind {
        Kind::Queue { queue, run } => Some((queue, run)),
        _ => None,
    })
}

fn http_function(name: &str) -> HttpFn {
    let found = TABLE.iter().find(|trigger| trigger.name == name).map(|trigger| &trigger.kind);
    let Some(Kind::Http { run, .. }) = found else { panic!("no HTTP function {name}") };
    *run
}

fn timer_function() -> TimerFn {
    let mut timers = TABLE.iter().filter_map(|trigger| match trigger.kind {
        Kind::Timer { run, .. } => Some(run),
        _ => None,
    });
    timers.next_back().unwrap()
}

/// The demo's vendors, always as they were at that time.
fn answer_as_the_vendors(test: &TestApp, at: OffsetDateTime, devices: usize) {
    test.http.answer_with(move |request| Some(Ok(vendors_answer(request, at, devices))));
}

/// What one of them answers, of at most so many rows.
pub fn vendors_answer(request: &HttpRequest, at: OffsetDateTime, devices: usize) -> HttpResponse {
    let url = &request.url;
    let answer = demo::answer(url.host_str().unwrap(), url.path(), url.query().unwrap_or_default(), &request.body, at);
    let mut body = answer.body;
    if let Ok(Value::Array(mut rows)) = serde_json::from_str(&body) {
        rows.truncate(devices);
        body = Value::Array(rows).to_string();
    }
    response(answer.status, &[("content-type", answer.content_type)], body)
}

/// What people set up before any of this: clients, colleagues, grants, connections, and which company is which client.
async fn seed(test: &TestApp, extent: Extent) {
    let app = test.app();
    let store = DeploymentScope::of_function("story", "seed").store(app).await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    for (id, name) in [(HARBOR, "Harbor Precision"), (RIDGE, "Ridge Composites")] {
        if let Some(key) = test.key_for(id) {
            keys::make(app, Owner::Tenant(id), Some(&key)).await.unwrap();
        }
        batch.create(&Tenant { id, name: name.into(), created_at: START });
        batch.create(&PolicyMark::first(id));
        for DemoPerson { id: person, what, .. } in demo::PEOPLE {
            let roles = match what {
                What::Engineer => vec![Role::Engineer],
                What::Approver => vec![Role::Approver],
                What::Owner => continue,
            };
            let mut grant = Grant::of(id, *person, roles);
            grant.confirmed_at = Some(test.app().now());
            batch.create(&grant);
        }
    }
    for DemoPerson { id, name, email, what } in demo::PEOPLE {
        let (is_owner, operates) = (*what == What::Owner, *what == What::Engineer);
        batch.create(&Person {
            id: *id,
            name: (*name).into(),
            email: (*email).into(),
            is_owner,
            operates,
            identity: None,
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: Standing { confirmed_at: Some(test.app().now()), ..Standing::default() },
        });
    }
    batch.commit().await.unwrap();

    let [connectwise, autotask] = demo::connections();
    connection::add(&store, &connectwise).await.unwrap();
    map(&store, demo::CONNECTWISE, connectwise::HARBOR, HARBOR).await;
    if extent == Extent::Both {
        connection::add(&store, &autotask).await.unwrap();
        map(&store, demo::AUTOTASK, autotask::RIDGE, RIDGE).await;
    }
}

async fn map(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, company: u32, tenant: TenantId) {
    let by: PersonId = person(What::Engineer).id;
    let mut batch = store.batch(DeploymentPlace::Connection(connection, ConnectionPlace::Mapping));
    batch.create(&MappedCompany::confirmed(connection, &company.to_string(), "", tenant, by, START));
    batch.commit().await.unwrap();
}
