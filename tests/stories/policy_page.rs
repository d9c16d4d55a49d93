//! The policy's page: what stands, what a change would have meant, and asking for it. A request never says its own level.

use assay::{
    connectors::demo::What,
    gate::{Policy, Proposal, State, Verdict, proposal::OpenMark},
    tenancy::{ClientPlace, Held},
};

use time::Duration;

use crate::support::{
    browser::{Browser, approves, hidden, hidden_of, text},
    flow::{Extent, Flow, HARBOR, person},
};

const TWO: [(&str, &str); 5] =
    [("kind", "mark_objective"), ("needed", "2"), ("decide_within", "168"), ("run_within", "48"), ("why", "Four eyes see more.")];

#[tokio::test]
async fn an_engineer_tries_a_change_on_what_was_and_asks_for_it_and_it_holds_once_an_approver_said_so() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.answer(person(What::Approver), HARBOR, "3.4.1[d]", Verdict::Approve).await;
    flow.pump().await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = Browser::of(&flow, What::Engineer).await;
    let shown = text(&engineer.get(&page).await);
    for said in ["nobody has changed them", "Mark an objective", "needs 1 approval", "Change this policy"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    for later in ["Affirm", "Publish the package", "Assign training"] {
        assert!(!shown.contains(later), "{later} is nothing that this release does: {shown}");
    }
    let link = text(&engineer.get(&format!("portal/clients/{HARBOR}")).await);
    assert!(link.contains(&format!("href=\"/api/{page}\"")), "the client's page leads here");

    let tried = engineer.fill_in(&page, &page, &[&TWO[..], &[("step", "try")]].concat()).await;
    let html = text(&tried);
    assert!(
        tried.status == 200
            && html.contains("1 approved or done; 1 would have come out otherwise")
            && html.contains("It would have waited for another approval: 1 of 2."),
        "{html}"
    );
    // The other two forms are tried as well, without a reason.
    for (form, typed) in [("alone", "alone-"), ("people", "member-")] {
        let hidden = hidden_of(&engineer.get(&page).await, &format!("{page}#{form}"));
        let ticked = format!("{typed}{}", person(What::Approver).id);
        let tried = engineer.send(hidden, &page, &[(ticked.as_str(), "yes"), ("group", "the client"), ("step", "try")]).await;
        assert!(tried.status == 200 && text(&tried).contains("id=\"dry-run\""), "{form}: {}", text(&tried));
    }
    let store = flow.client(HARBOR).await;
    assert_eq!(Policy::read(&store).await.unwrap().unwrap().version, 0);

    let asked = engineer.fill_in(&page, &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    let proposal = engineer.follow(&asked).await;
    assert!(text(&proposal).contains("Change the approval policy for") && text(&proposal).contains("You asked for this"));
    assert!(text(&engineer.get(&page).await).contains("A change is asked for already"));
    let address = asked.header("location").unwrap().strip_prefix("/api/").unwrap().to_owned();
    let approver = Browser::of(&flow, What::Approver).await;
    let decide = format!("{address}/decide");
    let to_decide = approver.get(&address).await;
    assert!(text(&to_decide).contains("1 approved or done; 1 would have come out otherwise"), "who decides sees it too");
    let form = hidden_of(&to_decide, &format!("{decide}#decide"));
    assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
    flow.pump().await;
    let decided = Browser::of(&flow, What::Approver).await.get(&address).await;
    assert!(!text(&decided).contains("would have come out otherwise"));
    let policy = Policy::read(&flow.client(HARBOR).await).await.unwrap().unwrap();
    assert_eq!((policy.version, policy.terms("mark_objective").rule.approvals), (1, 2));
}

/// It would stand on a card and in mails.
#[tokio::test]
async fn a_reason_that_is_marked_cui_asks_for_no_other_policy_and_is_not_kept() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.answer(person(What::Approver), HARBOR, "3.4.1[d]", Verdict::Approve).await;
    flow.settle().await;
    let engineer = Browser::of(&flow, What::Engineer).await;
    let marked = ("why", "CUI//SP-CTI: as in the drawing");
    let page = format!("portal/clients/{HARBOR}/policy");
    let another = [&TWO[..4], &[marked, ("step", "ask")]].concat();
    let refused = engineer.fill_in(&page, &page, &another).await;
    let at_its_field = r##"<a href="#why">The reason carries a CUI marking; nothing was kept."##;
    assert!(refused.status == 422 && text(&refused).contains(at_its_field), "{}", text(&refused));
    let (figures, action) = (format!("portal/analytics/{HARBOR}"), format!("portal/analytics/{HARBOR}/leave-out"));
    let reviewer = person(What::Approver).id.to_string();
    let opened = hidden_of(&engineer.get(&figures).await, &format!("{action}#leave-out"));
    let refused = engineer.send(opened, &action, &[("reviewer", reviewer.as_str()), ("count", "out"), marked]).await;
    assert!(refused.status == 422 && text(&refused).contains(at_its_field), "{}", text(&refused));
    let waits: Vec<Held<OpenMark>> = flow.client(HARBOR).await.all(ClientPlace::Assessment, "").await.unwrap();
    assert!(waits.iter().all(|held| held.value.kind != "change_policy"), "{waits:?}");
}

