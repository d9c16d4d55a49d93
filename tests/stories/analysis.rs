//! From a record that was taken in to a finding that a named human decided, and back.

use std::collections::BTreeMap;

use assay::web::pages::{Frame, Section, Standing as Sign};
use assay::{
    app::App,
    evidence::{AnalyzeV1, Evidence, Filed, Observed, Origin, Population},
    gate::{self, Answer, DecideError, Decided, Proposal, State, Verdict, proposal::OpenMark},
    readiness::{
        self, ByHand, Found, Objective, ProposeError, Standing,
        objective::key_of,
        score::{self, Reading, Score},
        suggest::Outcome,
    },
    tenancy::{
        ClientPlace, ConnectionId, DeploymentPlace, DeploymentScope, PersonId, ProposalId, Record, Scope, TenantId,
        directory::{Grant, Person, Role, Tenant},
        message::{self, Verified},
        policy_mark::PolicyMark,
    },
};
use time::{Duration, OffsetDateTime, macros::date};
use uuid::Uuid;

use crate::support::{TestApp, decision, faults::Fault};

/// Harbor Precision with an engineer and an approver.
pub(super) struct Client {
    pub(super) test: TestApp,
    tenant: TenantId,
    pub(super) engineer: Grant,
    pub(super) approver: (Grant, Person),
    messages: u128,
}

impl Client {
    pub(super) async fn new() -> Self {
        let test = TestApp::new();
        let tenant = TenantId(Uuid::from_u128(100));
        let person = |n, name: &str| Person {
            id: PersonId(Uuid::from_u128(n)),
            name: name.into(),
            email: format!("{n}@example.net"),
            is_owner: false,
            operates: false,
            identity: None,
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: assay::tenancy::directory::Standing::default(),
        };
        let (marco, priya) = (person(1, "Marco Reyes"), person(2, "Priya Nair"));
        let grant = |person: &Person, role| Grant::of(tenant, person.id, vec![role]);
        let (engineer, approving) = (grant(&marco, Role::Engineer), grant(&priya, Role::Approver));
        {
            let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
            let mut batch = store.batch(DeploymentPlace::Directory);
            batch.create(&Tenant { id: tenant, name: "Harbor Precision".into(), created_at: test.app().now() });
            batch.create(&PolicyMark::first(tenant));
            batch.create(&marco).create(&priya).create(&engineer).create(&approving);
            batch.commit().await.unwrap();
        }
        Self { test, tenant, engineer, approver: (approving, priya), messages: 0 }
    }

    pub(super) fn app(&self) -> &App {
        self.test.app()
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.app().now()
    }

    pub(super) fn as_engineer(&self) -> Scope {
        Scope::of_person(&self.engineer, "engineer")
    }

    pub(super) fn as_approver(&self) -> Scope {
        Scope::of_person(&self.approver.0, "approver")
    }

    pub(super) async fn read<T: Record>(&self, key: &str) -> Option<T> {
        let store = self.as_engineer().store(self.app()).await.unwrap();
        store.read::<T>(ClientPlace::Assessment, key).await.unwrap().map(|held| held.value)
    }

    pub(super) async fn all<T: Record>(&self) -> Vec<T> {
        let store = self.as_engineer().store(self.app()).await.unwrap();
        store.all::<T>(ClientPlace::Assessment, "").await.unwrap().into_iter().map(|held| held.value).collect()
    }

    pub(super) async fn objective(&self, id: &str) -> Objective {
        self.read(&key_of(id)).await.unwrap_or_else(|| Objective::new(id))
    }

    pub(super) async fn open(&self) -> Vec<Proposal> {
        let mut open = Vec::new();
        for mark in self.all::<OpenMark>().await {
            open.push(self.read::<Proposal>(&mark.proposal.to_string()).await.unwrap());
        }
        open
    }

    pub(super) async fn open_about(&self, subject: &str) -> Option<Proposal> {
        self.open().await.into_iter().find(|proposal| proposal.draft.subject == subject)
    }

    pub(super) async fn file(&self, evidence: &Evidence) {
        let store = self.as_engineer().store(self.app()).await.unwrap();
        let place = Evidence::place(&evidence.source_key);
        let etag = store.read::<Evidence>(place, &evidence.source_key).await.unwrap().map(|held| held.etag);
        let mut batch = store.batch(place);
        batch.put(evidence.clone(), etag);
        batch.commit().await.unwrap();
    }

