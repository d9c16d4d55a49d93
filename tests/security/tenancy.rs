//! Two clients with data that looks alike, and a person of the one who asks for what is the other's: at every address of
//! the portal, with every message of every queue, by the recipes `stn-*` of the samples. The other's ids get the answer
//! of ids that nobody has, with the same calls behind it, and nothing of the other's is in any page, mail, log or copy.
//!
//! The addresses are read from the router's own source, so that a new one is asked without a change here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
};

use assay::{
    audit,
    connectors::demo::{self, What},
    evidence::{Evidence, Origin},
    gate::{self, Answer, DecideError, Proposal, Verdict},
    platform::ports::{BatchOutcome, Container, Op, Partition, Query},
    tenancy::{
        ClientPlace, DeploymentPlace, Held, PersonId, Place as _, ProposalId, Record, Scope, StoreError, TenantId,
        directory::{Grant, Person, Proof, Role, Session, Tenant},
        keys::Owner,
        message,
        place::{AuditPart, EVIDENCE_SHARDS},
        seal::sha256,
    },
    triggers::{Kind, TABLE, portal},
    web::{Method, Reply, security},
};
use bytes::Bytes;
use serde_json::{Value, json};
use time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

use crate::support::{
    browser::{Browser, text},
    end_state::EndState,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
};

const A: TenantId = HARBOR;
const B: TenantId = RIDGE;
const A1: PersonId = PersonId(Uuid::from_u128(0xa1));
const B1: PersonId = PersonId(Uuid::from_u128(0xb1));
/// In every text of B's that a person could have written.
const CANARY: &str = "Quetzalcanary";
const OBJECTIVE: &str = "3.4.1[d]";
const REQUIREMENT: &str = "CM.L2-3.4.1";

struct World {
    flow: Flow,
    /// A proposal of each that waits for an answer.
    of_a: ProposalId,
    of_b: ProposalId,
}

/// The main job ran for both up to the approvals, B's name with its canary in it; then B's records got theirs. A1 and B1 are engineer and approver
/// of their own client only, and nothing else.
async fn world() -> World {
    let mut flow = Flow::new(Extent::Both).await;
    add_people(&flow).await;
    mark_name_of_b(&flow).await;
    let of_a = flow.mailed(person(What::Approver), A, OBJECTIVE).await;
    let of_b = flow.mailed(person(What::Approver), B, OBJECTIVE).await;
    flow.settle().await;
    mark_all_of_b(&flow).await;
    flow.test.restart();
    World { flow, of_a, of_b }
}

async fn add_people(flow: &Flow) {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    for (id, tenant, name) in [(A1, A, "Ann".to_owned()), (B1, B, format!("{CANARY} Ben"))] {
        batch.create(&Grant::of(tenant, id, vec![Role::Engineer, Role::Approver]));
        batch.create(&Person {
            id,
            email: format!("{}@example.net", name.split(' ').next().unwrap().to_lowercase()),
            name,
            is_owner: false,
            operates: false,
            identity: None,
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: assay::tenancy::directory::Standing::default(),
        });
    }
    batch.commit().await.unwrap();
}

async fn mark_name_of_b(flow: &Flow) {
    let store = flow.deployment().await;
    let mut held = store.read::<Tenant>(DeploymentPlace::Directory, &B.to_string()).await.unwrap().unwrap();
    held.value.name = format!("{CANARY} Composites");
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
}

async fn mark_all_of_b(flow: &Flow) {
    let store = flow.client(B).await;
    for shard in 0..EVIDENCE_SHARDS {
        for mut held in store.all::<Evidence>(ClientPlace::Evidence(shard), "").await.unwrap() {
            held.value.title = format!("{CANARY} {}", held.value.title);
            if let Origin::Observed(observed) = &mut held.value.origin {
                observed.system = CANARY.into();
                observed.facts.values_mut().for_each(|fact| *fact = format!("{CANARY} {fact}"));
            }
            replace(&store, ClientPlace::Evidence(shard), &held).await;
        }
    }
    for mut held in store.all::<Proposal>(ClientPlace::Assessment, "").await.unwrap() {
        let draft = &mut held.value.draft;
        for text in [&mut draft.question, &mut draft.explanation, &mut draft.before, &mut draft.after].into_iter().chain(&mut draft.reasons)
        {
            *text = format!("{CANARY} {text}");
        }
        replace(&store, ClientPlace::Assessment, &held).await;
    }
}

