//! A witness over a real connection: it cosigns what extends what it saw, holds nothing up, and is believed when it says that
//! this is another log.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use assay::{
    app::App,
    audit::{
        self, Event, Known, LogFault,
        log_key::Signer,
        sequence, tiles,
        tlog::{Checkpoint, Note, VerifierKey},
        trail, verify_folder,
        witness::{self, Witnessed},
    },
    platform::{ports::BlobContainer, process::HttpClient},
    tenancy::{ClientPlace, Place, Store, keys::Owner, place::AuditPart},
    triggers::health::doctor,
};
use time::Duration;

use crate::support::{
    TestApp,
    clock::START,
    events::approval,
    faults::Fault,
    log_copy::{WHOLE, copy, keys},
    reader::{TENANT, client},
    witness::{TIME, Witness},
};

const OWNER: Owner = Owner::Tenant(TENANT);
const URL: &str = "https://witness.example/w1";

/// An installation with a witness that knows the client's log, and a client whose log is empty.
async fn witnessed() -> (TestApp, App, Arc<Witness>) {
    let witness = Witness::new(7);
    let key = witness.key();
    let test = TestApp::with(&[("ASSAY_WITNESS_URL", URL), ("ASSAY_WITNESS_KEY", key.as_str())]);
    let app = App { http: Arc::new(HttpClient::new(Some(witness.serve()))), ..test.app().clone() };
    witness.knows(&Signer::of(&app, OWNER).await.unwrap().ed25519().to_string());
    (test, app, witness)
}

async fn happen(store: &Store<'_, ClientPlace>, count: usize) {
    for n in 0..count {
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), approval(1, "Dana Whitfield", "")));
        batch.commit().await.unwrap();
    }
    assert!(sequence(store, ClientPlace::with_outbox()).await.unwrap().complete);
    audit::publish(store).await.unwrap();
}

