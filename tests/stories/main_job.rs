//! The main job from end to end: a vendor's webhook in, an approved and provable objective out, and back again.

use std::path::Path;

use assay::{
    audit::{
        self, Known, LogReport,
        tlog::{Tile, bundle},
    },
    connectors::{
        demo::{self, What},
        mapping,
    },
    evidence::{Evidence, EvidenceRef, Population},
    gate::{DecideError, Proposal, Refusal, State, Verdict},
    readiness::{self, Found, Objective, objective::key_of},
    tenancy::{ClientPlace, DeploymentPlace, ProposalId, Scope, keys::Owner},
};
use time::Duration;

use crate::support::{
    clock::START,
    end_state::{EndState, all},
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, mails_to, person},
    log_copy::WHOLE,
};

const OBJECTIVE: &str = "3.4.1[d]";

#[tokio::test]
async fn a_webhook_becomes_an_approved_and_provable_objective_and_can_be_taken_back() {
    let mut flow = Flow::new(Extent::Both).await;
    let (marco, priya, sam) = (&demo::PEOPLE[0], &demo::PEOPLE[1], &demo::PEOPLE[2]);

    // Both vendors report what happened lately. Nothing but keeping the bytes happens before they are answered.
    for delivery in deliveries_of(demo::CONNECTWISE, START).iter().chain(&deliveries_of(demo::AUTOTASK, START)) {
        assert_eq!(flow.post(delivery).await.unwrap().status, 200);
    }
    assert_eq!(evidence(&flow).await.len(), 0);
    assert_eq!(flow.test.queue.bodies("intake").len(), 6);

    // Intake makes evidence of them for the client that the client map names; a company that nobody mapped waits.
    flow.pump().await;
    let tickets = evidence(&flow).await;
    assert_eq!(tickets.len(), 3);
    assert!(tickets.iter().all(|ticket| ticket.population == Population::Unknown));
    let waiting = mapping::unmapped(&flow.deployment().await, demo::CONNECTWISE).await.unwrap();
    assert_eq!(waiting.iter().map(|w| w.company.clone()).collect::<Vec<_>>(), [demo::connectwise::TIDEWATER.to_string()]);

    // Tickets touch what incidents and changes are evidence of, and nothing else; they ask nobody for anything.
    assert!(objective(&flow, "3.6.2[a]").await.suggestion.is_some());
    assert!(objective(&flow, OBJECTIVE).await.suggestion.is_none(), "unread is unknown");
    assert!(mails_to(&flow.test, priya, HARBOR).is_empty());

    // The next sweep has everything read once. Now it is known how many devices there are, and that these are all.
    flow.pass(Duration::minutes(5)).await;
    let population = evidence(&flow).await.into_iter().find(|e| e.source_key.contains(":population:")).unwrap();
    assert_eq!(population.population, Population::Of { read: 12, total: 12 });
    assert_eq!(objective(&flow, OBJECTIVE).await.finding, None, "a suggestion is never a finding");

    // Both approvers are asked by mail, once for each objective; the engineer is not.
    for approver in [priya, sam] {
        assert_eq!(mails_to(&flow.test, approver, HARBOR).len(), 3);
    }
    assert!(mails_to(&flow.test, marco, HARBOR).is_empty());

    // Priya follows the link and approves exactly what she saw. Sam comes too late and hears who was faster.
    let decided = flow.answer(priya, HARBOR, OBJECTIVE, Verdict::Approve).await;
    let proposal = decided.proposal.id;
    let late = flow.answer_once(sam, HARBOR, proposal, Verdict::Reject).await.unwrap_err();
    let DecideError::Refused(Refusal::AlreadyDecided { name, approved: true, .. }) = late else { panic!("{late:?}") };
    assert_eq!(name, "Priya Nair");

    // What was approved runs, once, and the objective is MET in her name, on the evidence she saw.
    flow.pump().await;
    assert!(matches!(state(&flow, proposal).await, State::Executed { .. }));
    let finding = objective(&flow, OBJECTIVE).await.finding.unwrap();
    assert_eq!((finding.found, finding.person, finding.proposal), (Found::Met, priya.id, proposal));
    let counts_until = Some(population.collected_at + Duration::days(7));
    assert_eq!(finding.evidence, [EvidenceRef { fresh_until: counts_until, ..population.reference() }]);
    let ridge = all::<Objective, _>(&flow.client(RIDGE).await, ClientPlace::Assessment).await;
    assert!(ridge.iter().all(|objective| objective.finding.is_none()), "the other client is asked for itself");

    // The log proves it without us: every step has its entry, in order, and none can be changed.
    flow.settle().await;
    let first = export(&flow, "first", None).await;
    let steps = ["proposal.staged", "proposal.notified", "proposal.approved", "proposal.executed"];
    assert_eq!(entries_about(&first.1, &format!("proposal {proposal}")), steps);
    assert_eq!(entries_about(&first.1, &format!("objective {OBJECTIVE}")), ["objective.marked"]);

    // Marco asks to take it back; that is a decision of its own, and Sam makes it.
    let (_, grant) = flow.reader(marco, HARBOR).await.unwrap();
    let scope = Scope::of_person(&grant, "page");
    readiness::propose_roll_back(flow.app(), &scope, proposal, "The list misses the lab's devices.").await.unwrap();
    assert!(objective(&flow, OBJECTIVE).await.finding.is_some(), "asking changes nothing");
    flow.answer(sam, HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    assert_eq!(objective(&flow, OBJECTIVE).await.finding, None);
    assert!(matches!(state(&flow, proposal).await, State::RolledBack { by: Some(_), .. }));

    // The log went on from where it was: the checkpoint of the first export is one of the second's.
    let second = export(&flow, "second", Some("first")).await;
    let seen = second.0.seen.as_ref().unwrap();
    assert_eq!(*seen, first.0.checkpoint);
    assert_eq!(entries_about(&second.1, &format!("objective {OBJECTIVE}")), ["objective.marked", "objective.rolled_back"]);

    let end = EndState::of(&flow).await;
    assert_eq!((end.left_over, end.dead_letters), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_rejection_with_its_reason_changes_nothing_and_nobody_is_asked_again_for_the_same() {
    let mut flow = Flow::new(Extent::Small).await;
    let decided = flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Reject).await;
    flow.settle().await;
    flow.pass(Duration::hours(25)).await;
    assert!(matches!(state(&flow, decided.proposal.id).await, State::Rejected { .. }));
    assert_eq!(objective(&flow, OBJECTIVE).await.finding, None);
    assert!(flow.test.queue.filled().is_empty());
    let asked = all::<Proposal, _>(&flow.client(HARBOR).await, ClientPlace::Assessment).await;
    assert_eq!(asked.iter().filter(|proposal| proposal.draft.subject == OBJECTIVE).count(), 1);
}

/// Harbor's evidence without the single devices.
async fn evidence(flow: &Flow) -> Vec<Evidence> {
    let store = flow.client(HARBOR).await;
    let mut found = Vec::new();
    for shard in 0..assay::tenancy::place::EVIDENCE_SHARDS {
        found.extend(all::<Evidence, _>(&store, ClientPlace::Evidence(shard)).await);
    }
    found.retain(|evidence| !evidence.source_key.contains(":configuration:"));
    found
}

async fn objective(flow: &Flow, id: &str) -> Objective {
    let held = flow.client(HARBOR).await.read(ClientPlace::Assessment, &key_of(id)).await.unwrap();
    held.map_or_else(|| Objective::new(id), |held| held.value)
}

async fn state(flow: &Flow, id: ProposalId) -> State {
    flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap().value.state
}

/// What an operator does, and then an auditor where nothing else is, with the checkpoint of an earlier copy.
async fn export(flow: &Flow, name: &str, earlier: Option<&str>) -> (LogReport, Vec<String>) {
    let folder = flow.test.folder().join(name);
    let places: [DeploymentPlace; 0] = [];
    let exported = audit::export(flow.app(), Owner::Tenant(HARBOR), places, &folder, WHOLE).await.unwrap();
    let keys: Vec<_> = [exported.keys.ed25519].into_iter().chain(exported.keys.p256).collect();
    let seen = earlier.map(|name| std::fs::read(flow.test.folder().join(name).join("checkpoint")).unwrap());
    let report = audit::verify_folder(&folder, Known { keys: &keys, seen: seen.as_deref() }).unwrap();
    (report, leaves(&folder))
}

fn leaves(folder: &Path) -> Vec<String> {
    let size = std::fs::read_to_string(folder.join("checkpoint")).unwrap().lines().nth(1).unwrap().parse().unwrap();
    let bundles = Tile::all(size).filter(|tile| tile.level().is_none());
    let bytes = bundles.map(|tile| std::fs::read(folder.join(tile.to_string())).unwrap());
    bytes
        .flat_map(|bytes| bundle::entries(&bytes).map(|leaf| String::from_utf8(leaf.unwrap().to_vec()).unwrap()).collect::<Vec<_>>())
        .collect()
}

fn entries_about(leaves: &[String], object: &str) -> Vec<String> {
    let leaves = leaves.iter().map(|leaf| serde_json::from_str::<serde_json::Value>(leaf).unwrap());
    leaves.filter(|leaf| leaf["object"] == object).map(|leaf| leaf["kind"].as_str().unwrap().to_owned()).collect()
}
