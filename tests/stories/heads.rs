//! A store of the release before, which kept the heads of the logs among their entries: opened by this one it goes on where it
//! was, whatever stops in between and whoever else is at it.

use std::{collections::BTreeMap, sync::Arc};

use assay::{
    app::App,
    audit::{
        self, Event, Item,
        entry::{Entry, HEAD_KEY, Head},
        follow::HEAD_GONE,
        leaf,
        replay::Outside,
        sequence, tiles,
        tlog::Checkpoint,
    },
    config,
    connectors::demo::{self, What},
    gate::Verdict,
    host::verify_store,
    platform::ports::{BlobContainer, Document, Op},
    tenancy::{
        ClientPlace, DeploymentScope, Place, Record, Store, StoreError,
        keys::{self, Owner},
        place::AuditPart,
    },
};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{
    offboarding::{at_rest, done, owner_reads, waited},
    verify_store::{grants_are_told, verified},
};
use crate::support::{
    TestApp,
    browser::{Browser, text},
    clock::START,
    cosmos,
    end_state::{EndState, all},
    events::approval,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
    former_heads::{as_before, documents, former_heads_of, heads_of, write},
    log_copy,
    meeting::two_at_once,
    reader::{TENANT, client},
};

const OBJECTIVE: &str = "3.4.1[d]";
const OWNER: Owner = Owner::Tenant(TENANT);
/// What a log says when something is wrong with it, or when it begins anew.
const BAD: [&str; 3] = ["log.gap", "log.alarm", "log.migrated"];

async fn kinds<P: Place>(store: &Store<'_, P>) -> Vec<String> {
    let entries = all::<Entry, _>(store, P::audit(AuditPart::Entries(0))).await;
    entries.iter().map(|entry| leaf::read(&entry.leaf).unwrap().kind).collect()
}

async fn is_good<P: Place>(store: &Store<'_, P>) {
    let kinds = kinds(store).await;
    assert!(!kinds.iter().any(|kind| BAD.contains(&kind.as_str())), "{kinds:?}");
}

async fn checkpoint(app: &App, owner: Owner) -> Option<bytes::Bytes> {
    app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await.unwrap()
}

async fn record(store: &Store<'_, ClientPlace>, count: usize) {
    for n in 0..count {
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), approval(n, "Dana Whitfield", "")));
        batch.commit().await.unwrap();
    }
}

async fn next(store: &Store<'_, ClientPlace>) -> Option<u64> {
    store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().map(|held| held.value.next)
}

/// Beside the head, one of many.
#[derive(Serialize, Deserialize)]
struct Beside(u32, String);

impl Record for Beside {
    const KIND: &'static str = "figures";
    const SCHEMA: u32 = 3;

    fn key(&self) -> String {
        format!("{:04}", self.0)
    }

    fn revision(&self) -> u64 {
        7
    }
}

/// Five entries are published, two more have their places, and an item waits; beside the head lies more than one page holds, and
/// something large.
async fn of_before() -> TestApp {
    let mut test = TestApp::new();
    a_log(test.app()).await;
    as_before(&test, &[OWNER]).await;
    test.restart();
    test
}

async fn a_log(app: &App) {
    let store = client(app).await;
    record(&store, 5).await;
    assert!(sequence(&store, [ClientPlace::Assessment]).await.unwrap().complete);
    audit::publish(&store).await.unwrap();
    record(&store, 2).await;
    assert!(sequence(&store, [ClientPlace::Assessment]).await.unwrap().complete);
    record(&store, 1).await;
    for some in [0..80, 80..130] {
        let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
        for n in some {
            batch.create(&Beside(n, "a".repeat(if n == 100 { 300_000 } else { 3 })));
        }
        batch.commit().await.unwrap();
    }
}

/// It is where it was, and goes on from there.
async fn goes_on(app: &App) {
    let store = client(app).await;
    assert_eq!(next(&store).await, Some(7), "nobody takes it for a new log");
    assert!(store.move_head().await.unwrap());
    let beside = all::<Beside, _>(&store, ClientPlace::audit(AuditPart::Head)).await;
    assert_eq!((beside.len(), beside[100].1.len()), (130, 300_000));
    ends(app).await;
}

