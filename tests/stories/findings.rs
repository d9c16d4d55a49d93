//! What a named human finds, in all the values that a finding can have (32 CFR 170.24(b)), and where it shows.

use askama::Template as _;
use assay::{
    connectors::demo::What,
    evidence::{Evidence, Population},
    gate::{State, Verdict, inbox::Reader},
    readiness::{
        self, ByHand, Found, ProposeError,
        score::{Reading, Score},
    },
    tenancy::{ClientPlace, place::EVIDENCE_SHARDS},
    web::pages::Standing as Sign,
};
use time::{Duration, macros::date};

use super::analysis::{Client, INVENTORY, frame};
use crate::support::{
    browser::{Browser, text},
    decision,
    flow::{Extent, Flow, HARBOR},
    meeting::two_at_once,
};

const DISKS: &str = "disk_encryption_state";

impl Client {
    /// Marco proposes, Priya approves, and it runs.
    async fn finds(&mut self, objective: &str, found: Found, reason: &str) {
        let wish = ByHand { objective, found, evidence: &[], reason };
        readiness::propose_by_hand(self.app(), &self.as_engineer(), &wish).await.unwrap();
        let asked = self.open_about(objective).await.unwrap();
        assert!(matches!(self.decides(&asked, Verdict::Approve).await.state, State::Executed { .. }));
    }
}

#[tokio::test]
async fn a_record_looks_the_same_to_the_engineer_and_to_the_approver_and_says_how_long_it_counts() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    for (days, words) in [(0, "Counts until 9 Mar 2026"), (8, "Too old to count since 9 Mar 2026")] {
        client.test.clock.advance(Duration::days(days));
        let frame = || frame(&client);
        let (grant, approver) = &client.approver;
        let roster = decision::roster(client.app()).await;
        let reader = Reader { person: approver, grants: std::slice::from_ref(grant), roster: &roster, correlation: "c" };
        let page = decision::page(client.app(), reader, grant.tenant(), asked.id, frame(), |_| String::new()).await;
        let token: readiness::view::FormToken<'_> = &|_| String::new();
        let requirement =
            readiness::view::requirement_page(client.app(), &client.engineer, &roster, "CM.L2-3.4.1", "c", frame(), token).await;
        let approvers = page.unwrap().unwrap().evidence.remove(0);
        let mut engineers = requirement.unwrap().unwrap().objectives[3].evidence.remove(0);
        assert_eq!(approvers.freshness.word, words);
        assert!(engineers.grade.take().is_some() && !std::mem::take(&mut engineers.limits).is_empty(), "for the objective");
        assert_eq!(format!("{approvers:?}"), format!("{engineers:?}"));
    }
}

#[tokio::test]
async fn what_a_human_said_about_a_gap_stands_before_what_a_rule_says() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    client.finds(INVENTORY, Found::NotMet, "The lab's controllers are on no list.").await;
    let page = readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(&client)).await.unwrap();
    let fix = page.fix_first.iter().find(|fix| fix.id == "CM.L2-3.4.1").unwrap();
    assert_eq!(fix.missing, "Priya Nair found 3.4.1[d] NOT MET: Looked at it. The lab's controllers are on no list.");
}

