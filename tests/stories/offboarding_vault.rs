//! The vault key of a client that was let go: looked at once a day until the certificate is issued, its days begun anew when
//! it was recovered, and where the vault does not let Assay look, somebody's word, which the certificate calls that.

use assay::{
    audit,
    connectors::demo::What,
    custody::offboarding::OffboardingError,
    tenancy::{DeploymentPlace, place::AuditPart},
};
use time::Duration;

use super::offboarding::{at_rest, done, issued, known, page, says, step, waited, world};
use crate::support::{
    browser::{Browser, text},
    end_state,
    flow::{Extent, Flow, HARBOR},
};

fn vault_file(flow: &Flow) -> std::path::PathBuf {
    flow.test.folder().join(format!("vault/{HARBOR}.json"))
}

/// The client lets Assay neither use nor look at the key any more.
fn takes_the_right_away(flow: &Flow) {
    let mut key: serde_json::Value = serde_json::from_slice(&std::fs::read(vault_file(flow)).unwrap()).unwrap();
    key["revoked"] = true.into();
    std::fs::write(vault_file(flow), key.to_string()).unwrap();
}

async fn destroyed() -> Flow {
    let mut flow = world(Extent::Small).await;
    waited(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    flow
}

/// A day, with a sweep at its end and one more that must not look again.
async fn a_day_passes(flow: &mut Flow) {
    flow.clock_jumps(Duration::days(1));
    at_rest(flow).await;
    flow.test.clock.advance(Duration::minutes(5));
    at_rest(flow).await;
}

async fn said(flow: &Flow, kind: &str) -> usize {
    let log = end_state::all::<audit::entry::Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    log.iter().filter(|entry| entry.leaf.contains(kind)).count()
}

fn refusal(error: &OffboardingError) -> String {
    let OffboardingError::Refused(why) = error else { panic!("{error:?}") };
    why.clone()
}

#[tokio::test]
async fn a_vault_key_that_is_recovered_and_deleted_again_begins_its_days_anew_and_the_looks_are_counted() {
    let mut flow = destroyed().await;
    let file = std::fs::read_to_string(vault_file(&flow)).unwrap();
    std::fs::remove_file(vault_file(&flow)).unwrap();
    done(&flow, "look", &[]).await;
    let first = known(&flow).await.held.unwrap().value.vault_key_gone_at.unwrap();
    for day in 1..=3 {
        a_day_passes(&mut flow).await;
        assert_eq!(known(&flow).await.held.unwrap().value.looks.unwrap().count, day + 1, "once a day");
    }
    // Nobody presses anything: somebody recovered it in the vault.
    std::fs::write(vault_file(&flow), &file).unwrap();
    a_day_passes(&mut flow).await;
    let held = known(&flow).await.held.unwrap().value;
    assert!(held.vault_key_gone_at.is_none() && held.looks.is_none(), "{held:?}");
    assert_eq!(said(&flow, "client.offboarding.vault_key_back").await, 1);
    assert!(refusal(&issued(&flow).await.unwrap_err()).contains("not known to be deleted"));
    std::fs::remove_file(vault_file(&flow)).unwrap();
    done(&flow, "look", &[]).await;
    let again = known(&flow).await.held.unwrap().value.vault_key_gone_at.unwrap();
    flow.clock_jumps(first + Duration::days(91) - flow.app().now());
    assert!(refusal(&issued(&flow).await.unwrap_err()).starts_with("Not before"), "the days of the first deletion count no more");
    at_rest(&mut flow).await;
    // Recovered on the last day: the look at the issue finds it too.
    flow.clock_jumps(again + Duration::days(90) - flow.app().now());
    std::fs::write(vault_file(&flow), &file).unwrap();
    assert!(refusal(&issued(&flow).await.unwrap_err()).contains("is there again"));
    assert!(known(&flow).await.held.unwrap().value.vault_key_gone_at.is_none());
    std::fs::remove_file(vault_file(&flow)).unwrap();
    done(&flow, "look", &[]).await;
    done(&flow, "look", &[]).await;
    says(&flow, "Assay looked 2 times").await;
    flow.clock_jumps(Duration::days(90));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    assert!(text.contains("Assay looked 2 times from ") && text.contains("between two looks would not show"), "{text}");
    at_rest(&mut flow).await;
    assert_eq!((said(&flow, "vault_key_back").await, said(&flow, "vault_key_gone").await), (2, 3));
    let looks = known(&flow).await.held.unwrap().value.looks;
    a_day_passes(&mut flow).await;
    assert_eq!(known(&flow).await.held.unwrap().value.looks, looks, "after the certificate nobody looks");
}

#[tokio::test]
async fn where_the_vault_does_not_say_somebodys_word_counts_and_stands_as_their_word() {
    let mut flow = destroyed().await;
    let word = [("who", "Pat Lane, Harbor Precision"), ("since", "2026-03-01"), ("writing", "Letter of 2 March, file 31")];
    let told = step(&flow, "state", &word).await;
    assert!(told.status == 409 && text(&told).contains("still in the vault"), "no word against what the vault says: {}", text(&told));
    takes_the_right_away(&flow);
    let told = step(&flow, "look", &[]).await;
    assert!(told.status == 409 && text(&told).contains("The vault does not say"), "{}", text(&told));
    for (name, value, words) in [
        ("who", "", "Say who states"),
        ("since", "2099-01-01", "not one to come"),
        ("since", "soon", "Give the day"),
        ("writing", " ", "in writing"),
    ] {
        let typed = word.map(|(one, typed)| if one == name { (one, value) } else { (one, typed) });
        let told = step(&flow, "state", &typed).await;
        assert!(told.status == 409 && text(&told).contains(words), "{words}: {}", text(&told));
        assert!(text(&told).contains("file 31") || name == "writing", "what was typed is handed back");
    }
    assert!(known(&flow).await.held.unwrap().value.vault_key_gone_at.is_none());
    for _ in 0..2 {
        done(&flow, "state", &word).await;
    }
    says(&flow, "as Pat Lane, Harbor Precision states").await;
    a_day_passes(&mut flow).await;
    assert_eq!(said(&flow, "client.offboarding.vault_key_stated").await, 1, "the same word twice is one");
    flow.clock_jumps(Duration::days(91));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    for words in [
        "Assay could not look whether",
        "the vault does not let Assay look",
        "the statement of\nPat Lane, Harbor Precision",
        "since 2026-03-01",
        "Letter of 2 March, file 31",
        "Assay could not look either",
        "Looks that the vault gave no answer to: 2.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("was found deleted"), "{text}");
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(!crate::support::browser::text(&owner.get(&page()).await).contains("offboarding/state"), "nothing to state any more");
}

#[tokio::test]
async fn a_word_is_worth_nothing_once_the_vault_says_that_the_key_is_there() {
    let mut flow = destroyed().await;
    let file = std::fs::read_to_string(vault_file(&flow)).unwrap();
    takes_the_right_away(&flow);
    done(&flow, "state", &[("who", "Pat Lane"), ("since", "2026-03-01"), ("writing", "Letter")]).await;
    std::fs::write(vault_file(&flow), file).unwrap();
    a_day_passes(&mut flow).await;
    let held = known(&flow).await.held.unwrap().value;
    assert!(held.statement.is_none() && held.vault_key_gone_at.is_none(), "{held:?}");
    assert_eq!(said(&flow, "client.offboarding.vault_key_back").await, 1);
}
