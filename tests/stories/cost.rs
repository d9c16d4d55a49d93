//! What one record and one execution cost: each read is a round trip and a charge on Azure, and there are many of both.

use assay::{
    audit::trail,
    connectors::demo::{self, What},
    gate::Verdict,
    tenancy::ClientPlace,
};

use crate::support::{
    clock::START,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
};

/// Intake 8: connection, owner, company, whether its client is on, what is known of the record, outbox, whether one waits,
/// delivery. Whether a client is on is asked each time: switched off anywhere, it is off with the next message.
/// Analysis 8: whether the client is on, lease (2), record, topic, standing, the objectives it touches with the topics beside it, outbox.
/// Log 4: head, the record's place and the assessment, the entry behind the head.
const ONE_RECORD: usize = 8 + 8 + 4;

/// Execution 12: whether the client is on, proposal with receipt and outbox item, which operations the log says have run and
/// the entries since the sweep kept that (2: an approval whose records were all put back must not run twice), grant, the same
/// two of the installation's log (2: a grant that was put back lets nothing run), which revision the record it rests on must have, that record, objective, standing, outbox.
/// Log 3: head, the assessment, the entry behind the head.
const EXECUTION: usize = 12 + 3;

/// The reads of everything that waits in the queues.
async fn reads_of_pump(flow: &mut Flow) -> usize {
    let before = flow.test.faults.count();
    flow.pump().await;
    let calls = flow.test.faults.calls().split_off(before);
    calls.iter().filter(|call| matches!(**call, "documents.read" | "documents.query" | "documents.changes")).count()
}

async fn waiting_for_a_place(flow: &Flow) -> usize {
    trail::page(&flow.client(HARBOR).await, ClientPlace::with_outbox(), None).await.unwrap().waiting.len()
}

#[tokio::test]
async fn one_record_and_one_execution_take_no_more_reads_than_they_need_and_stand_in_the_log() {
    let mut flow = Flow::new(Extent::Small).await;
    let deliveries = deliveries_of(demo::CONNECTWISE, START);
    // What a process keeps once it has read it.
    flow.vendor_sends(&deliveries[0]).await;
    flow.pump().await;

    flow.vendor_sends(&deliveries[1]).await;
    let reads = reads_of_pump(&mut flow).await;
    assert!(reads <= ONE_RECORD, "{reads} reads of one record");
    assert_eq!(waiting_for_a_place(&flow).await, 0);

    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    // What the devices' reading wrote elsewhere is the sweep's to place.
    flow.sweep().await;
    flow.answer_once(person(What::Approver), HARBOR, id, Verdict::Approve).await.unwrap();
    let reads = reads_of_pump(&mut flow).await;
    assert!(reads <= EXECUTION, "{reads} reads of one execution");
    assert_eq!(waiting_for_a_place(&flow).await, 0);
}
