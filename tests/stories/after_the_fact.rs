//! In the browser: approving alone in an emergency and the review by another person; and recording what only a person does.

use assay::{
    connectors::demo::What,
    evidence::{Evidence, Origin},
    gate::{self, Draft, NotPerformed, Policy, Proposal, State, Verdict, proposal::Cause},
    readiness::{Standing, catalogue, score::Answer},
    tenancy::{ClientPlace, Held, ProposalId, message, outbox},
};
use time::Duration;

use crate::support::{
    browser::{Browser, approves, hidden_of, text},
    flow::{Extent, Flow, HARBOR, person},
};

/// The owner becomes an approver of the client too.
async fn two_approvers(flow: &Flow) {
    let owner = Browser::of(flow, What::Owner).await;
    let people = format!("portal/clients/{HARBOR}/people");
    let (both, engineer) = ([approves(What::Approver), approves(What::Owner)], format!("engineer-{}", person(What::Engineer).id));
    let ticked = [(both[0].as_str(), "yes"), (both[1].as_str(), "yes"), (engineer.as_str(), "yes")];
    assert_eq!(owner.fill_in(&people, &people, &ticked).await.status, 303);
}

/// The field that names the approver among those who may approve alone.
pub(super) fn named() -> String {
    format!("alone-{}", person(What::Approver).id)
}

/// The owner asks for another policy by this form of its page; the page of what they asked.
pub(super) async fn policy_asked(flow: &Flow, form: &str, typed: &[(&str, &str)]) -> String {
    let policy = format!("portal/clients/{HARBOR}/policy");
    let owner = Browser::of(flow, What::Owner).await;
    let hidden = hidden_of(&owner.get(&policy).await, &format!("{policy}#{form}"));
    let asked = owner.send(hidden, &policy, &[typed, &[("step", "ask")]].concat()).await;
    asked.header("location").unwrap_or_else(|| panic!("{}", text(&asked))).strip_prefix("/api/").unwrap().to_owned()
}

async fn proposal(flow: &Flow, id: &str) -> Proposal {
    let held: Held<Proposal> = flow.client(HARBOR).await.read(ClientPlace::Assessment, id).await.unwrap().unwrap();
    held.value
}

/// Sends one of the page's forms that go to its decision.
pub(super) async fn answer(browser: &Browser<'_>, page: &str, form: &str, typed: &[(&str, &str)]) -> assay::web::Reply {
    let decide = format!("{page}/decide");
    let hidden = hidden_of(&browser.get(page).await, &format!("{decide}#{form}"));
    browser.send(hidden, &decide, typed).await
}