    pub(super) async fn message(&mut self, function: &str, body: &impl serde::Serialize) -> Verified {
        self.messages += 1;
        let bytes = message::seal(self.app(), function, Some(self.tenant), Uuid::from_u128(self.messages), body).await.unwrap();
        message::open(self.app(), function, &bytes).await.unwrap()
    }

    pub(super) async fn learns(&mut self, evidence: Evidence) -> Verified {
        self.file(&evidence).await;
        self.message("analyze", &AnalyzeV1 { source_key: evidence.source_key }).await
    }

    pub(super) async fn analyzes(&mut self, evidence: Evidence) {
        let message = self.learns(evidence).await;
        readiness::analyze(self.app(), &message).await.unwrap();
    }

    pub(super) async fn answers(&self, proposal: &Proposal, verdict: Verdict) -> Result<Decided, DecideError> {
        let answer = Answer { verdict, version: proposal.version, hash: proposal.hash.clone(), comment: "Looked at it.".into() };
        let (grant, person) = &self.approver;
        gate::decide(self.app(), &self.as_approver(), grant, person, proposal.id, &answer).await
    }

    pub(super) async fn decides(&mut self, proposal: &Proposal, verdict: Verdict) -> Proposal {
        self.answers(proposal, verdict).await.unwrap();
        if verdict == Verdict::Reject {
            return self.read(&proposal.id.to_string()).await.unwrap();
        }
        let body = gate::proposal::ExecuteV1 { proposal: proposal.id, version: proposal.version };
        let message = self.message("execute", &body).await;
        gate::execute(self.app(), &message, |proposal, decision, batch| Box::pin(readiness::perform(proposal, decision, batch)))
            .await
            .unwrap()
    }

    pub(super) fn inventory(&self, read: u64, total: u64) -> Evidence {
        let mut evidence = self.single("rmm_device_inventory", "Full inventory", &[]);
        evidence.source_key = "rmm:population:rmm_device_inventory".into();
        evidence.population = Population::Of { read, total };
        evidence
    }

    pub(super) fn single(&self, record_type: &str, name: &str, facts: &[(&str, &str)]) -> Evidence {
        let facts: BTreeMap<String, String> = facts.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Evidence {
            source_key: format!("rmm:{record_type}:{name}"),
            record_type: Some(record_type.into()),
            title: name.into(),
            hash: format!("{name} {facts:?}"),
            origin: Origin::Observed(Observed {
                connection: ConnectionId(Uuid::nil()),
                system: "ConnectWise PSA".into(),
                entity: "configuration".into(),
                vendor_id: name.into(),
                facts,
                raw: None,
            }),
            occurred_at: self.now(),
            collected_at: self.now(),
            population: Population::Unknown,
            deleted: false,
            revision: 0,
        }
    }

    pub(super) fn policy(&self, approved_on: time::Date) -> Evidence {
        let origin = Origin::Filed(Filed { place: "SharePoint, Policies".into(), approved_on, filed_by: self.engineer.person });
        Evidence { source_key: "filed:1".into(), record_type: None, origin, ..self.single("", "Inventory policy, version 3", &[]) }
    }

    pub(super) async fn score(&self, reading: Reading) -> Score {
        let standing: Standing = self.read("now").await.unwrap_or_default();
        standing.reckon(reading, self.now()).score
    }
}

pub(super) const INVENTORY: &str = "3.4.1[d]";

#[tokio::test]
async fn a_complete_inventory_changes_the_objectives_it_touches_and_only_those_and_asks_a_human() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;

    let mut touched: Vec<String> = client.all::<Objective>().await.into_iter().map(|o| o.id).collect();
    touched.sort();
    assert_eq!(touched, ["3.1.1[c]", "3.4.1[d]", "3.4.1[e]", "3.4.1[f]", "3.4.8[c]", "3.4.9[c]", "3.5.1[c]"]);
    let mut asked: Vec<String> = client.open().await.into_iter().map(|p| p.draft.subject).collect();
    asked.sort();
    assert_eq!(asked, ["3.4.1[d]", "3.4.1[f]", "3.5.1[c]"], "supporting evidence, or a list without firmware, asks nothing by itself");

    let draft = client.open_about(INVENTORY).await.unwrap().draft;
    assert_eq!(draft.question, "Mark CM.L2-3.4.1[d] as MET for Harbor Precision?");
    assert_eq!(draft.approve_verb, "mark MET");
    assert!(draft.limits.iter().any(|l| l.contains("firmware")), "says what the evidence does not show");
    assert!(draft.limits.iter().any(|l| l.contains("supplies the judgment")));
    assert!(draft.before.contains("counts as NOT MET") && draft.before.contains("if the SSP is accepted"), "{}", draft.before);
    assert!(draft.after.contains("while [a], [b], [c], [e] and [f] of CM.L2-3.4.1 are open"), "{}", draft.after);
    assert_eq!(client.score(Reading::Today).await, Score::IfSspAccepted(score::LOWEST), "a suggestion is no finding");
}