#[tokio::test]
async fn what_an_approver_rejected_is_likely_no_more_and_the_pages_say_who_said_so_and_why() {
    let mut client = Client::new().await;
    // 3.13.16 has one objective and weighs one point.
    let all = |client: &Client| Evidence { population: Population::Of { read: 43, total: 43 }, ..client.single(DISKS, "Volumes", &[]) };
    let page = async |client: &Client| {
        readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(client)).await.unwrap()
    };
    let requirement = async |client: &Client| decision::requirement(client.app(), &client.engineer, "SC.L2-3.13.16", frame(client)).await;
    client.analyzes(all(&client)).await;
    assert_eq!(page(&client).await.readings.likely, -202);
    let asked = client.open_about("3.13.16[a]").await.unwrap();
    client.decides(&asked, Verdict::Reject).await;
    client.test.clock.advance(Duration::HOUR);
    for _ in 0..2 {
        let shown = page(&client).await;
        assert_eq!(shown.readings.likely, -203);
        let cell = shown.families.iter().flat_map(|family| &family.cells).find(|cell| cell.id == "SC.L2-3.13.16").unwrap();
        assert!(cell.why.contains("1 suggested, and rejected by an approver"), "{}", cell.why);
        let fix = shown.fix_first.iter().find(|fix| fix.id == "SC.L2-3.13.16").unwrap();
        assert!(fix.missing.starts_with("Priya Nair rejected ") && fix.missing.ends_with(": Looked at it."), "{}", fix.missing);
        let html = requirement(&client).await.render().unwrap();
        assert!(html.contains("Rejected</strong> by Priya Nair") && html.contains("Looked at it."), "{html}");
        assert!(html.contains(&asked.draft.question));
        // Read again, with the same answer.
        client.analyzes(all(&client)).await;
    }

    // The evidence says something else, and is asked about anew.
    client.analyzes(client.single(DISKS, "HPM-LT-03", &[("encryption", "off")])).await;
    client.test.clock.advance(Duration::HOUR);
    client.analyzes(client.single(DISKS, "HPM-LT-03", &[("encryption", "on")])).await;
    assert_eq!(page(&client).await.readings.likely, -202);
    let objective = requirement(&client).await.objectives.remove(0);
    assert!(objective.rejection.is_none() && objective.open_proposal.is_some());
}

#[tokio::test]
async fn a_no_to_what_a_person_proposed_is_no_answer_to_what_the_rule_asks() {
    let mut client = Client::new().await;
    let all = |client: &Client| Evidence { population: Population::Of { read: 43, total: 43 }, ..client.single(DISKS, "Volumes", &[]) };
    client.file(&client.policy(date!(2026 - 02 - 01))).await;
    let rejects = async |client: &mut Client| {
        let asked = client.open_about("3.13.16[a]").await.unwrap();
        client.decides(&asked, Verdict::Reject).await;
        client.test.clock.advance(Duration::HOUR);
    };
    let by_hand_and_rejected = async |client: &mut Client| {
        let wish = ByHand { objective: "3.13.16[a]", found: Found::Met, evidence: &["filed:1".to_owned()], reason: "The policy says so." };
        readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
        rejects(client).await;
    };
    let likely = async |client: &Client| {
        let page = readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(client)).await.unwrap();
        let cell = page.families.into_iter().flat_map(|family| family.cells).find(|cell| cell.id == "SC.L2-3.13.16").unwrap();
        (page.readings.likely, cell.why.contains("rejected by an approver"))
    };
    client.analyzes(all(&client)).await;
    by_hand_and_rejected(&mut client).await;
    assert_eq!(likely(&client).await, (-202, false), "nobody said no to the volumes");

    client.analyzes(all(&client)).await;
    let asked = client.open_about("3.13.16[a]").await.unwrap();
    assert_eq!(asked.draft.evidence[0].title, "Volumes", "the rule asks again");
    rejects(&mut client).await;
    by_hand_and_rejected(&mut client).await;
    client.analyzes(all(&client)).await;
    assert!(client.open_about("3.13.16[a]").await.is_none(), "now that was answered too");
    assert_eq!(likely(&client).await, (-203, true));
}

#[tokio::test]
async fn a_damaged_proposal_hides_who_rejected_it_and_not_the_page_of_its_requirement() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    client.decides(&asked, Verdict::Reject).await;
    client.damage(ClientPlace::Assessment, &format!("proposal:{}", asked.id)).await;
    let d = decision::requirement(client.app(), &client.engineer, "CM.L2-3.4.1", frame(&client)).await.objectives.remove(3);
    assert!(d.rejection.is_none() && d.suggestion.is_some() && d.evidence.len() == 1);
}

