//! What a named human finds, in all the values that a finding can have (32 CFR 170.24(b)), and where it shows.

use assay::{
    gate::{State, Verdict},
    readiness::{self, ByHand, Found},
};

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
async fn what_a_human_said_about_a_gap_stands_before_what_a_rule_says() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    client.finds(INVENTORY, Found::NotMet, "The lab's controllers are on no list.").await;
    let page = readiness::view::client_page(client.app(), &client.engineer, "Harbor Precision", "c", frame(&client)).await.unwrap();
    let fix = page.fix_first.iter().find(|fix| fix.id == "CM.L2-3.4.1").unwrap();
    assert_eq!(fix.missing, "Priya Nair found 3.4.1[d] NOT MET: Looked at it.");
}
