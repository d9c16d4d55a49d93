//! What every page keeps: one heading, labels, no script but one, no inline style, nothing from other hosts, all text escaped.

use askama::Template as _;
use assay::web::{
    assets,
    pages::{EvidenceCard, ProposalPage, ProposalState, Tag, Tone},
};

use super::gallery;

const HOSTILE: &str = r#"</title></textarea><script>alert(1)</script>" onmouseover="x' {{ 7*7 }} {% raw %}&amp;"#;

/// About five times what a page may weigh compressed; measured compressed when the gallery is looked at.
const MOST_BYTES: usize = 100 * 1024;

#[test]
fn every_page_can_be_looked_at_as_a_file() {
    let folder = gallery::write();
    assert!(folder.join("proposal-open.html").is_file());
}

#[test]
fn no_page_carries_an_inline_script_or_style_or_anything_from_another_host_and_one_asks_for_the_one_script() {
    let script = format!(r#"<script src="{}" defer></script>"#, assets::check_path());
    for (name, html) in gallery::pages() {
        assert_eq!(html.matches(&script).count(), usize::from(name == "audit-record"), "{name}");
        let html = html.replacen(&script, "", 1);
        for forbidden in ["<script", " style=", "<style", "javascript:", " onclick", " onload", "src=\"http", "href=\"http", "@import"] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
        assert!(html.len() < MOST_BYTES, "{name}: {} bytes", html.len());
    }
}

#[test]
fn every_page_has_one_heading_a_title_a_skip_link_and_unique_ids() {
    for (name, html) in gallery::pages() {
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert_eq!(html.matches("<main").count(), 1, "{name}");
        assert!(html.contains(r##"<a class="skip" href="#main">"##), "{name}");
        assert!(html.contains(" · Assay</title>"), "{name}");
        let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id stands twice");
    }
}

#[test]
fn every_form_posts_and_carries_a_token_unless_nobody_is_signed_in_or_it_only_looks_for_something() {
    for (name, html) in gallery::pages() {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            if form.contains(r#"role="search""#) {
                assert!(form.contains(r#"method="get""#) && !form.contains("token"), "{name}");
                continue;
            }
            assert!(form.contains(r#"method="post""#), "{name}");
            assert!(form.contains(r#"name="token""#) || name.starts_with("sign-in"), "{name}");
        }
    }
}

#[test]
fn every_field_has_a_label_and_a_secret_has_no_value_to_show() {
    for (name, html) in gallery::pages() {
        for input in html.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            if input.contains(r#"type="password""#) {
                assert!(!input.contains("value="), "{name}: {input}");
            }
            let Some(id) = input.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()) else { continue };
            assert!(html.contains(&format!("<label for=\"{id}\"")), "{name}: {input}");
        }
    }
}

#[test]
fn demo_is_said_on_every_page_made_with_it() {
    for (name, html) in gallery::pages().into_iter().filter(|(name, _)| !name.starts_with("sign-in-")) {
        assert!(html.contains("DEMO sign-in") && html.contains("<strong>DEMO</strong>"), "{name}");
    }
}

#[test]
fn hostile_words_stay_words() {
    let hostile = HOSTILE.to_owned();
    let mut page = gallery::proposal(gallery::open(Some(HOSTILE)));
    let ProposalState::Open(form) = &mut page.state else { unreachable!() };
    form.comment.clone_from(&hostile);
    form.token.clone_from(&hostile);
    form.approve_label.clone_from(&hostile);
    let card = EvidenceCard {
        title: hostile.clone(),
        source: hostile.clone(),
        freshness: Tag::new(Tone::Met, HOSTILE),
        population: Some(hostile.clone()),
        facts: vec![(hostile.clone(), hostile.clone())],
        grade: Some(hostile.clone()),
        limits: vec![hostile.clone()],
        place: Some(hostile.clone()),
        filed_by: Some(hostile.clone()),
        hash: hostile.clone(),
        ..gallery::observed()
    };
    let page = ProposalPage {
        client: hostile.clone(),
        question: hostile.clone(),
        explanation: hostile.clone(),
        asked_by: hostile.clone(),
        reasons: vec![hostile.clone()],
        limits: vec![hostile.clone()],
        others: vec![hostile.clone()],
        action: hostile.clone(),
        hash: hostile.clone(),
        evidence: vec![card],
        ..page
    };
    let html = page.render().unwrap();
    assert!(!html.contains("<script"), "unescaped element");
    assert!(!html.contains(r#"" onmouseover="#), "left an attribute");
    assert!(!html.contains("49"), "evaluated");
    assert!(html.contains("&#60;script&#62;"));
    assert_eq!(html.matches("</textarea>").count(), 1);
    assert_eq!(html.matches("</title>").count(), 1);
}

#[test]
fn nothing_is_chosen_for_the_reader_on_the_decision_page() {
    let html = gallery::proposal(gallery::open(None)).render().unwrap();
    assert_eq!(html.matches(r#"class="choice" name="decision""#).count(), 2, "two buttons of equal weight");
    assert!(!html.contains("autofocus") && !html.contains("checked") && !html.contains("selected"));
    let order = [
        "<h1>",
        "Who asks",
        "What changes",
        "Evidence",
        "What happens",
        "Open until",
        "May decide",
        "Exact action",
        "Comment",
        "Approve and",
    ];
    let places: Vec<usize> = order.iter().map(|part| html.find(part).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_decided_page_has_no_form_of_a_decision() {
    for (name, html) in gallery::pages().into_iter().filter(|(name, _)| name.starts_with("proposal-")) {
        let open = [
            "proposal-open",
            "proposal-comment-needed",
            "proposal-stale",
            "proposal-one-of-two",
            "proposal-standing-in",
            "proposal-alone",
            "proposal-policy-change",
        ]
        .contains(&name);
        let given = name == "proposal-you-gave-one-of-two";
        // What only a person does is recorded or rejected, and after the fact there are other answers.
        let to_do = ["proposal-to-do", "proposal-not-to-do"].contains(&name);
        let afterwards = ["proposal-to-review", "proposal-review-overdue"].contains(&name);
        assert_eq!(html.contains(r#"id="decide""#), open || given, "{name}");
        assert!(!given || !html.contains(r#"name="decision" value="approve""#), "nobody approves twice");
        assert_eq!(html.contains(r#"name="decision""#), open || given || to_do || afterwards, "{name}");
        assert_eq!(html.contains(r#"name="decision" value="reject""#), open || given || to_do, "{name}");
        assert_eq!(html.contains(r#"name="decision" value="done""#), name == "proposal-to-do", "{name}");
        assert_eq!(html.contains("Next for you"), !open, "{name}");
    }
}