#[tokio::test]
async fn when_all_that_was_read_is_gone_an_objective_is_unread_again_and_nothing_is_asked_about_it() {
    let mut client = Client::new().await;
    let page = async |client: &Client| {
        readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(client)).await.unwrap()
    };
    client.finds("3.13.16[a]", Found::NotApplicable, "Nothing is stored.").await;
    let laptop = client.single(DISKS, "HPM-LT-03", &[("encryption", "off")]);
    client.analyzes(laptop.clone()).await;
    assert!(client.open_about("3.13.16[a]").await.unwrap().draft.question.contains("as NOT MET"));
    assert!(page(&client).await.fix_first.iter().any(|fix| fix.id == "AC.L2-3.1.19"));

    client.test.clock.advance(Duration::HOUR);
    client.analyzes(Evidence { deleted: true, hash: "gone".into(), occurred_at: client.now(), ..laptop }).await;
    assert!(client.open().await.is_empty(), "what it rested on is gone");
    let shown = page(&client).await;
    assert!(shown.fix_first.iter().all(|fix| fix.id != "AC.L2-3.1.19"));
    let cell = shown.families.iter().flat_map(|family| &family.cells).find(|cell| cell.id == "AC.L2-3.1.19").unwrap();
    assert_eq!((cell.standing, cell.why.contains("nothing read yet")), (Sign::Unread, true));
    let items = client.all::<assay::audit::Item>().await;
    let last = items.iter().rfind(|item| item.kind == "analysis.recorded").unwrap();
    assert_eq!(last.detail["changed"].as_array().map(Vec::len), Some(4), "{}", last.detail);
}

#[tokio::test]
async fn a_filed_document_is_a_clients_newest_evidence() {
    let mut client = Client::new().await;
    let newest = async |client: &Client| {
        readiness::view::client_row(client.app(), &client.engineer, "Harbor Precision", "c").await.unwrap().newest_evidence
    };
    client.analyzes(Evidence { record_type: None, ..client.single("", "T1", &[]) }).await;
    assert_eq!(newest(&client).await, None, "what nobody said the meaning of counts for nothing");
    let filed_at = client.now();
    let message = client.learns(client.policy(date!(2026 - 02 - 01))).await;
    for _ in 0..2 {
        readiness::analyze(client.app(), &message).await.unwrap();
        client.test.clock.advance(Duration::HOUR);
    }
    assert_eq!(newest(&client).await, Some(filed_at));
    let items = client.all::<assay::audit::Item>().await;
    assert_eq!(items.iter().filter(|item| item.kind == "analysis.recorded").count(), 1);
}

#[tokio::test]
async fn every_finding_that_the_rule_knows_can_be_proposed_recorded_counted_and_taken_back() {
    for (found, points, said) in [
        (Found::NotMet, -203, "3.7.2[a] is NOT MET"),
        // One of four objectives: the requirement stays open.
        (Found::NotApplicable, -203, "3.7.2[a] is NOT APPLICABLE"),
    ] {
        let mut client = Client::new().await;
        let reason = "Nothing is maintained on site; the MSP replaces what fails.";
        let wish = ByHand { objective: "3.7.2[a]", found, evidence: &[], reason };
        readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
        let asked = client.open_about("3.7.2[a]").await.unwrap();
        let on_approve = &asked.draft.on_approve;
        assert!(on_approve.starts_with("Recorded in your name: MA.L2-") && on_approve.contains(said), "{on_approve}");
        assert!(on_approve.contains(reason) && on_approve.contains("without a record"), "{on_approve}");
        assert_eq!(on_approve.contains("counts as MET"), found == Found::NotApplicable);
        assert!(asked.draft.action.contains(reason), "the exact bytes hold the reason");
        client.decides(&asked, Verdict::Approve).await;

        let finding = client.objective("3.7.2[a]").await.finding.unwrap();
        assert_eq!((finding.found, finding.reason.as_str(), finding.name.as_str()), (found, reason, "Priya Nair"));
        assert_eq!(client.score(Reading::Today).await, Score::IfSspAccepted(points));
        let page = decision::requirement(client.app(), &client.engineer, "MA.L2-3.7.2", frame(&client)).await;
        assert_eq!(page.objectives[0].finding.as_ref().unwrap().reason, reason);
        assert!(page.propose.unwrap().objectives()[0].label.ends_with(&format!("(today {})", found.words())), "it can be decided anew");

        readiness::propose_roll_back(client.app(), &client.as_engineer(), asked.id, "It was a mistake.").await.unwrap();
        let back = client.open_about("3.7.2[a]").await.unwrap();
        client.decides(&back, Verdict::Approve).await;
        assert_eq!(client.objective("3.7.2[a]").await.finding, None);
    }
}