#[tokio::test]
async fn the_same_message_again_changes_nothing_and_asks_nobody_twice() {
    let mut client = Client::new().await;
    let message = client.learns(client.inventory(43, 43)).await;
    readiness::analyze(client.app(), &message).await.unwrap();
    let before = (client.all::<Objective>().await, client.open().await.len());
    client.test.clock.advance(Duration::HOUR);
    readiness::analyze(client.app(), &message).await.unwrap();
    assert_eq!(before, (client.all::<Objective>().await, client.open().await.len()));
}

#[tokio::test]
async fn more_evidence_with_the_same_answer_leaves_an_open_proposal_untouched() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let before = client.open_about(INVENTORY).await.unwrap();
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(client.single("rmm_device_inventory", "HPM-CNC-07", &[])).await;
    client.analyzes(client.inventory(44, 44)).await;
    let after = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((before.id, before.version, before.hash), (after.id, after.version, after.hash));
    let suggestion = client.objective(INVENTORY).await.suggestion.unwrap();
    assert!(suggestion.reasons[0].contains("44 of 44") && suggestion.citations.iter().any(|c| c.title == "HPM-CNC-07"));
}

#[tokio::test]
async fn a_cited_reading_that_changed_with_the_same_answer_keeps_the_proposal_and_refers_to_the_state_of_today() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let before = client.open_about(INVENTORY).await.unwrap();
    let mails = client.test.queue.bodies("notify").len();
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(Evidence { hash: "other rows".into(), ..client.inventory(44, 44) }).await;
    let after = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((after.id, after.version), (before.id, 2));
    assert!(after.draft.reasons[0].contains("44 of 44"));
    assert_eq!(client.test.queue.bodies("notify").len(), mails, "nobody is asked a second time");
    let done = client.decides(&after, Verdict::Approve).await;
    assert!(matches!(done.state, State::Executed { .. }), "{:?}", done.state);
}