#[tokio::test]
async fn one_of_those_whom_the_policy_names_approves_alone_and_another_reviews_it() {
    let mut flow = Flow::new(Extent::Small).await;
    two_approvers(&flow).await;
    let (approver, owner) = (Browser::of(&flow, What::Approver).await.session(), Browser::of(&flow, What::Owner).await.session());
    let change = policy_asked(&flow, "alone", &[(named().as_str(), "yes"), ("why-alone", "Somebody must be able to.")]).await;
    let shown = text(&Browser::with_cookie(&flow, &approver).get(&change).await);
    let said = format!("Who may approve alone in an emergency: none \u{2192} {}", person(What::Approver).name);
    assert!(shown.contains(&said), "{shown}");
    for of_objectives in ["cannot be read just now", "800-171A", "proposed for rollback", "What the evidence does not show"] {
        assert!(!shown.contains(of_objectives), "{of_objectives}: {shown}");
    }
    let taken = answer(&Browser::with_cookie(&flow, &approver), &change, "decide", &[("decision", "approve")]).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
    let stands = Policy::read(&flow.client(HARBOR).await).await.unwrap().unwrap();
    assert_eq!(stands.break_glass.len(), 1);

    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await.to_string();
    let page = format!("portal/proposals/{HARBOR}/{id}");
    assert!(!text(&Browser::with_cookie(&flow, &owner).get(&page).await).contains("Approve alone"), "the policy does not name them");
    let alone = |comment: &'static str| [("decision", "alone"), ("comment", comment)];
    let short = answer(&Browser::with_cookie(&flow, &approver), &page, "decide", &alone("It burns.")).await;
    assert!(short.status == 422 && text(&short).contains("at least 20 characters"), "{}", text(&short));
    flow.test.clock.advance(Duration::minutes(11));
    let stale = answer(&Browser::with_cookie(&flow, &approver), &page, "decide", &alone("The assessor leaves in an hour.")).await;
    assert_eq!(stale.status, 401, "a sign-in of eleven minutes ago");
    let approver = Browser::of(&flow, What::Approver).await.session();
    let taken = answer(&Browser::with_cookie(&flow, &approver), &page, "decide", &alone("The assessor leaves in an hour.")).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
    assert!(matches!(proposal(&flow, &id).await.state, State::Executed { .. }));
    assert!(flow.test.mails("").iter().any(|(_, mail)| mail.contains("EMERGENCY: ")), "loud");

    let own = text(&Browser::with_cookie(&flow, &approver).get("portal/inbox").await);
    assert!(own.contains("To be reviewed") && own.contains("somebody else looks"), "{own}");
    assert!(!text(&Browser::with_cookie(&flow, &approver).get(&page).await).contains("I reviewed it"));
    flow.test.clock.advance(Duration::hours(25));
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(text(&owner.get("portal/inbox").await).contains("Review overdue"));
    let looked = answer(&owner, &page, "review", &[("decision", "uphold"), ("comment", "I called the assessor.")]).await;
    assert_eq!(looked.status, 303, "{}", text(&looked));
    assert!(!text(&owner.get("portal/inbox").await).contains("To be reviewed"));
    let done = proposal(&flow, &id).await;
    assert_eq!((done.review_by, done.decisions.last().map(|one| one.verdict)), (None, Some(Verdict::Uphold)));
}

const TWO: [(&str, &str); 4] = [("needed", "2"), ("decide_within", "168"), ("run_within", "48"), ("why", "Four eyes see more.")];

#[tokio::test]
async fn who_approved_as_one_of_two_can_still_reject_and_approve_alone_and_is_offered_no_second_approval() {
    let mut flow = Flow::new(Extent::Small).await;
    two_approvers(&flow).await;
    for (form, typed) in [("alone", &[(named().as_str(), "yes"), ("why-alone", "Somebody must be able to.")][..]), ("change", &TWO)] {
        let change = policy_asked(&flow, form, typed).await;
        let taken = answer(&Browser::of(&flow, What::Approver).await, &change, "decide", &[("decision", "approve")]).await;
        assert_eq!(taken.status, 303, "{}", text(&taken));
        flow.pump().await;
    }
    let first = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await.to_string();
    let second = staged(&flow, proposal(&flow, &first).await.draft).await;
    let approver = Browser::of(&flow, What::Approver).await.session();
    for id in [&first, &second] {
        let (approver, page) = (Browser::with_cookie(&flow, &approver), format!("portal/proposals/{HARBOR}/{id}"));
        assert_eq!(answer(&approver, &page, "decide", &[("decision", "approve")]).await.status, 303);
        let shown = text(&approver.get(&page).await);
        for said in ["You approved this (1 of 2).", ">Reject<", "Approve alone", "All approvals", "1 of 2: "] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        assert!(!shown.contains("Approve and mark"), "{shown}");
        let again = answer(&approver, &page, "decide", &[("decision", "approve")]).await;
        assert_eq!((again.status, proposal(&flow, id).await.decisions.len()), (303, 1), "the same answer once more");
    }
    let (alone, no) = (format!("portal/proposals/{HARBOR}/{first}"), format!("portal/proposals/{HARBOR}/{second}"));
    let urgent = [("decision", "alone"), ("comment", "The assessor leaves in an hour.")];
    let taken = answer(&Browser::with_cookie(&flow, &approver), &alone, "decide", &urgent).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    let wrong = [("decision", "reject"), ("because", "model_wrong"), ("comment", "I read the wrong list.")];
    let taken = answer(&Browser::with_cookie(&flow, &approver), &no, "decide", &wrong).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
    assert!(matches!(proposal(&flow, &first).await.state, State::Executed { .. }));
    assert!(matches!(proposal(&flow, &second).await.state, State::Rejected { .. }));
    let shown = text(&Browser::with_cookie(&flow, &approver).get(&alone).await);
    let once = format!("1 of 2: {}, ", person(What::Approver).name);
    assert!(shown.contains("You approved this") && shown.contains(&once), "one voice: {shown}");
    let shown = text(&Browser::with_cookie(&flow, &approver).get(&no).await);
    assert!(shown.contains("You rejected this"), "{shown}");
}