#[tokio::test]
async fn not_applicable_on_every_objective_counts_as_met_and_a_met_can_be_found_not_met_by_hand() {
    let mut client = Client::new().await;
    let objectives = || readiness::catalogue().objectives_of("3.7.2").iter().map(|o| o.id);
    for id in objectives() {
        client.finds(id, Found::NotApplicable, "Nothing is maintained on site.").await;
    }
    // 3.7.2 weighs five points.
    assert_eq!(client.score(Reading::Today).await, Score::IfSspAccepted(-198));
    let last = objectives().next_back().unwrap();
    client.finds(last, Found::NotMet, "A printer is maintained on site.").await;
    assert_eq!(client.score(Reading::Today).await, Score::IfSspAccepted(-203));
    let found = client.objective(last).await.finding.unwrap().proposal;
    let back = readiness::propose_roll_back(client.app(), &client.as_engineer(), found, "The printer is out of scope.").await.unwrap();
    let asked = client.open_about(last).await.unwrap();
    assert_eq!(asked.id, back);
    client.decides(&asked, Verdict::Approve).await;
    assert_eq!(client.objective(last).await.finding.unwrap().found, Found::NotApplicable, "what stood before stands again");
}

#[tokio::test]
async fn a_reason_that_is_marked_cui_or_endless_is_not_kept() {
    let client = Client::new().await;
    for reason in ["CUI//SP-CTI: the drawing is on the shop floor", &"a ".repeat(1500)] {
        let wish = ByHand { objective: "3.7.2[a]", found: Found::NotMet, evidence: &[], reason };
        let refused = readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await;
        assert!(matches!(&refused, Err(ProposeError::Refused(error)) if error.field == "why"), "{refused:?}");
    }
    assert!(client.open().await.is_empty());
}

#[tokio::test]
async fn a_reason_to_take_a_finding_back_is_held_to_the_same() {
    let mut client = Client::new().await;
    client.finds("3.7.2[a]", Found::NotMet, "Something is missing.").await;
    let found = client.objective("3.7.2[a]").await.finding.unwrap().proposal;
    for (reason, said) in
        [("", "Say why"), ("(CUI) the drawing", "carries a CUI marking; nothing was kept"), (&*"a ".repeat(1500), "longer than 2000")]
    {
        let refused = readiness::propose_roll_back(client.app(), &client.as_engineer(), found, reason).await;
        assert!(matches!(&refused, Err(ProposeError::Refused(error)) if error.message.contains(said)), "{refused:?}");
    }
    assert!(client.open().await.is_empty());
}

#[tokio::test]
async fn of_two_who_ask_at_once_to_take_a_finding_back_one_proposes_and_the_other_is_led_there() {
    let mut client = Client::new().await;
    client.finds("3.7.2[a]", Found::NotMet, "Something is missing.").await;
    let (app, scope) = (two_at_once(client.app()), client.as_engineer());
    let found = client.objective("3.7.2[a]").await.finding.unwrap().proposal;
    let ask = |reason| readiness::propose_roll_back(&app, &scope, found, reason);
    let (one, two) = tokio::join!(ask("It was a mistake."), ask("It is there."));
    let open = client.open().await;
    assert_eq!(open.len(), 1);
    let (staged, led) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(staged.unwrap(), open[0].id);
    assert!(matches!(led, Err(ProposeError::AlreadyOpen(id)) if id == open[0].id), "{led:?}");
}

/// Documents that were filed for Harbor Precision.
async fn filed(flow: &Flow) -> usize {
    let store = flow.client(HARBOR).await;
    let mut filed = 0;
    for shard in 0..EVIDENCE_SHARDS {
        filed += store.all::<Evidence>(ClientPlace::Evidence(shard), "filed:").await.unwrap().len();
    }
    filed
}