async fn replace<T: Record>(store: &assay::tenancy::Store<'_, ClientPlace>, place: ClientPlace, held: &Held<T>) {
    let mut batch = store.batch(place);
    batch.replace(held);
    batch.commit().await.unwrap();
}

/// The addresses that the router's function of this name takes, as it names them.
pub(super) fn routes(function: &str) -> Vec<Vec<String>> {
    let source = include_str!("../../functions/triggers/portal/mod.rs");
    let (_, body) = source.split_once(&format!("async fn {function}(reader")).unwrap();
    let body = body.split("\n}\n").next().unwrap();
    let arms = body.lines().filter_map(|line| line.trim().strip_prefix('[')?.split_once("] =>").map(|(arm, _)| arm));
    let all: Vec<Vec<String>> = arms
        .flat_map(|arm| arm.split("] | ["))
        .flat_map(|arm| {
            let mut alternatives = vec![Vec::new()];
            for segment in arm.split(", ") {
                let words: Vec<&str> = segment.split(" | ").collect();
                alternatives = alternatives
                    .into_iter()
                    .flat_map(|begun: Vec<String>| {
                        words.iter().map(move |word| begun.iter().cloned().chain([(*word).to_owned()]).collect())
                    })
                    .collect();
            }
            alternatives
        })
        .collect();
    assert!(all.len() > 15, "the router is read wrongly: {all:?}");
    all
}

/// Ids to put into an address: of whose client, and which of everything else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) tenant: TenantId,
    pub(super) proposal: ProposalId,
    pub(super) person: Uuid,
    pub(super) connection: Uuid,
    pub(super) other: Uuid,
}

impl Ids {
    fn texts(self) -> BTreeSet<String> {
        let all = [self.tenant.0, self.proposal.0, self.person, self.connection, self.other];
        all.iter().flat_map(|id| [id.simple().to_string(), id.hyphenated().to_string()]).collect()
    }

    pub(super) fn address(self, route: &[String]) -> String {
        let mut address = "portal".to_owned();
        let mut before = "";
        for segment in route {
            address.push('/');
            match segment.strip_prefix('"') {
                Some(word) => {
                    before = word.strip_suffix('"').unwrap();
                    address.push_str(before);
                }
                None => address.push_str(&match (before, segment.as_str()) {
                    (_, "tenant") => self.tenant.to_string(),
                    ("requirements", _) => REQUIREMENT.to_owned(),
                    ("entry", _) => "0".to_owned(),
                    ("proposals", _) => self.proposal.to_string(),
                    ("people", _) => self.person.simple().to_string(),
                    ("connections" | "set-aside", _) => self.connection.simple().to_string(),
                    _ => self.other.simple().to_string(),
                }),
            }
        }
        address
    }
}

/// What somebody sees, without the ids that they sent.
fn seen(reply: &Reply, ids: Ids) -> (u16, String, Vec<String>) {
    let without = |text: &str| ids.texts().iter().fold(text.to_owned(), |text, id| text.replace(id, "ID"));
    let headers = reply.headers.iter().map(|(name, value)| without(&format!("{name}: {value}"))).collect();
    (reply.status, without(&text(reply)), headers)
}

async fn ask(flow: &Flow, browser: &Browser<'_>, method: Method, address: &str) -> (Reply, Vec<&'static str>) {
    let body = if method == Method::Post { "token=none&version=1&decision=approve&comment=mine" } else { "" };
    // Once before: what is remembered then is remembered for both.
    portal::run(browser.request(method, address, body), flow.app()).await;
    let from = flow.test.faults.count();
    let reply = portal::run(browser.request(method, address, body), flow.app()).await;
    (reply, flow.test.faults.calls()[from..].to_vec())
}

fn must_not_show(reply: &Reply, address: &str) {
    let headers = format!("{:?}", reply.headers);
    assert!(!text(reply).contains(CANARY) && !headers.contains(CANARY), "{address} shows what is another client's");
}

