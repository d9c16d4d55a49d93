//! What one decision costs the processor: the form of a signed-in approver, from the request to the reply, with everything
//! that is read, verified, signed, sealed and committed on the way, on a data folder.

use std::fs;

use assay::{
    connectors::demo::{self, What},
    gate::{Proposal, State},
    tenancy::ClientPlace,
};

use crate::{
    Effort, Outcome,
    report::{self, Bar, Samples},
    support::{
        browser::{self, Browser},
        clock::START,
        flow::{Extent, Flow, HARBOR, deliveries_of},
    },
};

pub async fn measure(effort: Effort) -> Outcome<()> {
    let (mut decisions, mut pages) = (Samples::default(), Samples::default());
    for _ in 0..effort.rounds.min(5) {
        let mut flow = Flow::new(Extent::Small).await;
        flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
        flow.settle().await;
        let open = flow.client(HARBOR).await.all::<Proposal>(ClientPlace::Assessment, "").await?;
        let browser = Browser::of(&flow, What::Approver).await;
        for proposal in open.iter().map(|held| &held.value).filter(|proposal| matches!(proposal.state, State::Open)) {
            let page = format!("portal/proposals/{HARBOR}/{}", proposal.id);
            let before = processor_ms();
            let opened = browser.get(&page).await;
            pages.add(processor_ms() - before);
            let typed = [("decision", "approve"), ("comment", "I compared it with the RMM.")];
            let form = browser::hidden_of_form(&opened);
            let before = processor_ms();
            let taken = browser.send(form, &format!("{page}/decide"), &typed).await;
            decisions.add(processor_ms() - before);
            if taken.status != 303 {
                return Err(format!("a decision was answered {}", taken.status).into());
            }
        }
    }
    report::line("decision: processor time of the POST", "ms", &decisions, None, &Bar::AtMost(10.0));
    report::line("decision: of the page before it", "ms", &pages, None, &Bar::None);
    Ok(())
}

/// Of all threads of this process.
fn processor_ms() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let on_processor = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter_map(on_processor).sum::<f64>() / 1e6
}
