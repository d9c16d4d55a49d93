//! The audit trail as an auditor uses it: what its kinds mean, one entry with its proof, and finding entries again.

use std::path::Path;

use assay::{
    audit::{
        self, Event, Known, LogFault,
        anchor::{self, Anchored},
        chain::Hash,
        log_key::Signer,
        proven::{self, Opened, Stands},
        schema, sequence,
        tlog::{Checkpoint, record_proof::RecordProof},
    },
    connectors::demo::What,
    gate::Verdict,
    host::verify::{self, Verification, VerificationError},
    platform::ports::Retention,
    tenancy::{ClientPlace, Place as _, place::AuditPart},
    web::assets,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use time::Duration;

use crate::support::{
    browser::{Browser, text},
    clock::START,
    events::approval,
    flow::{Extent, Flow, HARBOR, RIDGE, person},
    log_copy::{self, WHOLE, copy},
};

#[tokio::test]
async fn what_each_kind_means_is_said_on_a_page_in_a_file_and_in_every_copy_of_a_log() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let priya = Browser::of(&flow, What::Approver).await;
    let trail = text(&priya.get(&format!("portal/audit/{HARBOR}")).await);
    assert!(trail.contains("href=\"/api/portal/audit/events\""), "{trail}");
    let page = text(&priya.get("portal/audit/events").await);
    for kind in schema::kinds() {
        assert!(page.contains(&format!("id=\"{}\"", kind.name)), "{}", kind.name);
    }
    let file = priya.get("portal/audit/events/file").await;
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"EVENTS.md\""));
    assert_eq!(text(&file), schema::document());
    let store = flow.client(HARBOR).await;
    let (folder, _) = copy(&store, WHOLE).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("EVENTS.md")).unwrap(), schema::document());
}