/// Everything that is stored of a client, as it lies there.
async fn stored(flow: &Flow, tenant: TenantId) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for place in ClientPlace::with_outbox() {
        let partition = Partition::reserved_for_tenancy(place.container(), format!("{tenant}/{}", place.key()));
        let query = Query { limit: 1000, ..Query::prefix("") };
        let page = flow.app().documents.query(&partition, &query).await.unwrap();
        all.extend(page.documents.into_iter().map(|document| (format!("{}/{}", partition.key(), document.id), document.body)));
    }
    all
}

#[tokio::test]
async fn stn_000_at_every_address_anothers_ids_are_answered_as_those_that_nobody_has() {
    let World { flow, of_a, of_b } = world().await;
    let ann = Browser::of_person(&flow, A1).await;
    let nobodys = Uuid::from_u128(0xdead_beef);
    let absent = Ids { tenant: TenantId(nobodys), proposal: ProposalId(nobodys), person: nobodys, connection: nobodys, other: nobodys };
    let theirs = Ids { tenant: B, proposal: of_b, person: B1.0, connection: demo::AUTOTASK.0, other: of_b.0 };
    let before = stored(&flow, B).await;
    let mut asked = 0;
    for (method, function) in [(Method::Get, "show"), (Method::Head, "show"), (Method::Post, "act")] {
        for route in routes(function).into_iter().filter(|route| route.iter().any(|segment| !segment.starts_with('"'))) {
            // In the other's client, and the other's things in one's own.
            for (foreign, nobodys) in [(theirs, absent), (Ids { tenant: A, ..theirs }, Ids { tenant: A, ..absent })] {
                let (foreign_at, absent_at) = (foreign.address(&route), nobodys.address(&route));
                let (told, calls) = ask(&flow, &ann, method, &foreign_at).await;
                let (told_of_none, calls_of_none) = ask(&flow, &ann, method, &absent_at).await;
                assert_eq!(seen(&told, foreign), seen(&told_of_none, nobodys), "{method:?} {foreign_at} and {absent_at}");
                assert_eq!(calls, calls_of_none, "{method:?} {foreign_at} takes another way");
                must_not_show(&told, &foreign_at);
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked} addresses");
    assert_eq!(stored(&flow, B).await, before, "nothing of the other's changed");
    // It is no empty world: its own people see all of it.
    let ben = Browser::of_person(&flow, B1).await;
    assert!(text(&ben.get(&format!("portal/proposals/{B}/{of_b}")).await).contains(CANARY));
    assert_eq!(ann.get(&format!("portal/proposals/{A}/{of_a}")).await.status, 200);
}

/// What the token of a form covers, and what the form sends beside it.
type FormOf = (Vec<String>, Vec<(&'static str, String)>);

/// Of the form at this address; `None`: forms of the whole installation, which are not of one client.
fn form_at(route: &[String], ids: Ids) -> Option<FormOf> {
    let (tenant, proposal, other) = (ids.tenant.to_string(), ids.proposal.to_string(), ids.other.simple().to_string());
    let route: Vec<&str> = route.iter().map(|segment| segment.trim_matches('"')).collect();
    let own = |words: &[&str]| Some((words.iter().map(|word| (*word).to_owned()).collect(), vec![]));
    match route.as_slice() {
        ["clients", _, "people"] => own(&["people", &tenant]),
        ["clients", _, sort @ ("keys" | "offboarding"), _] => own(&[sort, &tenant, &other]),
        ["clients", _, "policy"] => own(&["policy", &tenant]),
        ["clients", _, "sprs"] => own(&["sprs", &tenant]),
        ["clients", _, "requirements", _, "propose"] => own(&["propose", &tenant, REQUIREMENT]),
        ["clients", _, "requirements", _, "roll-back"] => {
            let words = ["roll_back", &tenant, &proposal].map(str::to_owned);
            Some((words.into(), vec![("finding", proposal), ("reason", "It was another device.".into())]))
        }
        ["proposals", _, _, "withdraw"] => own(&["withdraw", &tenant, &proposal]),
        ["analytics", _, "take-part"] => {
            Some((["takes-part", &tenant, "yes"].map(str::to_owned).into(), vec![("takes-part", "yes".into())]))
        }
        ["analytics", _, "leave-out"] => own(&["leave-out", &tenant]),
        ["analytics", _, "accept"] => {
            let rule = "mark_objective 3.4.1[d]";
            Some((["accept", &tenant, rule].map(str::to_owned).into(), vec![("rule", rule.into())]))
        }
        ["analytics", _, "sampled", _] => Some((["sampled", &tenant, &other].map(str::to_owned).into(), vec![("answer", "agree".into())])),
        ["audit", _, "export"] => own(&["export", &tenant]),
        _ => None,
    }
}

/// Everything about a client's log that has an address: its page, its entries with both of their files, and the copy of it.
#[tokio::test]
async fn stn_000_no_page_or_file_of_anothers_log_is_told_from_one_that_is_not_there() {
    let World { flow, .. } = world().await;
    let (assessor, auditor, nobody) = (PersonId(Uuid::from_u128(0xa2)), PersonId(Uuid::from_u128(0xa3)), PersonId(Uuid::from_u128(0xa4)));
    add_reader(&flow, assessor, Some(Role::Assessor)).await;
    add_reader(&flow, auditor, Some(Role::Auditor)).await;
    add_reader(&flow, nobody, None).await;
    let (ben, absent) = (Browser::of_person(&flow, B1).await, TenantId(Uuid::from_u128(0xdead_beef)));
    let mut existing = 0;
    for (method, function) in [(Method::Get, "show"), (Method::Head, "show"), (Method::Post, "act")] {
        let of_a_log = |route: &Vec<String>| route.len() > 1 && route[0] == "\"audit\"" && route[1] == "tenant";
        for route in routes(function).into_iter().filter(of_a_log) {
            let at = |tenant: TenantId, index: &str| {
                let parts = route.iter().enumerate().map(|(n, part)| match part.strip_prefix('"') {
                    Some(word) => word.trim_end_matches('"').to_owned(),
                    None if n == 1 => tenant.to_string(),
                    None => index.to_owned(),
                });
                format!("portal/{}", parts.collect::<Vec<_>>().join("/"))
            };
            if method != Method::Post {
                let (own, _) = ask(&flow, &ben, method, &at(B, "0")).await;
                assert_eq!(own.status, 200, "there is such a thing: {}", at(B, "0"));
                existing += 1;
            }
            for who in [assessor, auditor, nobody] {
                let browser = Browser::of_person(&flow, who).await;
                for index in ["0", "999999"] {
                    let (told, calls) = ask(&flow, &browser, method, &at(B, index)).await;
                    let (told_of_none, calls_of_none) = ask(&flow, &browser, method, &at(absent, index)).await;
                    let without = |reply: &Reply, tenant: TenantId| (reply.status, text(reply).replace(&tenant.to_string(), "ID"));
                    assert_eq!(without(&told, B), without(&told_of_none, absent), "{method:?} {}", at(B, index));
                    assert_eq!((told.status, calls), (404, calls_of_none), "{method:?} {}", at(B, index));
                    must_not_show(&told, &at(B, index));
                }
            }
        }
    }
    assert_eq!(existing, 8, "the page, an entry and its two files, by GET and by HEAD");
}

/// Somebody with this role for A, or with none for anybody.
async fn add_reader(flow: &Flow, id: PersonId, role: Option<Role>) {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    let held = store.read::<Person>(DeploymentPlace::Directory, &A1.to_string()).await.unwrap().unwrap();
    batch.create(&Person { id, name: format!("Reader {id}"), email: format!("{id}@example.net"), ..held.value });
    if let Some(role) = role {
        let mut grant = Grant::of(A, id, vec![role]);
        grant.until = Some(flow.app().now() + Duration::days(30));
        batch.create(&grant);
    }
    batch.commit().await.unwrap();
}

/// With a token that only the installation could have made: what refuses it is not the form's, but whose it is.
#[tokio::test]
async fn stn_012_a_genuine_form_of_ones_own_that_names_what_is_anothers_is_one_that_names_nothing() {
    let World { flow, of_b, .. } = world().await;
    let ann = Browser::of_person(&flow, A1).await.session();
    let session = Session {
        token_hash: sha256(ann.split_once('=').unwrap().1.split('.').next().unwrap().as_bytes()),
        person: A1,
        signed_in_at: flow.app().now(),
        expires_at: flow.app().now(),
        demo: true,
        proof: Proof::default(),
        led_to: None,
    };
    let key = assay::tenancy::keys::data_key(flow.app(), Owner::Deployment).await.unwrap();
    let nobodys = Uuid::from_u128(0xdead_beef);
    let absent = Ids { tenant: TenantId(nobodys), proposal: ProposalId(nobodys), person: nobodys, connection: nobodys, other: nobodys };
    let theirs = Ids { tenant: B, proposal: of_b, person: B1.0, connection: demo::AUTOTASK.0, other: of_b.0 };
    let before = stored(&flow, B).await;
    let (mut asked, mut of_none) = (BTreeSet::new(), BTreeSet::new());
    for route in routes("act").into_iter().filter(|route| route.iter().any(|segment| !segment.starts_with('"'))) {
        for (foreign, nobodys) in [(theirs, absent), (Ids { tenant: A, ..theirs }, Ids { tenant: A, ..absent })] {
            // In one's own client, what names nothing else is one's own form.
            let names_more = route.iter().any(|segment| !segment.starts_with('"') && segment != "tenant");
            if foreign.tenant == A && !names_more {
                continue;
            }
            let send = async |ids: Ids| {
                let (words, fields) = form_at(&route, ids)?;
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let token = match words[0] {
                    // An answer that says how long its page was open.
                    "sampled" => security::timed_form_token(&key, &session, &words, flow.app().now()),
                    _ => security::form_token(&key, &session, &words),
                };
                let typed: Vec<(&str, &str)> =
                    fields.iter().map(|(name, value)| (*name, value.as_str())).chain([("token", token.as_str())]).collect();
                let browser = Browser::with_cookie(&flow, &ann);
                browser.post(&ids.address(&route), &typed).await;
                let from = flow.test.faults.count();
                let reply = browser.post(&ids.address(&route), &typed).await;
                Some((reply, flow.test.faults.calls()[from..].to_vec()))
            };
            let Some((told, calls)) = send(foreign).await else {
                of_none.insert(route.join("/").replace('"', ""));
                continue;
            };
            let (told_of_none, calls_of_none) = send(nobodys).await.unwrap();
            assert_eq!(seen(&told, foreign), seen(&told_of_none, nobodys), "{route:?} {foreign:?}");
            assert_eq!(calls, calls_of_none, "{route:?} {foreign:?} takes another way");
            assert!(!text(&told).contains("did not come from a page"), "{route:?}: the token is one that counts");
            must_not_show(&told, &foreign.address(&route));
            asked.insert(route.clone());
        }
    }
    assert!(asked.len() >= 9, "{asked:?}");
    // Of the installation: for who runs its tools or owns it, or of one's own decision (see below).
    let others: Vec<&str> = of_none.iter().map(String::as_str).filter(|route| !OF_THE_INSTALLATION.contains(route)).collect();
    assert!(others.is_empty(), "say what the token of these covers, or why they are not of one client: {others:?}");
    assert_eq!(stored(&flow, B).await, before, "nothing of the other's changed");
}

const OF_THE_INSTALLATION: &[&str] = &[
    "access/tenant/confirm",
    "connections/id",
    "connections/id/alarms/alarm/clear",
    "connections/id/pull",
    "connections/id/test",
    "dead-letters/id/replay",
    "dead-letters/id/see-to",
    "people/id",
    "people/id/end-access",
    "people/id/let-in",
    "people/id/turn-away",
    "proposals/tenant/id/decide",
    "set-aside/connection/destroy",
    "set-aside/connection/see-to",
];

#[tokio::test]
async fn stn_001_no_list_shows_what_is_anothers() {
    let World { mut flow, of_a, .. } = world().await;
    let ann = Browser::of_person(&flow, A1).await;
    let own = Ids { tenant: A, proposal: of_a, person: A1.0, connection: demo::CONNECTWISE.0, other: Uuid::from_u128(1) };
    let shown: Vec<String> = routes("show").iter().map(|route| own.address(route)).collect();
    for address in shown {
        for more in ["", "?after=", "?after=0", "?q=Quetzal", "?all=1", "?sort=name", "?limit=9999"] {
            let reply = ann.get(&format!("{address}{more}")).await;
            must_not_show(&reply, &address);
            for id in [B.to_string(), B1.to_string()] {
                assert!(!text(&reply).contains(&id), "{address} shows {id}");
            }
        }
    }
    // Nor does what is sent, the reminders of a week too: every mail to A1, and whatever lies in A's part of the mailbox.
    for _ in 0..6 {
        flow.clock_jumps(Duration::days(1));
        flow.sweep().await;
        flow.pump().await;
    }
    let mut of_b = 0;
    for (name, mail) in flow.test.mails("") {
        let theirs = name.starts_with(&B.to_string());
        assert!(theirs || (!mail.contains(&B.to_string()) && !mail.contains(CANARY)), "{name}");
        assert!(!(theirs && name.contains(&A1.to_string())), "{name}");
        of_b += usize::from(theirs && mail.contains(CANARY));
    }
    assert!(of_b > 1, "B's own mails have its canary");
}

/// With all that an export can hold.
const WHOLE: audit::Extent = audit::Extent { disclose: true, proofs: true };

#[tokio::test]
async fn stn_007_the_log_of_one_has_nothing_of_the_others_and_does_not_move_with_it() {
    let World { mut flow, .. } = world().await;
    let folder = flow.test.folder().join("copies");
    std::fs::create_dir_all(&folder).unwrap();
    let copy = async |flow: &Flow, name: &str| {
        let file = folder.join(name);
        let exported = audit::export(flow.app(), Owner::Tenant(A), [], &file, WHOLE).await.unwrap();
        (exported.checkpoint.size, files_of(&file))
    };
    let (first, text) = copy(&flow, "first").await;
    assert!(!text.contains(CANARY) && !text.contains(&B.to_string()) && text.len() > 1000);
    let before = audit::export(flow.app(), Owner::Tenant(B), [], &folder.join("theirs"), WHOLE).await.unwrap().checkpoint.size;
    for delivery in deliveries_of(demo::AUTOTASK, flow.app().now()) {
        flow.vendor_sends(&delivery).await;
    }
    flow.settle().await;
    let after = audit::export(flow.app(), Owner::Tenant(B), [], &folder.join("theirs-later"), WHOLE).await.unwrap().checkpoint.size;
    assert!(after > before + 1, "{before} {after}: nothing happened to B");
    let (second, text) = copy(&flow, "second").await;
    // Each copy is an entry of its own.
    assert_eq!(second - first, 1, "what happens to B is no matter of A's log");
    assert!(!text.contains(CANARY) && !text.contains(&B.to_string()));
}

fn files_of(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push_str(&if path.is_dir() { files_of(&path) } else { String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned() });
    }
    all
}

/// What a test's thread logs.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_canary_is_in_any_log_line_whatever_is_asked() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    // With one dispatcher alone, what a line's first thread listens to decides for all of them, and that thread may be another test's.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let World { mut flow, of_b, .. } = world().await;
    let theirs = Ids { tenant: B, proposal: of_b, person: B1.0, connection: demo::AUTOTASK.0, other: of_b.0 };
    for who in [A1, B1] {
        let browser = Browser::of_person(&flow, who).await;
        for route in routes("show") {
            browser.get(&theirs.address(&route)).await;
        }
        for route in routes("act") {
            browser.post(&theirs.address(&route), &[("token", "none")]).await;
        }
    }
    flow.pass(Duration::minutes(11)).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.lines().count() > 3, "nothing was logged at all");
    assert!(!text.contains(CANARY), "{}", text.lines().find(|line| line.contains(CANARY)).unwrap());
}

#[tokio::test]
async fn a_decision_on_anothers_proposal_is_one_on_none() {
    let World { flow, of_b, .. } = world().await;
    let grant = Grant::of(A, A1, vec![Role::Approver, Role::Engineer]);
    let person = flow.deployment().await.read::<Person>(DeploymentPlace::Directory, &A1.to_string()).await.unwrap().unwrap().value;
    let proposal = flow.client(B).await.read::<Proposal>(ClientPlace::Assessment, &of_b.to_string()).await.unwrap().unwrap().value;
    let answer = Answer { verdict: Verdict::Approve, version: proposal.version, hash: proposal.hash, comment: "mine".into() };
    let scope = Scope::of_person(&grant, "test");
    let refused = gate::decide(flow.app(), &scope, &grant, &person, of_b, &answer).await.unwrap_err();
    assert!(matches!(refused, DecideError::NotFound), "{refused:?}");
}

#[tokio::test]
async fn every_message_with_anothers_ids_in_it_ends_as_one_with_ids_that_nobody_has() {
    let mut flow = Flow::new(Extent::Both).await;
    let copies = flow.test.queue.keep_copies();
    flow.answer(person(What::Approver), B, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let queues: BTreeSet<&str> = TABLE
        .iter()
        .filter_map(|trigger| match trigger.kind {
            Kind::Queue { queue, .. } => Some(queue),
            _ => None,
        })
        .collect();
    let sent: Vec<(String, Bytes)> = copies.lock().unwrap().clone();
    let (before, theirs) = (EndState::of(&flow).await, stored(&flow, B).await);
    let mut tried = BTreeMap::<String, usize>::new();
    for (queue, bytes) in sent.into_iter().filter(|(queue, _)| queues.contains(queue.as_str())) {
        let genuine = message::open(flow.app(), &queue, &bytes).await.unwrap();
        // The webhook's message belongs to no client: the client map says whose it is.
        if genuine.tenant() != Some(B) {
            continue;
        }
        *tried.entry(queue.clone()).or_default() += 1;
        // A message of A's that names B's things, and one that names nobody's; each as the installation itself would sign it.
        let body: Value = genuine.body().unwrap();
        let outcome = async |flow: &mut Flow, body: &Value| {
            let id = flow.app().ids.uuid();
            let bytes = message::seal(flow.app(), &queue, Some(A), id, body).await.unwrap();
            let from = flow.test.faults.count();
            let outcome = flow.run(&queue, bytes).await.map_err(|error| error.to_string());
            (outcome, flow.test.faults.calls()[from..].to_vec())
        };
        let none = with_nobodys_ids(&body);
        // Once before, for what is remembered.
        let _ = outcome(&mut flow, &none).await;
        let (told, told_of_none) = (outcome(&mut flow, &body).await, outcome(&mut flow, &none).await);
        assert_eq!(told, told_of_none, "{queue}: {body}");
        // The bare message without the client's MAC, with the client's name changed, is none of ours.
        let mut wire: Value = serde_json::from_slice(&bytes).unwrap();
        wire["tenant"] = json!(A);
        message::open(flow.app(), &queue, wire.to_string().as_bytes()).await.unwrap_err();
    }
    let wanted: BTreeSet<&str> = queues.iter().copied().filter(|queue| *queue != "intake").collect();
    assert_eq!(tried.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "each queue of the table was tried");
    assert_eq!(stored(&flow, B).await, theirs, "B's records are as they were");
    flow.settle().await;
    let after = EndState::of(&flow).await;
    assert_eq!((before.decisions, before.findings), (after.decisions, after.findings));
}

/// The same with every id in it another's.
fn with_nobodys_ids(body: &Value) -> Value {
    match body {
        Value::String(text) if Uuid::parse_str(text).is_ok() => json!(Uuid::from_u128(0xdead_beef)),
        Value::String(text) => json!(text),
        Value::Array(all) => all.iter().map(with_nobodys_ids).collect(),
        Value::Object(all) => {
            all.iter().map(|(name, value)| (name.clone(), with_nobodys_ids(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn stn_020_what_a_process_remembers_for_one_is_not_shown_to_the_other() {
    let World { flow, .. } = world().await;
    let (ann, ben) = (Browser::of_person(&flow, A1).await, Browser::of_person(&flow, B1).await);
    for _ in 0..2 {
        for page in ["portal/inbox", "portal/clients", "portal/mapping", "portal/connections"] {
            let theirs = ben.get(page).await;
            let own = ann.get(page).await;
            must_not_show(&own, page);
            assert!(!text(&theirs).contains("Harbor"), "{page}");
        }
    }
    assert!(text(&ben.get("portal/inbox").await).contains(CANARY));
}

#[tokio::test]
async fn stn_022_a_record_that_was_copied_into_anothers_place_is_unreadable_there_and_not_empty() {
    let World { mut flow, of_a, of_b } = world().await;
    let place =
        |tenant: TenantId| Partition::reserved_for_tenancy(Container::Clients, format!("{tenant}/{}", ClientPlace::Assessment.key()));
    let theirs = flow.app().documents.read(&place(B), &format!("proposal:{of_b}")).await.unwrap().unwrap();
    let own = flow.app().documents.read(&place(A), &format!("proposal:{of_a}")).await.unwrap().unwrap();
    let replace = Op::Replace { id: own.id.clone(), body: theirs.body, if_match: own.etag };
    let done = flow.app().documents.batch(&place(A), vec![replace]).await.unwrap();
    assert!(matches!(done, BatchOutcome::Committed(_)));
    let read = flow.client(A).await.read::<Proposal>(ClientPlace::Assessment, &of_a.to_string()).await;
    assert!(matches!(read, Err(StoreError::Sealed { .. })), "{read:?}");
    let ann = Browser::of_person(&flow, A1).await;
    let told = ann.get(&format!("portal/proposals/{A}/{of_a}")).await;
    assert_eq!(told.status, 500, "unreadable, not absent, and nothing that passes");
    assert!(text(&told).contains("This record cannot be read") && text(&told).contains("restored from a backup"), "{}", text(&told));
    must_not_show(&told, "the copied proposal");
    // It was a look, which writes nothing; with the next work the installation's log says who met which record, once an hour.
    for _ in 0..2 {
        Browser::of_person(&flow, A1).await.get(&format!("portal/proposals/{A}/{of_a}")).await;
        flow.pump().await;
        flow.sweep().await;
    }
    let first = DeploymentPlace::Log(AuditPart::Entries(0));
    let said: Vec<audit::entry::Entry> = flow.deployment().await.all(first, "").await.unwrap().into_iter().map(|held| held.value).collect();
    let said: Vec<_> = said.iter().filter(|entry| entry.leaf.contains("record.unreadable")).collect();
    let holds = |words: &str| said.iter().any(|entry| entry.content.contains(words));
    assert!(said.len() == 1 && holds(&format!("proposal:{of_a}")), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn stn_042_a_key_that_is_disabled_is_said_so_with_a_reference_without_a_storm_and_back_without_loss() {
    let fake = crate::support::key_vault::FakeVaults::new();
    let mut test = crate::support::TestApp::new();
    test.vault = Some(Arc::new(crate::support::key_vault::open(&fake, &[])));
    test.restart();
    for (tenant, name) in [(A, "harbor"), (B, "ridge")] {
        let uri = crate::support::key_vault::key_uri(name);
        fake.make_key(&uri);
        assay::tenancy::keys::make(test.app(), Owner::Tenant(tenant), Some(&uri)).await.unwrap();
    }
    let mut flow = Flow::begun(test, Extent::Both).await;
    let asked = flow.mailed(person(What::Approver), A, OBJECTIVE).await;
    let key = crate::support::key_vault::key_uri("harbor");
    fake.disable(&key);
    flow.test.clock.advance(Duration::minutes(6));
    let priya = Browser::of(&flow, What::Approver).await;
    let mut request = priya.request(Method::Get, &format!("portal/proposals/{A}/{asked}"), "");
    request.headers.retain(|(name, _)| name != "accept");
    request.headers.push(("accept".into(), "application/json".into()));
    fake.seen();
    let told = portal::run(request, flow.app()).await;
    let problem: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((told.status, &problem["type"], &problem["reason"]), (423, &json!("urn:assay:problem:key-unavailable"), &json!("disabled")));
    assert!(problem["instance"].is_string() && problem["detail"].as_str().unwrap().contains("disabled in the key vault"));
    let calls = fake.seen().len();
    assert!(calls <= 6, "{calls} calls for one page");
    assert_eq!(priya.get(&format!("portal/clients/{B}")).await.status, 200);

    flow.pass(Duration::minutes(30)).await;
    fake.refuse(&key, None);
    flow.answer(person(What::Approver), A, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
}