#[tokio::test]
async fn what_is_asked_while_another_change_waits_comes_back_and_says_which_one_waits() {
    let flow = Flow::new(Extent::Small).await;
    let (page, figures) = (format!("portal/clients/{HARBOR}/policy"), format!("portal/analytics/{HARBOR}"));
    let action = format!("{figures}/leave-out");
    let approver = Browser::of(&flow, What::Approver).await;
    let rule = hidden_of(&approver.get(&page).await, &format!("{page}#change"));
    let left_out = hidden_of(&approver.get(&figures).await, &format!("{action}#leave-out"));
    let waits = Browser::of(&flow, What::Engineer).await.fill_in(&page, &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    let waits = waits.header("location").unwrap_or_else(|| panic!("{}", text(&waits))).to_owned();

    let three = [("kind", "mark_objective"), ("needed", "3"), ("decide_within", "72"), ("run_within", "48"), ("why", "Six eyes see most.")];
    let reviewer = person(What::Approver).id.to_string();
    let of_him = [("reviewer", reviewer.as_str()), ("count", "out"), ("why", "Six eyes see most.")];
    for (form, to, typed) in [(rule, &page, &[&three[..], &[("step", "ask")]].concat()[..]), (left_out, &action, &of_him)] {
        let back = approver.send(form, to, typed).await;
        let html = text(&back);
        assert_eq!(back.status, 422, "{html}");
        for said in ["Another change of the policy waits for its decision", "Six eyes see most.", &format!("href=\"{waits}\"")] {
            assert!(html.contains(said), "{said}: {html}");
        }
    }
    let shown = text(&approver.get(&figures).await);
    assert!(shown.contains(&format!("href=\"{waits}\"")) && !shown.contains(&format!("{action}#leave-out")), "{shown}");
    let open: Vec<Held<OpenMark>> = flow.client(HARBOR).await.all(ClientPlace::Assessment, "").await.unwrap();
    assert_eq!(open.iter().filter(|held| held.value.kind == "change_policy").count(), 1);
}

/// The demo's owner has no part in this; the approver's colleague is made an approver first.
#[tokio::test]
async fn an_approver_lets_another_stand_in_who_then_answers_on_the_page_in_their_place() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let owner = Browser::of(&flow, What::Owner).await;
    let people = format!("portal/clients/{HARBOR}/people");
    let (both, engineer) = ([approves(What::Approver), approves(What::Owner)], format!("engineer-{}", person(What::Engineer).id));
    let ticked = [(both[0].as_str(), "yes"), (both[1].as_str(), "yes"), (engineer.as_str(), "yes")];
    assert_eq!(owner.fill_in(&people, &people, &ticked).await.status, 303);

    let page = format!("portal/clients/{HARBOR}/policy");
    let approver = Browser::of(&flow, What::Approver).await;
    let form = || async { hidden_of(&approver.get(&page).await, &format!("{page}#stand-in")) };
    let (who, days) = (person(What::Owner).id.to_string(), ["40", "3"]);
    let wrong = approver.send(form().await, &page, &[("who", &who), ("for_days", days[0])]).await;
    assert!(wrong.status == 422 && text(&wrong).contains("30 at most"), "{}", text(&wrong));
    let saved = approver.send(form().await, &page, &[("who", &who), ("for_days", days[1])]).await;
    assert!(text(&approver.follow(&saved).await).contains("nobody stands in for you before they agree"));

    let proposal = format!("portal/proposals/{HARBOR}/{id}");
    assert!(!text(&owner.get(&proposal).await).contains("In whose place"), "nobody has agreed");
    let asked = format!("Stand in for {} at", person(What::Approver).name);
    assert!(text(&owner.get("portal/inbox").await).contains(&asked));
    let answers = |html: String, label: &str| {
        let form = html.split("<form").find(|form| form.contains("name=\"reply\"") && form.contains(label)).map(str::to_owned);
        form.unwrap_or_else(|| panic!("no {label}: {html}"))
    };
    let own = text(&approver.get(&page).await);
    assert!(own.contains("They have not answered yet") && !own.contains(">Agree<"), "{own}");
    assert!(text(&owner.get("portal/inbox").await).contains("also what waits already"));
    let to_answer = text(&owner.get(&page).await);
    assert!(to_answer.contains("what waits already") && to_answer.contains("no longer counts if its action has not run"), "{to_answer}");
    let agree = answers(to_answer, "Agree");
    let agreed = owner.send(hidden(&agree), &page, &[]).await;
    assert!(text(&owner.follow(&agreed).await).contains("You stand in for them from now on"));
    assert!(!text(&owner.get("portal/inbox").await).contains(&asked));
    let twice = owner.send(hidden(&agree), &page, &[]).await;
    assert!(twice.status == 409 && text(&twice).contains("nothing to answer"), "{}", text(&twice));
    let shown = owner.get(&proposal).await;
    assert!(text(&shown).contains("In whose place"), "{}", text(&shown));
    let seat = person(What::Approver).id.to_string();
    let decide = format!("{proposal}/decide");
    let form = hidden_of(&shown, &format!("{decide}#decide"));
    assert_eq!(owner.send(form, &decide, &[("decision", "approve"), ("in_place_of", &seat)]).await.status, 303);
    let decided = flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap().value;
    let names = decided.decision().unwrap().names();
    assert_eq!(names, format!("{} for {}", person(What::Owner).name, person(What::Approver).name));
    flow.pump().await;
    let done = flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap().value;
    assert!(matches!(done.state, State::Executed { .. }), "{:?}", done.state);
    // Who stands in is an approver no more: both can end it all the same, from the page as it is.
    let owner = Browser::of(&flow, What::Owner).await;
    let only_engineer = format!("engineer-{}", person(What::Owner).id);
    let ticked = [(both[0].as_str(), "yes"), (only_engineer.as_str(), "yes"), (engineer.as_str(), "yes")];
    assert_eq!(owner.fill_in(&people, &people, &ticked).await.status, 303);
    let approver = Browser::of(&flow, What::Approver).await;
    let (down, end) = (answers(text(&owner.get(&page).await), "Stand in no longer"), answers(text(&approver.get(&page).await), "End it"));
    let laid_down = owner.send(hidden(&down), &page, &[]).await;
    assert!(text(&owner.follow(&laid_down).await).contains("Nobody stands in for anybody now"));
    let late = approver.send(hidden(&end), &page, &[]).await;
    assert_eq!(late.status, 409, "{}", text(&late));
    let form = hidden_of(&approver.get(&page).await, &format!("{page}#stand-in"));
    let never = approver.send(form, &page, &[("who", &who), ("for_days", "0")]).await;
    assert!(never.status == 422 && text(&never).contains("nothing to end"), "{}", text(&never));
}

