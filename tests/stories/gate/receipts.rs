//! Receipts: what somebody with the store and the client's key can write, and cannot sign.

use assay::{
    gate::{
        self, Decision, ExecuteError, Proposal, State, Verdict,
        hash::hash_of,
        proposal::{Answers, ApprovedMark, ExecuteV1, OpenMark},
        receipt::{self, Said, Statement},
    },
    tenancy::{
        ClientPlace, Held, ProposalId, message, outbox,
        signing::{self, SigningUse},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use time::Duration;

use super::{House, draft, perform};

/// The insider writes that these decisions approved it, in all records that say so, and the message that asks for the run:
/// the outbox sends it with its MAC.
async fn write_down(house: &House, id: ProposalId, decisions: Vec<Decision>) {
    let now = house.test.app().now();
    let held = house.held(id).await;
    let value = Proposal { decisions: decisions.clone(), state: State::Approved { run_by: now + Duration::days(1) }, ..held.value };
    house.overwrite(Held { value, etag: held.etag }).await;
    let store = house.store().await;
    let answers: Option<Held<Answers>> = store.read(ClientPlace::Assessment, &id.to_string()).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    if let Some(open) = store.read::<OpenMark>(ClientPlace::Assessment, &id.to_string()).await.unwrap() {
        batch.delete(&open);
    }
    batch.create(&ApprovedMark { proposal: id, run_by: now + Duration::days(1) });
    batch.put(Answers { proposal: id, decisions, executed_at: None }, answers.map(|held| held.etag));
    outbox::send(&mut batch, "execute", &ExecuteV1 { proposal: id, version: 1 }, std::time::Duration::ZERO).unwrap();
    batch.commit().await.unwrap();
    outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
}

fn forged(house: &House, proposal: &Proposal) -> Decision {
    Decision {
        person: house.priya.id,
        name: house.priya.name.clone(),
        verdict: Verdict::Approve,
        version: proposal.version,
        hash: proposal.hash.clone(),
        comment: "Looks fine.".into(),
        at: house.test.app().now(),
        on_behalf_of: None,
        broke_glass: false,
        signed_in_at: None,
        acrs: None,
        evidence: vec![],
        receipt: None,
    }
}

#[tokio::test]
async fn an_insider_who_can_write_the_database_but_not_sign_gets_nothing_executed() {
    for attempt in 0..6 {
        let house = House::new().await;
        let id = house.asked(draft()).await;
        // A real approval of something else, to copy from.
        let other = house.asked(draft()).await;
        let real = house.approve(&house.priya, other).await.unwrap().decision;
        let mut held = house.held(id).await;
        if attempt == 4 {
            // The policy's terms made easier, and hashed again.
            held.value.draft.action = r#"{"objective":"3.12.4[a]","met":true}"#.into();
            held.value.hash = hash_of(house.tenant, &held.value);
            house.overwrite(held).await;
            held = house.held(id).await;
        }
        let mut decision = forged(&house, &held.value);
        match attempt {
            0 => {}
            // The receipt of another proposal, as it is.
            1 => decision.receipt.clone_from(&real.receipt),
            // Its words bent to this one.
            2 | 4 => {
                let mut copied = real.receipt.clone().unwrap();
                let mut stated: Statement = serde_json::from_str(&copied.statement).unwrap();
                (stated.proposal, stated.action, stated.seen) = (id, held.value.hash.clone(), held.value.hash.clone());
                (stated.at, decision.at, decision.comment) = (real.at, real.at, real.comment.clone());
                copied.statement = serde_json::to_string(&stated).unwrap();
                decision.receipt = Some(copied);
            }
            // The right words, signed by a key of the installation that signs something else.
            3 => {
                let statement = Statement {
                    form: receipt::FORM.into(),
                    tenant: house.tenant,
                    proposal: id,
                    version: 1,
                    action: held.value.hash.clone(),
                    seen: held.value.hash.clone(),
                    policy_version: 0,
                    said: Said::Person {
                        person: house.priya.id,
                        identity: None,
                        verdict: Verdict::Approve,
                        on_behalf_of: None,
                        broke_glass: false,
                        signed_in_at: None,
                        acrs: None,
                        comment: assay::tenancy::seal::sha256(decision.comment.as_bytes()),
                        evidence: vec![],
                    },
                    at: decision.at,
                };
                let text = serde_json::to_string(&statement).unwrap();
                let signed = signing::sign(house.test.app(), SigningUse::Links, text.as_bytes()).await.unwrap();
                let signature = BASE64URL.encode(signed.signature);
                decision.receipt = Some(receipt::SignedReceipt { statement: text, kid: signed.kid, signature });
            }
            // A real rejection, turned into an approval.
            _ => {
                let no = house.answer(id, Verdict::Reject).await;
                let said = house.decide(&house.priya, id, &no).await.unwrap().decision;
                decision = Decision { verdict: Verdict::Approve, ..said };
            }
        }
        write_down(&house, id, vec![decision]).await;
        let outcome = house.execute().await;
        assert!(matches!(&outcome, Err(error @ ExecuteError::Tampered) if !error.is_transient()), "attempt {attempt}: {outcome:?}");
        assert!(house.marks().await.is_empty(), "attempt {attempt}");
    }
}

/// The counterpart, so that the story above cannot pass because nothing ever runs: what it writes down is carried out as
/// soon as the same decision is really signed.
#[tokio::test]
async fn the_same_records_run_when_the_decision_in_them_is_signed() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let proposal = house.held(id).await.value;
    let mut decision = forged(&house, &proposal);
    decision.receipt = Some(receipt::sign(house.test.app(), house.tenant, &proposal, &decision, None).await.unwrap());
    write_down(&house, id, vec![decision]).await;
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    assert_eq!(house.marks().await, ["3.1.1[a]"]);
}

#[tokio::test]
async fn a_receipt_says_who_decided_what_when_and_how_and_verifies_under_its_own_key() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let answer = house.answer(id, Verdict::Approve).await;
    let signed_in = house.test.app().now() - Duration::minutes(3);
    let capacity = gate::Capacity { signed_in_at: Some(signed_in), acrs: Some("c1".into()), ..gate::Capacity::default() };
    let decision = house.decide_as(&house.priya, id, &answer, &capacity).await.unwrap().decision;
    let signed = decision.receipt.clone().unwrap();
    let key = signing::verifying_key(house.test.app(), SigningUse::Receipts, &signed.kid).await.unwrap().unwrap();
    assert!(key.verifies(signed.statement.as_bytes(), &BASE64URL.decode(&signed.signature).unwrap()));
    let stated: Statement = serde_json::from_str(&signed.statement).unwrap();
    assert_eq!((stated.tenant, stated.proposal, stated.version), (house.tenant, id, 1));
    assert_eq!((&stated.action, &stated.seen, stated.at), (&answer.hash, &answer.hash, decision.at));
    let Said::Person { person, verdict, acrs, signed_in_at, .. } = stated.said else { panic!("{stated:?}") };
    assert_eq!((person, verdict, acrs.as_deref(), signed_in_at), (house.priya.id, Verdict::Approve, Some("c1"), Some(signed_in)));
    assert!(!signed.statement.contains("Priya") && !signed.statement.contains("I looked"), "neither name nor comment");
    // Every word of the decision counts.
    let proposal = house.held(id).await.value;
    assert!(receipt::holds(house.test.app(), house.tenant, &proposal, &decision).await.unwrap());
    let changes: [fn(&mut Decision); 6] = [
        |d| d.verdict = Verdict::Reject,
        |d| d.comment.push('!'),
        |d| d.at += Duration::SECOND,
        |d| d.broke_glass = true,
        |d| d.acrs = None,
        |d| d.signed_in_at = None,
    ];
    for change in changes {
        let mut other = decision.clone();
        change(&mut other);
        assert!(!receipt::holds(house.test.app(), house.tenant, &proposal, &other).await.unwrap());
    }
}

