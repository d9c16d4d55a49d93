//! What the main job costs on Azure: calls and request units per step, each beside its budget.
//!
//! Calls are those of the ports (one round trip each, but for long lists); request units as the SDK's emulator counts them,
//! which are near the service's for points and too low for queries. The job runs once to warm up what a process keeps.

use assay::connectors::demo::{self, What};

use crate::{
    Outcome,
    support::{
        browser::{self, Browser},
        clock::START,
        flow::{Extent, Flow, HARBOR, deliveries_of, person},
    },
};

const OBJECTIVE: &str = "3.4.1[d]";

/// Budgets of calls: how many of these there may be.
type Budget = &'static [(&'static [&'static str], usize)];

pub async fn measure() -> Outcome<()> {
    println!(
        "{:<44} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7}  budget",
        "cost on Azure, per step", "RU", "reads", "writes", "queue", "blobs", "vault"
    );
    let mut flow = Flow::on_azure(Extent::Small).await;
    let deliveries = deliveries_of(demo::CONNECTWISE, START);
    flow.vendor_sends(&deliveries[0]).await;
    flow.pump().await;

    let step = Step::begin(&flow, "webhook: until it is answered");
    flow.vendor_sends(&deliveries[1]).await;
    step.end(&flow, &[(&["documents.batch", "blobs.create"], 2), (&["queue.send"], 1)]);
    let step = Step::begin(&flow, "webhook: intake and analysis of one record");
    flow.pump().await;
    step.end(&flow, &[]);
    let step = Step::begin(&flow, "three devices read, analyzed, asked about");
    let proposal = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    step.end(&flow, &[]);

    let page = format!("portal/proposals/{HARBOR}/{proposal}");
    let session = Browser::of(&flow, What::Approver).await.session();
    let browser = Browser::with_cookie(&flow, &session);
    browser.get(&page).await;
    let step = Step::begin(&flow, "approval page");
    let opened = browser.get(&page).await;
    step.end(&flow, &[(&["documents.read", "documents.query"], 3)]);
    let step = Step::begin(&flow, "decision");
    let typed = [("decision", "approve"), ("comment", "I compared it with the RMM.")];
    let taken = browser.send(browser::hidden_of_form(&opened), &format!("{page}/decide"), &typed).await;
    if taken.status != 303 {
        return Err(format!("the decision was answered {}", taken.status).into());
    }
    step.end(&flow, &[(&["documents.batch"], 1)]);
    let step = Step::begin(&flow, "execution");
    flow.pump().await;
    step.end(&flow, &[]);
    Ok(())
}

struct Step {
    what: &'static str,
    calls: usize,
    charged: f64,
}

impl Step {
    fn begin(flow: &Flow, what: &'static str) -> Self {
        Self { what, calls: flow.test.faults.count(), charged: flow.test.charged() }
    }

    fn end(self, flow: &Flow, budget: Budget) {
        let calls = flow.test.faults.calls().split_off(self.calls);
        let count = |names: &[&str]| calls.iter().filter(|call| names.contains(call)).count();
        let judge = |(names, most): &(&[&str], usize)| {
            let kinds = names.join(" + ");
            format!("{kinds} <= {most}: {} {}", count(names), if count(names) <= *most { "holds" } else { "MISSES" })
        };
        let verdict = budget.iter().map(judge).collect::<Vec<_>>().join("; ");
        println!(
            "{:<44} {:>9.1} {:>7} {:>7} {:>7} {:>7} {:>7}  {verdict}",
            self.what,
            flow.test.charged() - self.charged,
            count(&["documents.read", "documents.query", "documents.changes"]),
            count(&["documents.batch"]),
            count(&["queue.send", "queue.receive", "queue.delete"]),
            count(&["blobs.create", "blobs.read", "blobs.list", "blobs.delete"]),
            count(&["vault.wrap", "vault.unwrap", "vault.sign", "vault.secret"]),
        );
    }
}