/// As if people had found every objective of the system security plan MET.
async fn with_a_plan(flow: &Flow) {
    with_found(flow, "3.12.4", Answer::Met).await;
}

/// As if people had found every objective of a requirement so.
async fn with_found(flow: &Flow, requirement: &str, found: Answer) {
    let store = flow.client(HARBOR).await;
    let held: Option<Held<Standing>> = store.read(ClientPlace::Assessment, "now").await.unwrap();
    let (mut standing, etag) = held.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    for objective in catalogue().objectives.iter().filter(|objective| objective.requirement() == requirement) {
        standing.set(objective.id, found);
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.put(standing, etag);
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_score_is_submitted_by_a_named_person_who_records_it_with_what_shows_it_and_never_by_assay() {
    let mut flow = Flow::new(Extent::Small).await;
    let client = format!("portal/clients/{HARBOR}");
    let sprs = format!("{client}/sprs");
    let engineer = Browser::of(&flow, What::Engineer).await.session();
    assert!(!text(&Browser::with_cookie(&flow, &engineer).get(&client).await).contains(&sprs), "without a plan there is no score");
    with_a_plan(&flow).await;
    let asked = Browser::with_cookie(&flow, &engineer).press(&client, &sprs, &[]).await;
    let page = asked.header("location").unwrap_or_else(|| panic!("{}", text(&asked))).strip_prefix("/api/").unwrap().to_owned();
    let again = Browser::with_cookie(&flow, &engineer).press(&client, &sprs, &[]).await;
    assert_eq!(again.header("location"), asked.header("location"), "asked once");
    flow.pump().await;

    let id: ProposalId = page.rsplit('/').next().unwrap().parse().unwrap();
    let id = id.to_string();
    assert!(!text(&Browser::with_cookie(&flow, &engineer).get(&page).await).contains("Record it as done"));
    let approver = Browser::of(&flow, What::Approver).await;
    let wrong = answer(&approver, &page, "done", &[("decision", "approve")]).await;
    assert!(wrong.status == 409 && text(&wrong).contains("Assay never does it"), "{}", text(&wrong));
    let hash = "a".repeat(64);
    let deed = |day: &'static str, hash: &str| {
        [
            ("decision", "done"),
            ("done_on", day),
            ("reference", "SPRS entry 4711"),
            ("title", "SPRS confirmation"),
            ("place", "SharePoint: CMMC/SPRS"),
            ("sha256", hash),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    for (day, hash, said) in
        [("2199-01-01", hash.as_str(), "lies in the future"), ("2026-01-02", "abc", "64 hex digits"), ("", &hash, "Give the day")]
    {
        let typed = deed(day, hash);
        let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refused = answer(&approver, &page, "done", &typed).await;
        assert!(refused.status == 422 && text(&refused).contains(said), "{said}: {}", text(&refused));
    }
    assert_eq!(proposal(&flow, &id).await.state, State::Open);
    let typed = deed("2026-01-02", &hash);
    let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let recorded = answer(&approver, &page, "done", &typed).await;
    assert_eq!(recorded.status, 303, "{}", text(&recorded));
    let shown = text(&approver.get(&page).await);
    assert!(shown.contains("did this and recorded it") && shown.contains("SPRS entry 4711") && !shown.contains("approved this"), "{shown}");
    flow.pump().await;
    let done = proposal(&flow, &id).await;
    let State::Recorded { .. } = done.state else { panic!("{:?}", done.state) };
    let decision = done.decision().unwrap();
    assert_eq!((decision.verdict, decision.evidence.len(), decision.evidence[0].hash.as_str()), (Verdict::Done, 1, hash.as_str()));
    assert!(decision.receipt.as_ref().is_some_and(|receipt| receipt.statement.contains(&hash)), "signed, with what shows it");
}

const DEED: [(&str, &str); 6] = [
    ("decision", "done"),
    ("done_on", "2026-01-02"),
    ("reference", "SPRS entry 4711"),
    ("title", "SPRS confirmation"),
    ("place", "SharePoint: CMMC/SPRS"),
    ("sha256", "abababababababababababababababababababababababababababababababab"),
];

/// 3.1.1 weighs five points.
#[tokio::test]
async fn a_score_that_changed_is_not_recorded_as_submitted_and_gives_way_to_the_one_that_stands() {
    let flow = Flow::new(Extent::Small).await;
    with_a_plan(&flow).await;
    with_found(&flow, "3.1.1", Answer::Met).await;
    let client = format!("portal/clients/{HARBOR}");
    let engineer = Browser::of(&flow, What::Engineer).await.session();
    let ask = || async {
        let asked = Browser::with_cookie(&flow, &engineer).press(&client, &format!("{client}/sprs"), &[]).await;
        asked.header("location").unwrap_or_else(|| panic!("{}", text(&asked))).strip_prefix("/api/").unwrap().to_owned()
    };
    let first = ask().await;
    let approver = Browser::of(&flow, What::Approver).await;
    let opened = hidden_of(&approver.get(&first).await, &format!("{first}/decide#done"));
    for (found, said) in [(Answer::NotMet, "The score today is \u{2212}203 of 110, and this asks to submit \u{2212}198"), (Answer::Met, "")]
    {
        with_found(&flow, "3.1.1", found).await;
        let shown = text(&approver.get(&first).await);
        assert_eq!(shown.contains("Record it as done"), found == Answer::Met, "{shown}");
        assert!(shown.contains(said) && shown.contains(">Reject<"), "{shown}");
    }
    with_found(&flow, "3.1.1", Answer::NotMet).await;
    let late = approver.send(opened, &format!("{first}/decide"), &DEED).await;
    assert!(late.status == 409 && text(&late).contains("submit the score that stands there too"), "{}", text(&late));
    assert_eq!(filed(&flow).await, 0);
    let seen = text(&Browser::with_cookie(&flow, &engineer).get(&first).await);
    assert!(seen.contains("do not submit that"), "who asked reads it too: {seen}");
    with_found(&flow, "3.12.4", Answer::Undecided).await;
    let without = text(&approver.get(&first).await);
    assert!(without.contains("There is no score today, because 3.12.4") && !without.contains("Record it as done"), "{without}");
    with_a_plan(&flow).await;

    let second = ask().await;
    assert_ne!(second, first);
    assert_eq!(ask().await, second, "asked once");
    let id = |page: &str| page.rsplit('/').next().unwrap().to_owned();
    let gone = proposal(&flow, &id(&first)).await.state;
    assert!(matches!(gone, State::Superseded { by: Some(by), .. } if by.to_string() == id(&second)), "{gone:?}");
    let bare = answer(&approver, &second, "done", &[("decision", "reject"), ("comment", "We mend 3.1.1 first.")]).await;
    assert!(bare.status == 422 && text(&bare).contains("Choose why you reject it"), "{}", text(&bare));
    let because = ("because", "business_choice");
    let mute = answer(&approver, &second, "done", &[("decision", "reject"), because]).await;
    assert!(mute.status == 422 && text(&mute).contains("Say why you reject it"), "{}", text(&mute));
    let no = answer(&approver, &second, "done", &[("decision", "reject"), because, ("comment", "We mend 3.1.1 first.")]).await;
    assert_eq!(no.status, 303, "{}", text(&no));
    assert!(matches!(proposal(&flow, &id(&second)).await.state, State::Rejected { .. }));
}

/// Nobody does what a mail says that is not so any more: a wrong score in SPRS is a false statement.
#[tokio::test]
async fn nobody_is_reminded_to_submit_a_score_that_changed() {
    let mut flow = Flow::new(Extent::Small).await;
    with_a_plan(&flow).await;
    with_found(&flow, "3.1.1", Answer::Met).await;
    let client = format!("portal/clients/{HARBOR}");
    let session = Browser::of(&flow, What::Engineer).await.session();
    let asked = Browser::with_cookie(&flow, &session).press(&client, &format!("{client}/sprs"), &[]).await;
    let page = asked.header("location").unwrap().strip_prefix("/api/").unwrap().to_owned();
    let id = page.rsplit('/').next().unwrap();
    flow.sweep().await;
    assert_eq!(proposal(&flow, id).await.state, State::Open, "it is so");
    with_found(&flow, "3.1.1", Answer::NotMet).await;
    flow.test.clock.advance(Duration::days(6) + Duration::hours(1));
    flow.sweep().await;
    let state = proposal(&flow, id).await.state;
    assert!(matches!(state, State::Superseded { by: None, cause: Cause::ScoreChanged, .. }), "{state:?}");
    flow.pump().await;
    let mails = flow.test.mails("");
    assert!(mails.iter().all(|(_, mail)| !mail.contains("Subject: Reminder")), "{mails:?}");
    let shown = text(&Browser::of(&flow, What::Engineer).await.get(&page).await);
    assert!(shown.contains("The score is another one by now"), "{shown}");
}

/// How often what shows the deed was filed.
async fn filed(flow: &Flow) -> usize {
    let (store, mut count) = (flow.client(HARBOR).await, 0);
    for place in ClientPlace::with_outbox().filter(|place| matches!(place, ClientPlace::Evidence(_))) {
        let held: Vec<Held<Evidence>> = store.all(place, "").await.unwrap();
        let is_it = |one: &&Held<Evidence>| matches!(one.value.origin, Origin::Filed(_)) && one.value.title == "SPRS confirmation";
        count += held.iter().filter(is_it).count();
    }
    count
}

#[tokio::test]
async fn nothing_is_filed_for_a_deed_that_the_proposal_does_not_ask_for() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let approver = Browser::of(&flow, What::Approver).await;
    let hidden = hidden_of(&approver.get(&page).await, &format!("{page}/decide#decide"));
    let told = approver.send(hidden.clone(), &format!("{page}/decide"), &DEED).await;
    assert!(told.status == 409 && text(&told).contains("does not ask for this answer"), "{}", text(&told));
    assert_eq!(filed(&flow).await, 0);
    let taken = answer(&approver, &page, "decide", &[("decision", "approve")]).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    let late = approver.send(hidden, &format!("{page}/decide"), &DEED).await;
    assert!((400..500).contains(&late.status), "{}", late.status);
    assert_eq!(filed(&flow).await, 0);
}

#[tokio::test]
async fn a_deed_is_recorded_by_who_has_just_signed_in_and_in_their_own_name() {
    let mut flow = Flow::new(Extent::Small).await;
    with_a_plan(&flow).await;
    let client = format!("portal/clients/{HARBOR}");
    let asked = Browser::of(&flow, What::Engineer).await.press(&client, &format!("{client}/sprs"), &[]).await;
    let page = asked.header("location").unwrap_or_else(|| panic!("{}", text(&asked))).strip_prefix("/api/").unwrap().to_owned();
    flow.pump().await;
    let approver = Browser::of(&flow, What::Approver).await;
    let seat = person(What::Owner).id.to_string();
    let for_another = answer(&approver, &page, "done", &[&DEED[..], &[("in_place_of", seat.as_str())]].concat()).await;
    assert!(for_another.status == 400 && text(&for_another).contains("in their own name"), "{}", text(&for_another));
    flow.test.clock.advance(Duration::minutes(11));
    let stale = answer(&approver, &page, "done", &DEED).await;
    assert_eq!(stale.status, 401, "a sign-in of eleven minutes ago");
    assert_eq!(filed(&flow).await, 0);
    let approver = Browser::of(&flow, What::Approver).await;
    let form = hidden_of(&approver.get(&page).await, &format!("{page}/decide#done"));
    for _ in 0..2 {
        let recorded = approver.send(form.clone(), &format!("{page}/decide"), &DEED).await;
        assert_eq!(recorded.status, 303, "the same form twice: {}", text(&recorded));
    }
    assert_eq!(filed(&flow).await, 1);
}

/// Asks for it by rule.
async fn staged(flow: &Flow, draft: Draft) -> String {
    let store = flow.client(HARBOR).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft).await.unwrap();
    batch.commit().await.unwrap();
    outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
    id.to_string()
}

/// Runs what waits with an action of the story's own: this release has no kind whose floor lets it run by its level.
async fn run_by_level(flow: &Flow, works: bool) -> Proposal {
    let body = flow.test.queue.bodies("execute").pop().unwrap();
    let message = message::open(flow.app(), "execute", &body).await.unwrap();
    let outcome = gate::execute(flow.app(), &message, |_, _, _| {
        Box::pin(async move { if works { Ok(()) } else { Err(NotPerformed::Refused("Two of them have begun the course.".into())) } })
    });
    outcome.await.unwrap()
}

#[tokio::test]
async fn what_ran_without_asking_is_in_the_inbox_while_it_can_be_undone_and_says_so_when_it_cannot() {
    let mut flow = Flow::new(Extent::Small).await;
    two_approvers(&flow).await;
    let model = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await.to_string();
    let draft = Draft {
        kind: "assign_training".into(),
        question: "Assign \u{201c}Phishing basics\u{201d} to 14 people?".into(),
        undo: Some("{}".into()),
        evidence: vec![],
        ..proposal(&flow, &model).await.draft
    };
    let id = staged(&flow, draft).await;
    assert!(matches!(run_by_level(&flow, true).await.state, State::Executed { undo_until: Some(_), .. }));
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let approver = Browser::of(&flow, What::Approver).await.session();
    {
        let approver = Browser::with_cookie(&flow, &approver);
        let inbox = text(&approver.get("portal/inbox").await);
        assert!(inbox.contains("Done without asking: you can still undo") && inbox.contains("Phishing basics"), "{inbox}");
        let engineer = text(&Browser::of(&flow, What::Engineer).await.get("portal/inbox").await);
        assert!(!engineer.contains("you can still undo"), "who does not approve cannot undo: {engineer}");
        let shown = text(&approver.get(&page).await);
        for said in ["It ran by its level", "I reviewed it: it stands", "Somebody else has to look", "Have it undone"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        let bare = answer(&approver, &page, "review", &[("decision", "override"), ("comment", "The wrong people.")]).await;
        assert!(bare.status == 422 && text(&bare).contains("Choose why you have it undone"), "{}", text(&bare));
        let typed = [("decision", "override"), ("because", "business_choice"), ("comment", "The wrong people.")];
        let undone = answer(&approver, &page, "review", &typed).await;
        assert_eq!(undone.status, 303, "{}", text(&undone));
        assert!(!text(&approver.get("portal/inbox").await).contains("you can still undo"));
    }
    assert!(matches!(run_by_level(&flow, false).await.state, State::NotUndone { .. }));
    flow.pump().await;
    assert!(flow.test.mails("").iter().any(|(_, mail)| mail.contains("NOT UNDONE: ")), "told");
    let approver = Browser::with_cookie(&flow, &approver);
    let shown = text(&approver.get(&page).await);
    for said in ["Could not be undone", "Two of them have begun the course.", "what it did stands"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(text(&approver.get("portal/inbox").await).contains("To be reviewed"));
    let seen = answer(&approver, &page, "review", &[("decision", "uphold"), ("comment", "I took the others out by hand.")]).await;
    assert_eq!(seen.status, 303, "{}", text(&seen));
    assert!(!text(&approver.get("portal/inbox").await).contains("To be reviewed"));
}