#[tokio::test]
async fn what_runs_by_its_level_is_signed_too_so_an_insider_cannot_write_one_either() {
    let house = House::new().await;
    let kind = |kind: &str| gate::Draft { kind: kind.into(), ..draft() };
    let id = house.asked(kind("assign_training")).await;
    let mut held = house.held(id).await;
    held.value.draft.action = r#"{"everything":true}"#.into();
    held.value.hash = hash_of(house.tenant, &held.value);
    house.overwrite(held).await;
    assert!(matches!(house.execute().await, Err(ExecuteError::Tampered)));
    assert!(house.marks().await.is_empty());

    // And nothing that needs people becomes something that does not.
    let id = house.asked(draft()).await;
    let mut held = house.held(id).await;
    let run_by = house.test.app().now() + Duration::days(1);
    held.value.state = State::Cleared { run_by };
    house.overwrite(held).await;
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.create(&ApprovedMark { proposal: id, run_by });
    batch.commit().await.unwrap();
    let body = ExecuteV1 { proposal: id, version: 1 };
    let bytes = message::seal(house.test.app(), "execute", Some(house.tenant), uuid::Uuid::from_u128(5), &body).await.unwrap();
    let message = message::open(house.test.app(), "execute", &bytes).await.unwrap();
    let done = gate::execute(house.test.app(), &message, perform).await.unwrap();
    assert!(matches!(done.state, State::Refused { .. }), "{:?}", done.state);
    assert!(house.marks().await.is_empty());
}