async fn ends(app: &App) {
    let store = client(app).await;
    assert!(sequence(&store, [ClientPlace::Assessment]).await.unwrap().complete);
    assert_eq!(audit::publish(&store).await.unwrap().map(|checkpoint| checkpoint.size), Some(8));
    is_good(&store).await;
    assert_eq!(next(&store).await, Some(8));
    log_copy::verified(&store, log_copy::WHOLE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_of_the_release_before_goes_on_without_a_gap_an_alarm_or_a_second_start() {
    let mut flow = Flow::new(Extent::Small).await;
    grants_are_told(&flow).await;
    for delivery in deliveries_of(demo::CONNECTWISE, START) {
        flow.vendor_sends(&delivery).await;
    }
    flow.pump().await;
    flow.pass(Duration::minutes(6)).await;
    // One that waits for its place while the release changes.
    record(&flow.client(HARBOR).await, 1).await;
    let owners = [Owner::Deployment, Owner::Tenant(HARBOR)];
    let mut kept = BTreeMap::new();
    for owner in owners {
        kept.insert(owner.to_string(), checkpoint(flow.app(), owner).await.unwrap());
    }
    as_before(&flow.test, &owners).await;
    let mut left = Vec::new();
    for owner in owners {
        left.push(documents(flow.app(), &former_heads_of(owner)).await);
    }
    flow.test.restart();

    // Before the first sweep people see their logs as they are, and looking moves nothing.
    let auditor = Browser::of(&flow, What::Approver).await;
    flow.test.faults.mend();
    let page = text(&auditor.get(&format!("portal/audit/{HARBOR}")).await);
    assert!(page.contains("reported ticket 918311") && page.contains("entry/0\""), "{page}");
    assert!(!page.contains(HEAD_GONE), "{page}");
    assert!(!flow.test.faults.calls().contains(&"documents.batch"));
    assert_eq!(verified(&flow).await.1, Ok(()));

    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let end = EndState::of(&flow).await;
    assert_eq!(end.left_over, Vec::<String>::new());
    assert!(end.findings.iter().any(|finding| finding.contains(OBJECTIVE)), "it ran by what the log tells: {:?}", end.findings);
    is_good(&flow.deployment().await).await;
    is_good(&flow.client(HARBOR).await).await;
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "{said:#?}");
    let mut keys = log_copy::keys(&flow.deployment().await).await;
    keys.extend(log_copy::keys(&flow.client(HARBOR).await).await);
    for (owner, left) in owners.into_iter().zip(left) {
        // Every checkpoint extends the one that somebody kept.
        let outside = Outside { keys: &keys, seen: Some(&kept[&owner.to_string()]) };
        verify_store::run(flow.app(), outside, |_| {}).await.unwrap();
        let size = |note: &[u8]| Checkpoint::parse_note(note).unwrap().size;
        assert!(size(&checkpoint(flow.app(), owner).await.unwrap()) > size(&kept[&owner.to_string()]));
        // What the release before wrote lies there as it was, and two marks with it.
        let now = documents(flow.app(), &former_heads_of(owner)).await;
        assert!(left.iter().all(|document| now.contains(document)), "{now:?}");
        assert_eq!(now.len(), left.len() + 2);
    }
}

#[tokio::test]
async fn wherever_the_move_stops_the_next_process_goes_on_and_no_reader_takes_the_log_for_a_new_one() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for at in 0.. {
            let mut test = of_before().await;
            let store = client(test.app()).await;
            test.faults.stop_at(at, fault);
            let moved = store.move_head().await;
            let struck = test.faults.struck();
            drop(store);
            test.faults.mend();
            test.restart();
            goes_on(test.app()).await;
            if !struck {
                assert!(moved.unwrap() && at > 6, "{at}");
                break;
            }
        }
    }
}

/// As another process opens the same store.
fn another(app: &App) -> App {
    App { memory: Arc::default(), cache: Arc::default(), ..app.clone() }
}

#[tokio::test]
async fn two_processes_that_move_the_same_head_at_once_move_it_once() {
    let test = of_before().await;
    let met = two_at_once(test.app());
    let (one, other) = (another(&met), another(&met));
    let (one, other) = (client(&one).await, client(&other).await);
    let (first, second) = tokio::join!(one.move_head(), other.move_head());
    assert!(first.unwrap() && second.unwrap());
    goes_on(test.app()).await;
}

#[tokio::test]
async fn a_process_that_is_slow_changes_nothing_of_what_another_wrote_since() {
    for at in 0.. {
        let test = of_before().await;
        let (slow, quick) = (another(test.app()), another(test.app()));
        let store = client(&slow).await;
        let hold = test.faults.hold_at(at);
        let moves = async {
            let moved = store.move_head().await;
            hold.let_go();
            moved
        };
        let overtakes = async {
            hold.reached().await;
            if hold.struck() {
                goes_on(&quick).await;
                hold.let_go();
            }
        };
        let (outcome, ()) = tokio::join!(moves, overtakes);
        assert!(outcome.unwrap());
        test.faults.mend();
        ends(&another(test.app())).await;
        if !hold.struck() {
            assert!(at > 6, "{at}");
            break;
        }
    }
}