/// What lies in an attribute of the page.
fn data(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!(" data-{name}=\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_entry_has_a_page_that_says_what_happened_and_carries_all_that_its_check_needs() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.pass(Duration::minutes(5)).await;
    flow.answer(person(What::Approver), HARBOR, "3.4.1[d]", Verdict::Approve).await;
    flow.settle().await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let trail = text(&marco.get(&format!("portal/audit/{HARBOR}?kind=proposal.approved")).await);
    let (_, rest) = trail.split_once(&format!("/api/portal/audit/{HARBOR}/entry/")).unwrap_or_else(|| panic!("{trail}"));
    let index: u64 = rest.split('"').next().unwrap().parse().unwrap();

    let reply = marco.get(&format!("portal/audit/{HARBOR}/entry/{index}")).await;
    let page = text(&reply);
    for words in
        ["approved a proposal", "Priya Nair", "the hash that the person was shown", "signed with key", "/audit/events#proposal.approved"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let policy = reply.header("content-security-policy").unwrap();
    assert!(
        policy.contains(&format!("; script-src http://127.0.0.1:7071{};", assets::check_path())) && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "content-security-policy").count(), 1);

    // What the script is given is what the files have, and they hold by the log's keys.
    let file = |part: &'static str| marco.get(Box::leak(format!("portal/audit/{HARBOR}/entry/{index}/{part}").into_boxed_str()));
    let (proof, opened) = (text(&file("proof").await), text(&file("content").await));
    let keys = log_copy::keys(&flow.client(HARBOR).await).await;
    let report = audit::verify_record(&proof, &opened, Known { keys: &keys, seen: None }).unwrap();
    assert_eq!((report.index, report.leaf.kind.as_str()), (index, "proposal.approved"));
    let opened: Opened = serde_json::from_str(&opened).unwrap();
    assert_eq!(BASE64.decode(data(&page, "leaf")).unwrap(), opened.leaf.as_bytes());
    assert_eq!(BASE64.decode(data(&page, "content")).unwrap(), opened.content.as_bytes());
    assert_eq!(data(&page, "salt"), opened.salt.to_string());
    let note = String::from_utf8(BASE64.decode(data(&page, "note")).unwrap()).unwrap();
    assert_eq!(RecordProof::parse(&proof).unwrap().checkpoint, note);
    assert!(data(&page, "keys").split(' ').all(|key| keys.iter().any(|known| known.is_p256() && known.to_string() == key)));

    for address in ["entry/999999", "entry/07", "entry/x", "entry/999999/proof"] {
        assert_eq!(marco.get(&format!("portal/audit/{HARBOR}/{address}")).await.status, 404, "{address}");
    }
}

#[tokio::test]
async fn the_files_of_an_entry_are_refused_when_one_of_them_was_changed_or_is_of_another_entry() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let store = flow.client(HARBOR).await;
    let keys = log_copy::keys(&store).await;
    let of = async |index| {
        let proven = proven::read(&store, index).await.unwrap().unwrap();
        let Stands::In { proof, .. } = proven.stands else { panic!("it is in no checkpoint") };
        (proof.text(), proven.opened)
    };
    let (proof, opened) = of(1).await;
    let file = |opened: &Opened| serde_json::to_string(opened).unwrap();
    let known = Known { keys: &keys, seen: None };
    let outcome = |proof: &str, opened: &Opened| audit::verify_record(proof, &file(opened), known).map_err(|fault| fault.to_string());
    outcome(&proof, &opened).unwrap();
    let (other_proof, other) = of(2).await;
    let moved = Opened { index: 1, ..other.clone() };
    let says = [
        (outcome(&proof, &other), "the proof is of entry 1, and the file beside it of entry 2"),
        (outcome(&proof, &moved), "the proof of entry 1 does not lead from the entry to the checkpoint"),
        (outcome(&other_proof.replace("index 2", "index 1"), &moved), "the proof of entry 1 does not lead"),
        (outcome(&proof, &Opened { content: format!("{} ", opened.content), ..opened.clone() }), "entry 1 is disclosed as something else"),
        (outcome(&proof, &Opened { salt: Hash::from_bytes([0; 32]), ..opened.clone() }), "entry 1 is disclosed as something else"),
        (outcome(&proof, &Opened { leaf: opened.leaf.replacen('1', "2", 1), ..opened.clone() }), "the proof of entry 1 does not lead"),
        (outcome(&proof.replacen("assay-", "assay_", 1), &opened), "the checkpoint does not count"),
    ];
    for (outcome, expected) in says {
        assert!(outcome.as_ref().is_err_and(|fault| fault.contains(expected)), "{expected}: {outcome:?}");
    }
    let (ours, vaults): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(|key| !key.is_p256());
    for one in [ours, vaults] {
        assert!(matches!(audit::verify_record(&proof, &file(&opened), Known { keys: &one, seen: None }), Err(LogFault::KeyMissing(_))));
    }

    // By the command, with both files in one folder and the keys from elsewhere.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entry-1.tlog-proof");
    std::fs::write(&path, &proof).unwrap();
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let run = |path: &Path, seen: Option<&Path>| {
        let said = std::cell::RefCell::new(String::new());
        let paths = [path.to_owned()];
        let outcome = verify::run(&Verification { paths: &paths, keys: &keys, witnesses: &[], seen }, |words| {
            said.borrow_mut().push_str(words);
        });
        outcome.map(|()| said.into_inner())
    };
    assert!(matches!(run(&path, None), Err(VerificationError::Read { .. })), "without its file");
    std::fs::write(path.with_extension("json"), file(&opened)).unwrap();
    assert!(run(&path, None).unwrap().starts_with("Good: entry 1 is included among the "), "{:?}", run(&path, None));

    // With a checkpoint that was kept: of as many entries it is this one, or another story was told to somebody.
    let elsewhere = tempfile::tempdir().unwrap();
    let kept = |text: &str| {
        let kept = elsewhere.path().join("checkpoint");
        std::fs::write(&kept, text).unwrap();
        kept
    };
    let note = RecordProof::parse(&proof).unwrap().checkpoint;
    assert!(run(&path, Some(&kept(&note))).unwrap().contains("It is the checkpoint that was kept."));
    let signer = Signer::find(flow.app(), store.owner()).await.unwrap().unwrap();
    let ours = Checkpoint::parse_note(note.as_bytes()).unwrap();
    let other = Checkpoint { root: Hash::from_bytes([9; 32]), ..ours.clone() };
    let other = signer.sign(flow.app(), &other.text()).await.unwrap();
    let fault = run(&path, Some(&kept(&other))).unwrap_err().to_string();
    assert!(fault.starts_with("SPLIT VIEW") && fault.contains(&note) && fault.contains(&other), "{fault}");
    let later = signer.sign(flow.app(), &Checkpoint { size: ours.size + 1, ..ours }.text()).await.unwrap();
    assert!(run(&path, Some(&kept(&later))).unwrap().contains("only a copy of the whole log shows"));
    let single = elsewhere.path().join("audit.jsonl");
    std::fs::write(&single, log_copy::single_file(&store, true).await).unwrap();
    for seen in [None, Some(kept(&note))] {
        assert!(matches!(run(&single, seen.as_deref()), Err(VerificationError::Unsigned(_))));
    }
}