#[tokio::test]
async fn a_reading_that_missed_devices_withdraws_what_was_asked_and_a_complete_one_asks_anew() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let first = client.open_about(INVENTORY).await.unwrap().id;
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(client.inventory(43, 45)).await;
    assert!(client.open().await.is_empty());
    assert!(matches!(client.read::<Proposal>(&first.to_string()).await.unwrap().state, State::Superseded { by: None, .. }));
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(client.inventory(45, 45)).await;
    assert_ne!(client.open_about(INVENTORY).await.unwrap().id, first);
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_an_expiry_is_not() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    client.decides(&asked, Verdict::Reject).await;
    client.test.clock.advance(Duration::days(8));
    gate::expire(client.app(), &client.as_approver()).await.unwrap();
    assert!(client.open().await.is_empty());
    client.analyzes(client.inventory(43, 43)).await;
    let asked: Vec<String> = client.open().await.into_iter().map(|p| p.draft.subject).collect();
    assert!(!asked.contains(&INVENTORY.to_owned()) && asked.contains(&"3.4.1[f]".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn an_approved_proposal_becomes_a_finding_in_the_approvers_name_and_can_be_taken_back_the_same_way() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    let done = client.decides(&asked, Verdict::Approve).await;
    assert!(matches!(done.state, State::Executed { .. }), "{:?}", done.state);
    let finding = client.objective(INVENTORY).await.finding.unwrap();
    assert_eq!((finding.found, finding.name.as_str(), finding.proposal), (Found::Met, "Priya Nair", asked.id));
    assert_eq!(finding.evidence[0].population, Population::Of { read: 43, total: 43 });

    let id = readiness::propose_roll_back(client.app(), &client.as_engineer(), asked.id, "The list misses the lab.").await.unwrap();
    let back = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((back.id, back.draft.question.as_str()), (id, "Take back the finding MET on CM.L2-3.4.1[d] for Harbor Precision?"));
    client.decides(&back, Verdict::Approve).await;
    assert_eq!(client.objective(INVENTORY).await.finding, None);
    let again = client.decides_again(&back).await;
    assert!(matches!(again.state, State::Executed { .. }));
}

impl Client {
    /// The execute message once more.
    pub(super) async fn decides_again(&mut self, proposal: &Proposal) -> Proposal {
        let message = self.message("execute", &gate::proposal::ExecuteV1 { proposal: proposal.id, version: proposal.version }).await;
        gate::execute(self.app(), &message, |p, d, batch| Box::pin(readiness::perform(p, d, batch))).await.unwrap()
    }
}

#[tokio::test]
async fn something_observed_against_a_met_finding_asks_a_human_to_mark_it_not_met() {
    let mut client = Client::new().await;
    let mut all = client.single("disk_encryption_state", "Volumes", &[]);
    all.population = Population::Of { read: 43, total: 43 };
    client.analyzes(all).await;
    let asked = client.open_about("3.13.16[a]").await.unwrap();
    client.decides(&asked, Verdict::Approve).await;
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(client.single("disk_encryption_state", "HPM-LT-03", &[("encryption", "off")])).await;
    let objective = client.objective("3.13.16[a]").await;
    assert_eq!(objective.suggestion.unwrap().result, Outcome::Contradicted);
    assert_eq!(objective.finding.unwrap().found, Found::Met, "nothing changes a finding but a human");
    let asked = client.open_about("3.13.16[a]").await.unwrap().draft;
    assert!(asked.question.contains("as NOT MET"));
    assert_eq!(asked.evidence[0].title, "HPM-LT-03");
}

#[tokio::test]
async fn a_run_that_dies_is_finished_by_its_own_message_with_what_others_marked_meanwhile() {
    let mut client = Client::new().await;
    let first = client.learns(client.inventory(43, 43)).await;
    // The first call of the work after the lease: the record itself.
    client.test.faults.stop_at(4, Fault::BeforeEffect);
    readiness::analyze(client.app(), &first).await.unwrap_err();
    client.test.faults.mend();
    client.test.restart();

    let mut other = client.single("antivirus_state", "Endpoints", &[]);
    other.population = Population::Of { read: 40, total: 40 };
    let second = client.learns(other).await;
    readiness::analyze(client.app(), &second).await.unwrap();
    assert!(client.all::<Objective>().await.is_empty(), "the lease is another's: only a mark was left");
    readiness::analyze(client.app(), &first).await.unwrap();
    assert!(client.open_about(INVENTORY).await.is_some() && client.open_about("3.14.2[b]").await.is_some());
}

#[tokio::test]
async fn a_run_that_never_comes_back_is_queued_anew_by_the_sweep() {
    let mut client = Client::new().await;
    let first = client.learns(client.inventory(43, 43)).await;
    client.test.faults.stop_at(4, Fault::BeforeEffect);
    readiness::analyze(client.app(), &first).await.unwrap_err();
    client.test.faults.mend();
    client.test.restart();
    let sweep = client.as_engineer();
    assert!(!readiness::leftovers(client.app(), &sweep).await.unwrap(), "its lease still runs");
    client.test.clock.advance(Duration::minutes(3));
    assert!(readiness::leftovers(client.app(), &sweep).await.unwrap());
    let sent = client.test.queue.bodies("analyze");
    let message = message::open(client.app(), "analyze", &sent[0]).await.unwrap();
    readiness::analyze(client.app(), &message).await.unwrap();
    assert!(client.open_about(INVENTORY).await.is_some());
    assert!(!readiness::leftovers(client.app(), &sweep).await.unwrap());
}

#[tokio::test]
async fn stopped_at_any_call_and_delivered_again_it_ends_where_the_undisturbed_run_ends() {
    let expected = outcome(None).await.0;
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let (end, struck) = outcome(Some((call, fault))).await;
            assert_eq!(end, expected, "stopped at call {call}, {fault:?}");
            if !struck {
                assert!(call > 10, "the harness reached the work");
                break;
            }
        }
    }
}