#[tokio::test]
async fn a_document_is_filed_once_and_only_for_a_proposal_that_is_staged() {
    let flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/requirements/MA.L2-3.7.2");
    let (marco, action, hash) = (Browser::of(&flow, What::Engineer).await, format!("{page}/propose"), "ab".repeat(32));
    let document = [("title", "Maintenance policy, 2"), ("place", "SharePoint"), ("sha256", &hash), ("approved_on", "2026-01-05")];
    let send = async |found, why| {
        let typed = [&[("objective", "3.7.2[a]"), ("found", found), ("why", why)], &document[..]].concat();
        marco.fill_in(&page, &action, &typed).await
    };
    let refused = send("met", "CUI//SP-CTI: as in the drawing").await;
    let at_its_field = r##"<a href="#why">The reason carries a CUI marking; nothing was kept."##;
    assert!(refused.status == 422 && text(&refused).contains(at_its_field), "{}", text(&refused));
    assert_eq!(filed(&flow).await, 0);

    let staged = send("met", "As the policy says.").await;
    let again = send("met", "As the policy says, in chapter 3.").await;
    assert_eq!((staged.status, again.status, filed(&flow).await), (303, 303, 1));
    let proposal = staged.header("location").unwrap().to_owned();
    assert_eq!(again.header("location"), Some(proposal.as_str()), "it asks the same of the same document");

    let opposite = send("not_met", "Chapter 3 is missing.").await;
    let html = text(&opposite);
    assert_eq!(opposite.status, 409);
    assert!(html.contains("Mark MA.L2-3.7.2[a] as MET for Harbor Precision?") && html.contains("yours was not staged"), "{html}");
    assert!(html.contains(&format!("href=\"{proposal}\"")), "{html}");
    assert_eq!(filed(&flow).await, 1);

    let typed = [("objective", "3.7.2[a]"), ("found", "met"), ("why", "So does this one."), ("title", "Another policy")];
    let more = marco.fill_in(&page, &action, &[&typed[..], &document[1..]].concat()).await;
    assert_eq!((more.status, filed(&flow).await), (409, 1), "another document is not dropped in silence");

    let address = proposal.strip_prefix("/api/").unwrap();
    let priya = Browser::of(&flow, What::Approver).await;
    let decide = priya.fill_in(address, &format!("{address}/decide"), &[("decision", "approve"), ("comment", "(CUI) fine")]).await;
    assert!(decide.status == 422 && text(&decide).contains("The comment carries a CUI marking; nothing was kept."));
}

#[tokio::test]
async fn the_engineers_form_offers_each_finding_asks_a_document_for_met_and_a_reason_for_all() {
    let flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/requirements/MA.L2-3.7.2");
    let marco = Browser::of(&flow, What::Engineer).await;
    let html = text(&marco.get(&page).await);
    for answer in Found::ALL {
        let offered = html.contains(&format!("<option value=\"{}\"", answer.key()));
        assert_eq!(offered, answer != Found::Partial, "{answer:?}");
    }
    let send = async |typed: &[(&str, &str)]| {
        let typed = [&[("objective", "3.7.2[a]")], typed].concat();
        marco.fill_in(&page, &format!("{page}/propose"), &typed).await
    };
    let back = send(&[("found", "met"), ("why", "It is so.")]).await;
    assert_eq!(back.status, 422, "no document");
    let html = text(&back);
    assert!(html.contains("Say what the document is called.") && html.contains(r#"<option value="met" selected>"#));
    assert_eq!(send(&[("found", "not_met"), ("why", " ")]).await.status, 422, "no reason");
    assert_eq!(send(&[("found", ""), ("why", "It is so.")]).await.status, 422, "no finding");
    assert_eq!(send(&[("found", "not_met"), ("title", "A list"), ("why", "It is so.")]).await.status, 422, "half a document");

    let posted = send(&[("found", "not_applicable"), ("why", "Nothing is maintained on site.")]).await;
    assert_eq!(posted.status, 303);
    let proposal = text(&marco.get(posted.header("location").unwrap().strip_prefix("/api/").unwrap()).await);
    assert!(proposal.contains("Mark MA.L2-3.7.2[a] as NOT APPLICABLE for Harbor Precision?"), "{proposal}");
    assert!(proposal.contains("Recorded in your name: MA.L2-3.7.2[a] is NOT APPLICABLE"));

    let ssp = text(&marco.get(&format!("portal/clients/{HARBOR}/requirements/CA.L2-3.12.4")).await);
    assert!(!ssp.contains(r#"<option value="not_applicable""#), "the plan is never not applicable");
    let mfa = text(&marco.get(&format!("portal/clients/{HARBOR}/requirements/IA.L2-3.5.3")).await);
    assert!(mfa.contains(r#"<option value="partial""#));
}