#[tokio::test]
async fn a_policy_of_which_nobody_says_whether_it_is_locked_is_no_locked_one() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let store = flow.client(HARBOR).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let until = Some(flow.app().now() + Duration::days(10));
    for (retention, tag) in [
        (Retention::Unlocked { until }, Some("<span class=\"tag not\">Unlocked</span>")),
        (Retention::Policy, Some("<span class=\"tag wait\">Lock unknown</span>")),
        (Retention::Locked { until }, None),
    ] {
        let place = ClientPlace::audit(AuditPart::Head);
        let etag = store.read::<Anchored>(place, anchor::KEY).await.unwrap().map(|held| held.etag);
        let mut batch = store.batch(place);
        batch.put(Anchored { size: 1, at: flow.app().now(), alarm: None, retention: Some(retention) }, etag);
        batch.commit().await.unwrap();
        let page = text(&marco.get(&format!("portal/audit/{HARBOR}")).await);
        let (_, copies) = page.split_once("<dt>The copies</dt><dd>").unwrap();
        assert!(copies.starts_with(tag.unwrap_or("locked, 10 days")), "{copies}");
    }
}

#[tokio::test]
async fn entries_are_found_by_kind_person_day_and_outcome_and_a_long_search_goes_on_where_it_stopped() {
    let mut flow = Flow::new(Extent::Small).await;
    let store = flow.client(HARBOR).await;
    for day in 0..3 {
        for n in 0..500 {
            let mut batch = store.batch(ClientPlace::Assessment);
            let kind = if n == 7 { "proposal.rejected" } else { "proposal.approved" };
            audit::record(
                &mut batch,
                Event::new(kind, format!("proposal {day}"), approval(1, "Somebody", &format!("number {n} of day {day}"))),
            );
            batch.commit().await.unwrap();
        }
        sequence(&store, ClientPlace::with_outbox()).await.unwrap();
        flow.test.clock.advance(Duration::days(20));
    }
    flow.sweep().await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let page = format!("portal/audit/{HARBOR}");
    let found = |text: &str| text.matches("rejected a proposal <").count();
    let first = text(&marco.get(&format!("{page}?outcome=refused&kind=proposals")).await);
    assert_eq!(found(&first), 2, "of the newest thousand: {first}");
    assert!(first.contains("there are older ones to look at") && first.contains("among the 10"), "{first}");
    let (_, on) = first.split_once("rel=\"next\" href=\"/api/").unwrap();
    let on = on.split('"').next().unwrap().replace("&amp;", "&");
    assert!(!on.contains("refused") && !on.contains("before"), "what is looked for is sealed: {on}");
    let second = text(&marco.get(&on).await);
    assert_eq!(found(&second), 1);
    assert!(second.contains("value=\"refused\" selected") && !second.contains("rel=\"next\""), "{second}");

    // By days, also those in the middle, and nothing of another day.
    let day = |n: i64| (START + Duration::days(n)).date();
    let middle = text(&marco.get(&format!("{page}?kind=proposal.rejected&from={}&to={}", day(20), day(20))).await);
    assert_eq!(found(&middle), 1);
    let says = |day: u8| middle.contains(&format!("number 7 of day {day}"));
    assert!(says(1) && !says(0) && !says(2), "{middle}");
    assert_eq!(found(&text(&marco.get(&format!("{page}?kind=proposal.rejected&from={}&to={}", day(5), day(9))).await)), 0);
    assert_eq!(found(&text(&marco.get(&format!("{page}?who=tools&kind=proposal.rejected")).await)), 0);
    assert_eq!(found(&text(&marco.get(&format!("{page}?who=assay&outcome=refused")).await)), 2);

    // The sealed word opens for this log only, and as it was written only.
    let (_, word) = on.split_once("?on=").unwrap();
    let (first, rest) = word.split_at(word.len() / 2);
    let bent = format!("{first}{}{}", if rest.starts_with('A') { 'B' } else { 'A' }, &rest[1..]);
    for address in [format!("portal/audit/{RIDGE}?on={word}"), format!("{page}?on={bent}"), format!("{page}?from=today")] {
        assert_eq!(marco.get(&address).await.status, 400, "{address}");
    }
}