/// What stands after one analysis, and whether the fault struck.
async fn outcome(fault: Option<(usize, Fault)>) -> ((Vec<(String, Outcome)>, Vec<String>, usize), bool) {
    let mut client = Client::new().await;
    let message = client.learns(client.inventory(43, 43)).await;
    client.test.restart();
    if let Some((call, fault)) = fault {
        client.test.faults.stop_at(call, fault);
        let _ = readiness::analyze(client.app(), &message).await;
    }
    let struck = client.test.faults.struck();
    client.test.faults.mend();
    client.test.restart();
    readiness::analyze(client.app(), &message).await.unwrap();
    let objectives = client.all::<Objective>().await.into_iter().map(|o| (o.id, o.suggestion.unwrap().result)).collect();
    let mut asked: Vec<String> = client.open().await.into_iter().map(|p| p.draft.subject).collect();
    asked.sort();
    let audited = client.all::<assay::audit::item::Item>().await.len();
    ((objectives, asked, audited), struck)
}

#[tokio::test]
async fn an_engineer_proposes_with_a_filed_document_and_what_assay_raised_gives_way() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let raised = client.open_about(INVENTORY).await.unwrap().id;
    client.file(&client.policy(date!(2026 - 02 - 01))).await;
    let evidence = vec!["filed:1".to_owned(), "rmm:population:rmm_device_inventory".to_owned()];
    let wish = ByHand { objective: INVENTORY, found: Found::Met, evidence: &evidence, reason: "The policy and the list agree." };
    let id = readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
    assert!(
        matches!(client.read::<Proposal>(&raised.to_string()).await.unwrap().state, State::Superseded { by: Some(by), .. } if by == id)
    );
    let proposal = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((proposal.id, proposal.draft.evidence.len()), (id, 2));
    assert!(proposal.draft.limits[0].contains("has not read it"), "{:?}", proposal.draft.limits);
    let again = readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await;
    assert!(matches!(again, Err(ProposeError::AlreadyOpen(open)) if open == id));
    let done = client.decides(&proposal, Verdict::Approve).await;
    assert!(matches!(done.state, State::Executed { .. }), "{:?}", done.state);
}

#[tokio::test]
async fn a_draft_a_missing_reason_and_misplaced_partial_credit_are_refused_in_words() {
    let client = Client::new().await;
    client.file(&client.policy(date!(2027 - 01 - 01))).await;
    let evidence = vec!["filed:1".to_owned()];
    let refusal = async |found, objective, evidence: &[String], reason| {
        let wish = ByHand { objective, found, evidence, reason };
        match readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await {
            Err(ProposeError::Refused(error)) => format!("{}: {}", error.field, error.message),
            other => panic!("{other:?}"),
        }
    };
    let draft = refusal(Found::Met, INVENTORY, &evidence, "It is so.").await;
    assert!(draft.starts_with("approved_on: ") && draft.contains("a draft is never evidence"), "{draft}");
    assert!(refusal(Found::Met, INVENTORY, &[], "It is so.").await.contains("nothing becomes MET without evidence"));
    assert!(refusal(Found::NotMet, INVENTORY, &[], " ").await.starts_with("why: Say why"));
    let partial = refusal(Found::Partial, INVENTORY, &[], "Half.").await;
    assert!(partial.starts_with("found: ") && partial.contains("3.13.11[a]"), "{partial}");
    assert!(refusal(Found::Met, "3.9.9[z]", &[], "It is so.").await.contains("no objective"));
    assert!(refusal(Found::NotApplicable, "3.12.4[a]", &[], "No plan is needed.").await.contains("3.12.4 is never N/A"));
}

#[tokio::test]
async fn a_proposal_made_against_another_finding_is_refused_when_it_runs() {
    let mut client = Client::new().await;
    let scope = client.as_engineer();
    let wish = |found| ByHand { objective: "3.10.1[a]", found, evidence: &[], reason: "No facility of our own." };
    readiness::propose_by_hand(client.app(), &scope, &wish(Found::NotApplicable)).await.unwrap();
    let first = client.open_about("3.10.1[a]").await.unwrap();
    let answer = Answer { verdict: Verdict::Approve, version: 1, hash: first.hash.clone(), comment: String::new() };
    gate::decide(client.app(), &client.as_approver(), &client.approver.0, &client.approver.1, first.id, &answer).await.unwrap();
    // Approved and not run yet: another one is asked for, approved and run first.
    readiness::propose_by_hand(client.app(), &scope, &wish(Found::NotMet)).await.unwrap();
    let second = client.open_about("3.10.1[a]").await.unwrap();
    assert!(matches!(client.decides(&second, Verdict::Approve).await.state, State::Executed { .. }));
    let late = client.decides_again(&first).await;
    assert!(matches!(late.state, State::Refused { .. }), "{:?}", late.state);
    assert_eq!(client.objective("3.10.1[a]").await.finding.unwrap().found, Found::NotMet);
    let _: ProposalId = late.id;
}

