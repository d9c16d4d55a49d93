//! What a named human finds, in all the values that a finding can have (32 CFR 170.24(b)), and where it shows.

use assay::{
    gate::{
        State, Verdict,
        view::{self, Reader, Returned},
    },
    readiness::{self, ByHand, Found},
};
use time::Duration;

use super::analysis::{Client, INVENTORY, frame};

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
        let reader = Reader { person: approver, grants: std::slice::from_ref(grant), correlation: "c" };
        let page = view::proposal_page(client.app(), reader, grant.tenant, asked.id, frame(), Returned::default(), |_| String::new()).await;
        let token: readiness::view::FormToken<'_> = &|_| String::new();
        let requirement =
            readiness::view::requirement_page(client.app(), &client.engineer, "Harbor Precision", "CM.L2-3.4.1", "c", frame(), token).await;
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
    assert_eq!(fix.missing, "Priya Nair found 3.4.1[d] NOT MET: Looked at it.");
}