/// In Azure an instance of the release before may run for a while.
#[tokio::test]
async fn as_long_as_the_release_before_may_be_at_work_nobody_writes_and_everybody_reads() {
    let test = TestApp::on_azure().await;
    keys::make(test.app(), OWNER, test.key_for(TENANT).as_deref()).await.unwrap();
    a_log(test.app()).await;
    as_before(&test, &[OWNER]).await;
    let config = Arc::new(config::check(&cosmos::settings(&[])).unwrap());
    let deadline = Duration::try_from(config.deadline).unwrap();
    let app = App { config, ..another(test.app()) };
    let store = client(&app).await;
    assert!(!store.move_head().await.unwrap());
    // Where there is nothing to bring there is nothing to wait for.
    let deployment = DeploymentScope::of_function("story", "story").store(&app).await.unwrap();
    assert!(deployment.move_head().await.unwrap());
    // The release before reads the items beside the head before anything else.
    let met = store.read::<Item>(ClientPlace::audit(AuditPart::FormerHead), "-heads").await;
    assert!(matches!(met, Err(StoreError::NewerRelease { .. })), "{met:?}");
    for more in [Duration::ZERO, deadline] {
        test.clock.advance(more);
        assert_eq!(next(&store).await, Some(7));
        assert_eq!(all::<Item, _>(&store, ClientPlace::audit(AuditPart::Head)).await.len(), 0);
        let sequenced = sequence(&store, [ClientPlace::Assessment]).await.unwrap();
        assert_eq!((sequenced.placed, sequenced.complete), (0, false));
        let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
        batch.create(&Beside(999, String::new()));
        let refused = batch.commit().await.unwrap_err();
        assert!(refused.is_transient(), "{refused}");
    }
    test.clock.advance(Duration::minutes(1));
    goes_on(&app).await;
    let moved: Vec<String> = documents(&app, &former_heads_of(OWNER)).await.into_iter().map(|document| document.id).collect();
    assert!(moved.contains(&"moved:log".into()) && moved.contains(&"head:log".into()), "{moved:?}");
}

#[tokio::test]
async fn who_takes_the_mark_away_later_brings_nothing_back() {
    let mut test = of_before().await;
    goes_on(test.app()).await;
    write(&test.insider(), &former_heads_of(OWNER), vec![Op::Delete { id: "moved:log".into(), if_match: None }]).await;
    test.restart();
    let store = client(test.app()).await;
    assert!(store.move_head().await.unwrap());
    assert_eq!(next(&store).await, Some(8), "what lies in the former place is older");
    is_good(&store).await;
}

#[tokio::test]
async fn what_does_not_open_in_the_former_place_hinders_nobody_else() {
    let mut test = of_before().await;
    let (insider, former) = (test.insider(), former_heads_of(OWNER));
    let Document { id, etag, mut body } = insider.documents.read(&former, "figures:0003").await.unwrap().unwrap();
    body["sealed"] = documents(&insider, &former).await[0].body["sealed"].clone();
    write(&insider, &former, vec![Op::Replace { id: id.clone(), body: body.clone(), if_match: etag }]).await;
    drop(insider);
    test.restart();
    let store = client(test.app()).await;
    assert!(store.move_head().await.unwrap());
    assert_eq!(documents(test.app(), &heads_of(OWNER)).await.into_iter().find(|document| document.id == id).unwrap().body, body);
    let met = store.read::<Beside>(ClientPlace::audit(AuditPart::Head), "0003").await;
    assert!(matches!(met, Err(StoreError::Sealed { .. })), "as before: {:?}", met.map(drop));
    drop(store);
    ends(test.app()).await;
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_client_that_the_release_before_let_go_stays_as_it_ended() {
    let mut flow = Flow::new(Extent::Small).await;
    owner_reads(&flow).await;
    grants_are_told(&flow).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    waited(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    at_rest(&mut flow).await;
    as_before(&flow.test, &[Owner::Deployment, Owner::Tenant(HARBOR)]).await;
    flow.test.restart();
    at_rest(&mut flow).await;
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "{said:#?}");
    is_good(&flow.deployment().await).await;
    assert!(documents(flow.app(), &heads_of(Owner::Tenant(HARBOR))).await.is_empty(), "nobody opens it any more, and nobody needs it");
}