#[tokio::test]
async fn the_pages_show_readings_requirements_and_evidence_without_calling_a_suggestion_a_finding() {
    let mut client = Client::new().await;
    let unread = readiness::view::client_row(client.app(), &client.engineer, "Harbor Precision", "c").await.unwrap();
    assert_eq!((unread.readings.today, unread.readings.best, unread.met, unread.newest_evidence), (-203, 110, 0, None));

    client.analyzes(client.inventory(43, 43)).await;
    let page = readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(&client)).await.unwrap();
    assert_eq!((page.waiting, page.met, page.not_met, page.unread), (3, 0, 0, 105));
    assert_eq!(page.families.iter().map(|f| f.cells.len()).sum::<usize>(), 110);
    let cell = page.families[3].cells[0].clone();
    assert_eq!((cell.id.as_str(), cell.standing, cell.weight.as_str()), ("CM.L2-3.4.1", Sign::Waiting, "5"));
    assert_eq!(cell.why, "0 of 6 objectives decided; 2 waiting for an approver; 2 supported in part, as suggested");
    assert!(page.status.unwrap().contains("3.12.4") && !page.readings.ssp_accepted);
    assert!(page.fix_first.iter().any(|fix| fix.id == "AC.L2-3.1.1"), "what only corroborates is a gap");

    let asked = client.open_about(INVENTORY).await.unwrap();
    client.decides(&asked, Verdict::Approve).await;
    let token: readiness::view::FormToken<'_> = &|words| words.join(" ");
    let roster = decision::roster(client.app()).await;
    let page = async |id: &'static str| {
        readiness::view::requirement_page(client.app(), &client.engineer, &roster, id, "c", frame(&client), token).await.unwrap()
    };
    let requirement = page("CM.L2-3.4.1").await.unwrap();
    let d = &requirement.objectives[3];
    assert_eq!((d.id.as_str(), d.standing), ("CM.L2-3.4.1[d]", Sign::Met));
    assert_eq!(d.finding.as_ref().unwrap().by, "Priya Nair");
    assert!(d.finding.as_ref().unwrap().roll_back.is_some());
    assert_eq!(d.evidence[0].population.as_deref(), Some("43 of 43"));
    let [e, f] = &requirement.objectives[4..] else { panic!("{} objectives", requirement.objectives.len()) };
    assert!(f.finding.is_none() && f.open_proposal.is_some());
    assert!(e.open_proposal.is_none() && e.suggestion.as_ref().unwrap().reasons[0].contains("documentation"));
    assert_eq!(requirement.objectives[0].standing, Sign::Unread);
    let choices: Vec<String> = requirement.propose.unwrap().objectives().iter().map(|c| c.value.clone()).collect();
    let all = ["3.4.1[a]", "3.4.1[b]", "3.4.1[c]", "3.4.1[d]", "3.4.1[e]", "3.4.1[f]"];
    assert_eq!(choices, all, "[f] too: what a rule raised can be contested");
    assert_eq!((requirement.previous.unwrap().text, requirement.next.unwrap().text), ("AU.L2-3.3.9".into(), "CM.L2-3.4.2".into()));
    assert!(page("CM.L2-9.9.9").await.is_none());

    let wish = ByHand { objective: "3.4.1[f]", found: Found::NotMet, evidence: &[], reason: "Firmware is on no list." };
    readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
    let form = page("CM.L2-3.4.1").await.unwrap().propose.unwrap();
    let choices = form.objectives();
    assert!(choices.iter().all(|c| c.value != "3.4.1[f]"), "what a person asked for is decided first");
}

pub(super) fn frame(client: &Client) -> Frame {
    Frame { now: client.now(), section: Section::Clients, person: None, waiting: 0, asking: None, demo: true, boundary: None }
}