async fn note(app: &App) -> String {
    let bytes = app.blobs.read(BlobContainer::Log, &tiles::name(OWNER, tiles::CHECKPOINT)).await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn known(store: &Store<'_, ClientPlace>) -> Witnessed {
    store.read::<Witnessed>(ClientPlace::audit(AuditPart::Head), witness::KEY).await.unwrap().map(|held| held.value).unwrap_or_default()
}

fn requests(witness: &Witness) -> Vec<(String, u16)> {
    std::mem::take(&mut *witness.seen.lock().unwrap())
}

#[tokio::test]
async fn each_checkpoint_gets_the_witnesss_line_behind_our_own_two_and_a_copy_is_verified_with_it() {
    let (_test, app, witness) = witnessed().await;
    let store = client(&app).await;
    let key: VerifierKey = witness.key().parse().unwrap();
    for (old, more) in [(0, 3), (3, 300), (303, 1)] {
        happen(&store, more).await;
        let before = note(&app).await;
        witness::cosign(&store).await.unwrap();
        let after = note(&app).await;
        assert_eq!(after.strip_prefix(before.as_str()).map(|line| line.matches('\n').count()), Some(1), "{after}");
        assert_eq!(
            after.lines().skip(4).map(|line| line.split(' ').nth(1).unwrap().contains("witness")).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(Note::parse(after.as_bytes()).unwrap().cosigned_at(&key), Ok(TIME));
        let size = old + more as u64;
        assert_eq!((requests(&witness), witness.size_of(known_origin(&after))), (vec![(format!("old {old}"), 200)], size));
        assert_eq!(known(&store).await, Witnessed { size, at: Some(START), away: None, apart: None });
        // The same checkpoint is neither signed nor sent again.
        audit::publish(&store).await.unwrap();
        witness::cosign(&store).await.unwrap();
        assert_eq!((note(&app).await, requests(&witness)), (after, vec![]));
    }
    let (folder, keys) = copy(&store, WHOLE).await;
    let with = |keys: &[VerifierKey]| verify_folder(folder.path(), Known { keys, seen: None });
    assert!(with(&keys).unwrap().cosigned.is_empty());
    let report = with(&[keys.as_slice(), std::slice::from_ref(&key)].concat()).unwrap();
    assert_eq!(
        report.cosigned.iter().map(|(name, at)| (name.as_str(), u64::try_from(at.unix_timestamp()).unwrap())).collect::<Vec<_>>(),
        [("witness.example/w1", TIME)]
    );
    assert!(report.to_string().contains("The witness witness.example/w1 cosigned it at 2026-"), "{report}");
    let other: VerifierKey = Witness::new(8).key().parse().unwrap();
    assert!(matches!(with(&[keys.as_slice(), &[other]].concat()), Err(LogFault::Unwitnessed(_))));
    assert!(matches!(with(&[key]), Err(LogFault::KeyMissing(_))), "a witness does not stand for the log's own keys");
}

fn known_origin(note: &str) -> &str {
    note.lines().next().unwrap()
}

#[tokio::test]
async fn a_witness_that_is_away_holds_nothing_up_is_shown_with_since_when_and_catches_up() {
    let (test, app, witness) = witnessed().await;
    let store = client(&app).await;
    happen(&store, 2).await;
    witness::cosign(&store).await.unwrap();
    requests(&witness);
    witness.says(Some((503, "busy\n")));
    happen(&store, 2).await;
    witness::cosign(&store).await.unwrap();
    let since = known(&store).await.away.unwrap();
    assert_eq!((since.what.as_str(), since.since), ("the witness answered 503", START));
    // Published all the same, and not asked again before a minute is over.
    test.clock.advance(Duration::seconds(30));
    happen(&store, 1).await;
    assert_eq!(Checkpoint::parse_note(note(&app).await.as_bytes()).unwrap().size, 5);
    witness::cosign(&store).await.unwrap();
    assert_eq!(requests(&witness).len(), 1);
    test.clock.advance(Duration::minutes(2));
    witness::cosign(&store).await.unwrap();
    assert_eq!(known(&store).await.away.unwrap().since, START, "since it went away, not since it was last asked");
    let shown = trail::page(&store, ClientPlace::with_outbox(), None).await.unwrap();
    assert!(shown.witnessed.unwrap().away.is_some() && shown.alarms.is_empty(), "nothing that a person must see to at once");
    requests(&witness);
    witness.says(None);
    test.clock.advance(Duration::minutes(2));
    witness::cosign(&store).await.unwrap();
    assert_eq!(requests(&witness), [("old 2".to_owned(), 200)]);
    assert_eq!((known(&store).await.size, known(&store).await.away), (5, None));

    for (status, body, says) in [
        (404, "", "does not know this log"),
        (403, "", "does not take the log's signature"),
        (200, "\u{2014} witness.example/w1 AAAA\n", "no cosignature by the key"),
        (200, "", "no cosignature by the key"),
        (400, "", "answered 400"),
    ] {
        witness.says(Some((status, body)));
        test.clock.advance(Duration::minutes(2));
        happen(&store, 1).await;
        let before = note(&app).await;
        witness::cosign(&store).await.unwrap();
        let away = known(&store).await.away.unwrap();
        assert!(away.what.contains(says), "{away:?}");
        assert_eq!(note(&app).await, before);
    }
    // Nobody there at all.
    let nobody = App { http: Arc::new(HttpClient::new(Some("http://127.0.0.1:9".parse().unwrap()))), ..app.clone() };
    test.clock.advance(Duration::minutes(2));
    witness::cosign(&client(&nobody).await).await.unwrap();
    assert!(known(&store).await.away.unwrap().what.contains("is not reached"));
}

#[tokio::test]
async fn a_witness_that_is_further_than_we_know_is_asked_again_from_its_own_size() {
    let (_test, app, witness) = witnessed().await;
    let store = client(&app).await;
    happen(&store, 5).await;
    witness::cosign(&store).await.unwrap();
    // Its last answers are forgotten, as by a crash before they were written down.
    let held = store.read::<Witnessed>(ClientPlace::audit(AuditPart::Head), witness::KEY).await.unwrap().unwrap();
    let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
    batch.delete(&held);
    batch.commit().await.unwrap();
    happen(&store, 4).await;
    requests(&witness);
    witness::cosign(&store).await.unwrap();
    assert_eq!(requests(&witness), [("old 0".to_owned(), 409), ("old 5".to_owned(), 200)]);
    assert_eq!(known(&store).await.size, 9);
}

#[tokio::test]
async fn wherever_asking_the_witness_stops_the_next_run_ends_with_its_line() {
    let (test, app, witness) = witnessed().await;
    let store = client(&app).await;
    for call in 0..40 {
        happen(&store, 1).await;
        test.faults.stop_at(call, Fault::AnswerLost);
        let stopped = witness::cosign(&store).await.is_err();
        test.faults.mend();
        test.clock.advance(Duration::minutes(2));
        witness::cosign(&store).await.unwrap();
        let key: VerifierKey = witness.key().parse().unwrap();
        let note = note(&app).await;
        assert!(Note::parse(note.as_bytes()).unwrap().verify(&key).is_ok(), "{call}: {note}");
        assert_eq!(note.lines().count(), 7, "{call}: {note}");
        if !stopped && call > 8 {
            return;
        }
    }
    panic!("it never went through");
}

#[tokio::test]
async fn a_witness_that_knows_another_history_is_an_alarm_that_stands_in_the_log_once() {
    let (test, app, witness) = witnessed().await;
    let store = client(&app).await;
    happen(&store, 5).await;
    witness::cosign(&store).await.unwrap();
    let origin = known_origin(&note(&app).await).to_owned();
    for (size, root, says) in [(5, [9; 32], "does not extend the 5 entries"), (900, [9; 32], "cosigned 900 entries of this log, which has")]
    {
        witness.believes(&origin, size, root);
        let mut since = None;
        for _ in 0..2 {
            happen(&store, 1).await;
            test.clock.advance(Duration::minutes(2));
            witness::cosign(&store).await.unwrap();
            since.get_or_insert(app.now());
        }
        let apart = known(&store).await.apart.unwrap();
        assert!(apart.what.contains(says), "{apart:?}");
        assert_eq!(Some(apart.since), since, "another trouble begins anew, the same one goes on");
    }
    let size = Checkpoint::parse_note(note(&app).await.as_bytes()).unwrap().size;
    witness.believes(&origin, size, [9; 32]);
    test.clock.advance(Duration::minutes(2));
    witness::cosign(&store).await.unwrap();
    let apart = known(&store).await.apart.unwrap();
    assert!(apart.what.contains("with another root: two histories"), "{apart:?}");
    happen(&store, 1).await;
    let shown = trail::page(&store, ClientPlace::with_outbox(), None).await.unwrap();
    assert_eq!(shown.alarms.iter().map(|alarm| &alarm.what).collect::<Vec<_>>(), [&apart.what]);
    let told = shown.entries.iter().filter(|entry| entry.kind == "log.alarm").count();
    assert_eq!(told, 1, "it is told once, until the witness agrees again");
    // Our own two lines stand, and a copy verifies without the witness.
    let (folder, _) = copy(&store, WHOLE).await;
    verify_folder(folder.path(), Known { keys: &keys(&store).await, seen: None }).unwrap();
}

#[tokio::test]
async fn the_doctor_says_since_when_the_witness_of_the_installations_log_is_away() {
    let (test, app, _) = witnessed().await;
    let found = async || {
        let findings = doctor::glance(&app).await;
        findings.into_iter().find(|finding| finding.what.contains("witness")).unwrap()
    };
    assert!(found().await.outcome.is_ok());
    let deployment = assay::tenancy::DeploymentScope::of_function("story", "c").store(&app).await.unwrap();
    let places = [assay::tenancy::DeploymentPlace::Operations];
    assert!(sequence(&deployment, places).await.unwrap().complete);
    audit::publish(&deployment).await.unwrap();
    witness::cosign(&deployment).await.unwrap();
    test.clock.advance(Duration::hours(3));
    let found = found().await;
    assert!(found.outcome.is_err() && found.what.contains("since 2026-"), "{}", found.what);
    assert!(found.what.contains("does not know this log"), "{}", found.what);
}

/// Stops with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program `aics-witness` of others, which `.ci/judges` installs and names, on a port of this machine.
#[expect(clippy::disallowed_methods, reason = "tests take programs from the environment")]
#[tokio::test]
async fn a_witness_that_is_not_ours_cosigns_our_log_and_refuses_another_one() {
    let Ok(program) = std::env::var("AICS_WITNESS") else { return println!("skipped: AICS_WITNESS names no program") };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new(&program).current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let said = run(&["init", "--name", "witness.example/w1", "--listen", "127.0.0.1:0", "--prefix", "/witness.example/w1"]);
    let key = said.lines().find(|line| line.starts_with("witness.example/w1+")).unwrap().to_owned();
    let test = TestApp::with(&[("ASSAY_WITNESS_URL", URL), ("ASSAY_WITNESS_KEY", key.as_str())]);
    let signer = Signer::of(test.app(), OWNER).await.unwrap();
    run(&["add-log", "--origin", signer.origin(), "--vkey", &signer.ed25519().to_string()]);
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut serve = Command::new(&program);
    serve.current_dir(folder.path()).args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stderr(Stdio::piped());
    let mut running = Running(serve.spawn().unwrap());
    let says = BufReader::new(running.0.stderr.take().unwrap()).lines();
    assert!(says.map_while(Result::ok).any(|line| line.contains("listening on")), "it does not serve");

    let url = format!("http://127.0.0.1:{port}").parse().unwrap();
    let app = App { http: Arc::new(HttpClient::new(Some(url))), ..test.app().clone() };
    let store = client(&app).await;
    let key: VerifierKey = key.parse().unwrap();
    for more in [3, 300, 1] {
        happen(&store, more).await;
        witness::cosign(&store).await.unwrap();
        let note = note(&app).await;
        assert!(Note::parse(note.as_bytes()).unwrap().cosigned_at(&key).is_ok(), "{note} {:?}", known(&store).await);
    }
    let (folder, keys) = copy(&store, WHOLE).await;
    verify_folder(folder.path(), Known { keys: &[keys.as_slice(), &[key]].concat(), seen: None }).unwrap();
    // Verifiers that are not ours pass over the line of a key that they were not given.
    let (tiles, log_key) = (folder.path().to_str().unwrap(), signer.ed25519().to_string());
    let beside = Path::new(&program).with_file_name("aics-tlog");
    let arguments = ["verify-checkpoint", "--tiles", tiles, "--log-key", &log_key, "--origin", signer.origin()];
    assert!(Command::new(beside).args(arguments).output().unwrap().status.success());
    if let Ok(judge) = std::env::var("GO_JUDGE") {
        assert!(Command::new(judge).args([tiles, &log_key]).output().unwrap().status.success());
    }

    // A log of the same name and keys whose history is another: begun anew, it is shorter and has other entries.
    let other = TestApp::with(&[("ASSAY_WITNESS_URL", URL), ("ASSAY_WITNESS_KEY", known_key(&app))]);
    let other = App { http: app.http.clone(), ..other.app().clone() };
    assert_eq!(Signer::of(&other, OWNER).await.unwrap().ed25519(), signer.ed25519(), "the same ids and random bytes");
    let store = client(&other).await;
    happen(&store, 310).await;
    witness::cosign(&store).await.unwrap();
    let apart = known(&store).await.apart.unwrap();
    assert!(apart.what.contains("does not extend the 304 entries"), "{apart:?}");
}

fn known_key(app: &App) -> &str {
    &app.config.witness.as_ref().unwrap().key
}