/// Brings the policy to its next version: the engineer asks, the approver decides.
pub(super) async fn changed(flow: &mut Flow, hours: &str) {
    let page = format!("portal/clients/{HARBOR}/policy");
    let fields = [("kind", "mark_objective"), ("needed", "1"), ("decide_within", hours), ("run_within", "48"), ("why", "Shorter.")];
    let engineer = Browser::of(flow, What::Engineer).await;
    let asked = engineer.fill_in(&page, &page, &[&fields[..], &[("step", "ask")]].concat()).await;
    let address = asked.header("location").unwrap().strip_prefix("/api/").unwrap().to_owned();
    let approver = Browser::of(flow, What::Approver).await;
    let decide = format!("{address}/decide");
    let form = hidden_of(&approver.get(&address).await, &format!("{decide}#decide"));
    assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
    flow.pump().await;
}

#[tokio::test]
async fn a_form_of_a_policy_that_changed_meanwhile_asks_nothing_says_what_changed_and_keeps_what_was_typed() {
    let mut flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    changed(&mut flow, "100").await;
    let session = Browser::of(&flow, What::Engineer).await.session();
    let opened = Browser::with_cookie(&flow, &session).open(&page).await;
    changed(&mut flow, "90").await;
    changed(&mut flow, "80").await;
    let engineer = Browser::with_cookie(&flow, &session);
    for step in ["try", "ask"] {
        let reply = engineer.send(opened.clone(), &page, &[&TWO[..], &[("step", step)]].concat()).await;
        let html = text(&reply);
        assert_eq!(reply.status, 409, "{html}");
        for said in [
            "You saw version 1, and version 3 stands now",
            "Mark an objective: decided within: 100 hours \u{2192} 80 hours",
            "Open the page anew",
        ] {
            assert!(html.contains(said), "{said}: {html}");
        }
        // What was typed is in the form that came back, which is for the version that stands.
        for typed in ["Four eyes see more.", "value=\"168\"", "name=\"version\" value=\"3\""] {
            assert!(html.contains(typed), "{typed}: {html}");
        }
        let store = flow.client(HARBOR).await;
        let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await.unwrap();
        assert!(open.iter().all(|held| held.value.kind != "change_policy"), "nothing was asked");
    }
    // Another version than the page's is not the page's form.
    let mut forged = opened.clone();
    for (name, value) in &mut forged {
        if name == "version" {
            "3".clone_into(value);
        }
    }
    assert_eq!(engineer.send(forged, &page, &[&TWO[..], &[("step", "ask")]].concat()).await.status, 403);
    // And the way on: the form that came back is taken.
    let back = engineer.send(opened, &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    let again = engineer.send(hidden_of(&back, &format!("{page}#change")), &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    assert_eq!(again.status, 303, "{}", text(&again));
}

#[tokio::test]
async fn a_form_of_the_policy_that_stands_is_taken_whatever_else_changed() {
    let mut flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    changed(&mut flow, "100").await;
    let session = Browser::of(&flow, What::Engineer).await.session();
    let opened = Browser::with_cookie(&flow, &session).open(&page).await;
    flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let engineer = Browser::with_cookie(&flow, &session);
    assert_eq!(engineer.send(opened, &page, &[&TWO[..], &[("step", "ask")]].concat()).await.status, 303);
}

#[tokio::test]
async fn what_cannot_stand_comes_back_with_what_is_wrong() {
    let flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = Browser::of(&flow, What::Engineer).await;
    for (typed, said) in [
        (vec![("kind", "affirm"), ("needed", "1"), ("step", "ask")], "Choose which kind"),
        (
            vec![("kind", "change_policy"), ("needed", "1"), ("sign_in_minutes", "11"), ("decide_within", "1"), ("run_within", "1")],
            "5 to 10 minutes old",
        ),
        (
            vec![("kind", "mark_objective"), ("needed", "1"), ("sign_in_minutes", "soon"), ("decide_within", "1"), ("run_within", "1")],
            "Say in minutes",
        ),
        (vec![("kind", "mark_objective"), ("needed", "9"), ("decide_within", "1"), ("run_within", "1"), ("step", "ask")], "one to five"),
        (vec![("kind", "mark_objective"), ("needed", "2"), ("decide_within", "x"), ("run_within", "1"), ("step", "ask")], "Say in hours"),
    ] {
        let mut form = engineer.open(&page).await;
        form.retain(|(name, _)| name != "kind");
        let reply = engineer.send(form, &page, &typed).await;
        assert!(reply.status == 422 && text(&reply).contains(said), "{said}: {}", text(&reply));
    }
}

#[tokio::test]
async fn a_level_in_a_request_is_refused_and_nothing_is_done() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let approver = Browser::of(&flow, What::Approver).await;
    let decide = format!("{page}/decide");
    for field in ["level", "gate_level", "gate", "quorum", "approvals"] {
        let reply = approver.fill_in(&page, &decide, &[("decision", "approve"), (field, "L0")]).await;
        assert_eq!(reply.status, 400, "{field}");
    }
    let form = hidden_of(&approver.get(&page).await, &format!("{decide}#decide"));
    assert_eq!(approver.send(form.clone(), &format!("{decide}?level=L0"), &[("decision", "approve")]).await.status, 400);
    assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
}

#[tokio::test]
async fn more_people_than_there_are_is_refused_and_where_access_ends_later_the_policy_and_the_review_say_so() {
    let mut flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let (engineer, approver, owner) = (
        Browser::of(&flow, What::Engineer).await.session(),
        Browser::of(&flow, What::Approver).await.session(),
        Browser::of(&flow, What::Owner).await.session(),
    );
    let few = [
        ("kind", "mark_objective"),
        ("needed", "5"),
        ("decide_within", "168"),
        ("run_within", "48"),
        ("why", "Many eyes."),
        ("step", "ask"),
    ];
    let refused = Browser::with_cookie(&flow, &engineer).fill_in(&page, &page, &few).await;
    let said = text(&refused);
    assert!(refused.status == 422 && said.contains("takes 5 approvals") && said.contains("can give one now"), "{said}");

    let asked = Browser::with_cookie(&flow, &engineer).fill_in(&page, &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    let address = asked.header("location").unwrap_or_else(|| panic!("{}", text(&asked))).strip_prefix("/api/").unwrap().to_owned();
    {
        let approver = Browser::with_cookie(&flow, &approver);
        let decide = format!("{address}/decide");
        let form = hidden_of(&approver.get(&address).await, &format!("{decide}#decide"));
        assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
    }
    flow.pump().await;
    let owner = Browser::with_cookie(&flow, &owner);
    let access = "portal/access";
    assert!(!text(&owner.get(access).await).contains("Too few people"));
    let people = format!("portal/clients/{HARBOR}/people");
    let (one, engineer) = (approves(What::Approver), format!("engineer-{}", person(What::Engineer).id));
    assert_eq!(owner.fill_in(&people, &people, &[(one.as_str(), "yes"), (engineer.as_str(), "yes")]).await.status, 303);
    let nobody = "Nobody could get \u{201c}Mark an objective\u{201d} approved any more: it takes 2 approvals by different people, and 1 person can give one now.";
    for page in [access, page.as_str()] {
        let reader = if page == access { &owner } else { &Browser::with_cookie(&flow, &approver) };
        let shown = text(&reader.get(page).await);
        assert!(shown.contains("Too few people") && shown.contains(nobody.split(':').next().unwrap()), "{page}: {shown}");
    }
}

/// Asks for a change, and hands on the page of the proposal.
pub(super) async fn asked(flow: &Flow, kind: &str, typed: &[(&str, &str)]) -> String {
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = Browser::of(flow, What::Engineer).await;
    let form = hidden_of(&engineer.get(&format!("{page}?kind={kind}")).await, &format!("{page}#change"));
    let standing = [("needed", "1"), ("decide_within", "168"), ("run_within", "48"), ("why", "So that nobody is hurried.")];
    let reply = engineer.send(form, &page, &[typed, &standing[..], &[("step", "ask")]].concat()).await;
    reply.header("location").unwrap_or_else(|| panic!("{}", text(&reply))).strip_prefix("/api/").unwrap().to_owned()
}

async fn send(browser: &Browser<'_>, page: &str, typed: &[(&str, &str)]) -> assay::web::Reply {
    let decide = format!("{page}/decide");
    let form = hidden_of(&browser.get(page).await, &format!("{decide}#decide"));
    browser.send(form, &decide, typed).await
}

#[tokio::test]
async fn who_approves_another_policy_has_just_signed_in_and_who_says_no_need_not() {
    let mut flow = Flow::new(Extent::Small).await;
    let change = asked(&flow, "mark_objective", &[("decide_within", "100")]).await;
    let approver = Browser::of(&flow, What::Approver).await.session();
    let fresh = text(&Browser::with_cookie(&flow, &approver).get(&change).await);
    assert!(fresh.contains("sign-in of the last 10 minutes") && !fresh.contains("Yours is older"), "{fresh}");
    flow.test.clock.advance(Duration::minutes(11));
    let old = Browser::with_cookie(&flow, &approver);
    let shown = text(&old.get(&change).await);
    assert!(shown.contains("Yours is older") && shown.contains("sign-in?again=1"), "said before anything is typed: {shown}");
    let stale = send(&old, &change, &[("decision", "approve"), ("comment", "I read each line.")]).await;
    assert_eq!(stale.status, 401);
    let told = text(&stale);
    assert!(
        told.contains("I read each line.") && told.contains("more than 10 minutes ago") && told.contains("Confirm that it is you"),
        "{told}"
    );

    let proposal = |id: &str| id.rsplit('/').next().unwrap().to_owned();
    let flow_ref = &flow;
    let stands = |id: String| async move {
        flow_ref.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id).await.unwrap().unwrap().value
    };
    assert_eq!(stands(proposal(&change)).await.state, State::Open);
    let no = send(&old, &change, &[("decision", "reject"), ("because", "business_choice"), ("comment", "Not now.")]).await;
    assert_eq!(no.status, 303, "{}", text(&no));
    assert!(matches!(stands(proposal(&change)).await.state, State::Rejected { .. }));

    let again = asked(&flow, "mark_objective", &[("decide_within", "100")]).await;
    let confirmed = Browser::of(&flow, What::Approver).await;
    let taken = send(&confirmed, &again, &[("decision", "approve")]).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
    assert_eq!(Policy::read(&flow.client(HARBOR).await).await.unwrap().unwrap().rule("mark_objective").decide_within, 100);
}

#[tokio::test]
async fn a_policy_says_whether_an_approval_needs_a_comment_and_how_fresh_a_sign_in() {
    let mut flow = Flow::new(Extent::Small).await;
    let change = asked(&flow, "mark_objective", &[("comment_needed", "yes"), ("sign_in_minutes", "30")]).await;
    let approver = Browser::of(&flow, What::Approver).await.session();
    {
        let approver = Browser::with_cookie(&flow, &approver);
        let shown = text(&approver.get(&change).await);
        for said in ["an approval needs a comment: no \u{2192} yes", "a sign-in may be: as old as the session \u{2192} 30 minutes old"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        assert_eq!(send(&approver, &change, &[("decision", "approve")]).await.status, 303);
    }
    flow.pump().await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = text(&Browser::of(&flow, What::Engineer).await.get(&page).await);
    assert!(engineer.contains("needs 1 approval, with a comment, after a sign-in of the last 30 minutes"), "{engineer}");
    assert!(engineer.contains("name=\"sign_in_minutes\" type=\"text\" value=\"30\""), "what stands is in the form: {engineer}");

    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let asked = format!("portal/proposals/{HARBOR}/{id}");
    let approver = Browser::of(&flow, What::Approver).await.session();
    flow.test.clock.advance(Duration::minutes(29));
    let bare = send(&Browser::with_cookie(&flow, &approver), &asked, &[("decision", "approve")]).await;
    assert!(bare.status == 422 && text(&bare).contains("A comment is needed here"), "{}", text(&bare));
    flow.test.clock.advance(Duration::minutes(2));
    let said = [("decision", "approve"), ("comment", "All of them are there.")];
    let stale = send(&Browser::with_cookie(&flow, &approver), &asked, &said).await;
    assert!(stale.status == 401 && text(&stale).contains("more than 30 minutes ago"), "{}", text(&stale));
    let taken = send(&Browser::of(&flow, What::Approver).await, &asked, &said).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
}

#[tokio::test]
async fn who_changes_one_thing_of_a_kind_leaves_the_rest_as_it_stands() {
    let mut flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let people = format!("portal/clients/{HARBOR}/people");
    let (both, engineer) = ([approves(What::Approver), approves(What::Owner)], format!("engineer-{}", person(What::Engineer).id));
    let ticked = [(both[0].as_str(), "yes"), (both[1].as_str(), "yes"), (engineer.as_str(), "yes")];
    assert_eq!(owner.fill_in(&people, &people, &ticked).await.status, 303);
    let page = format!("portal/clients/{HARBOR}/policy");
    let (approver, engineer) = (Browser::of(&flow, What::Approver).await.session(), Browser::of(&flow, What::Engineer).await.session());
    let member = format!("member-{}", person(What::Approver).id);
    let group = [("group", "the client"), (member.as_str(), "yes"), ("why-group", "Theirs to say."), ("step", "ask")];
    for change in ["group", "rule", "reminder"] {
        let engineer = Browser::with_cookie(&flow, &engineer);
        let asked = match change {
            "group" => {
                let form = hidden_of(&engineer.get(&page).await, &format!("{page}#people"));
                engineer.send(form, &page, &group).await
            }
            "rule" => {
                let form = hidden_of(&engineer.get(&page).await, &format!("{page}#change"));
                let typed = [("needed", "2"), ("from-the client", "yes"), ("why", "Four eyes."), ("step", "ask")];
                engineer.send(form, &page, &typed).await
            }
            _ => {
                let shown = engineer.get(&page).await;
                let html = text(&shown);
                for stands in ["name=\"from-the client\" value=\"yes\" checked", "<option value=\"2\" selected>"] {
                    assert!(html.contains(stands), "{stands}: {html}");
                }
                let form = hidden_of(&shown, &format!("{page}#change"));
                let typed = [("from-the client", "yes"), ("remind_before", "12"), ("why", "Later."), ("step", "ask")];
                engineer.send(form, &page, &typed).await
            }
        };
        let address = asked.header("location").unwrap_or_else(|| panic!("{change}: {}", text(&asked))).strip_prefix("/api/").unwrap();
        let approver = Browser::with_cookie(&flow, &approver);
        if change == "reminder" {
            let shown = text(&approver.get(address).await);
            let said = shown.split("If approved").nth(1).unwrap_or(&shown).matches('\u{2192}').count();
            assert!(shown.contains("Mark an objective: reminds: 24 hours") && said == 1, "one line changes: {shown}");
        }
        assert_eq!(send(&approver, address, &[("decision", "approve")]).await.status, 303, "{change}");
        flow.pump().await;
    }
    let stands = Policy::read(&flow.client(HARBOR).await).await.unwrap().unwrap().rule("mark_objective");
    assert_eq!((stands.approvals, stands.one_from_each, stands.remind_before), (2, vec!["the client".to_owned()], vec![12]));
}

#[tokio::test]
async fn what_only_people_do_has_a_form_without_approvals() {
    let flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = text(&Browser::of(&flow, What::Engineer).await.get(&format!("{page}?kind=submit_sprs_score")).await);
    assert!(
        engineer.contains("name=\"sign_in_minutes\" type=\"text\" value=\"10\"") && !engineer.contains("name=\"needed\""),
        "{engineer}"
    );
}
