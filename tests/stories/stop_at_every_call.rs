//! The main job, stopped at every port call in turn (`support/stops.rs` says which stops stand for which): it must end as
//! if nothing had happened. The vendor sends again what was not answered 200; the approver signs in, opens the page or
//! sends its form again.
//!
//! The same on the Azure adapters (Cosmos DB, Storage and Key Vault in this process), of whose stops every twelfth is taken,
//! or every one with `ASSAY_EVERY_CALL=1`.

use assay::connectors::demo::{self, What};

use crate::support::{
    TestApp,
    clock::{START, VirtualClock},
    cosmos::{At, CosmosFault, Emulator, fault_to_come},
    disk,
    end_state::EndState,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
    stops::{Job, MAY_DIFFER, block_on},
};

/// Of the stops on Azure, so many are left out between two.
const AZURE_STEP: usize = 12;

#[test]
fn a_stop_at_any_call_of_the_main_job_ends_as_if_nothing_had_happened() {
    let (first, now) = block_on(async {
        let flow = Flow::new(Extent::Small).await;
        let now = flow.app().now();
        (flow.test.closed(), now)
    });
    let copied = async || {
        let folder = tempfile::tempdir().unwrap();
        disk::copy(first.path(), folder.path());
        let flow = Flow::taken_over(TestApp::on(folder, VirtualClock::at(now), 2, &[]), START);
        flow.vendor_has_devices(3);
        flow
    };
    Job { begin: copied, run: main_job }.stop_everywhere(1, one_finding_by_one_decision);
}

#[test]
fn a_stop_at_any_call_of_the_main_job_on_azure_ends_as_if_nothing_had_happened() {
    Job { begin: async || Flow::on_azure(Extent::Small).await, run: main_job }.stop_everywhere(AZURE_STEP, one_finding_by_one_decision);
}

fn one_finding_by_one_decision(end: &EndState) {
    assert_eq!((end.findings.len(), end.decisions.len()), (1, 1));
}

#[test]
fn the_main_job_ends_as_if_nothing_had_happened_when_cosmos_loses_answers_throttles_or_lags_behind() {
    let undisturbed = block_on(async {
        let mut flow = Flow::on_azure(Extent::Small).await;
        main_job(&mut flow).await;
        EndState::of(&flow).await
    });
    for (at, what) in [
        (At::Batch, CosmosFault::AnswerLost),
        (At::Batch, CosmosFault::Busy),
        (At::Read, CosmosFault::Behind),
        (At::Query, CosmosFault::Unavailable),
    ] {
        for stage in 0..3 {
            let end = block_on(async {
                let rule = fault_to_come(at, what, 2);
                let mut flow = Flow::on(TestApp::on_account(Emulator::new(), vec![rule.clone()]).await, Extent::Small).await;
                main_job_until(&mut flow, stage).await;
                rule.enable();
                main_job_from(&mut flow, stage).await;
                assert!(rule.hit_count() > 0, "{what:?} at {at:?} in stage {stage} was never met");
                EndState::of(&flow).await
            });
            assert_eq!(undisturbed.differences(&end, MAY_DIFFER), [""; 0], "{what:?} at {at:?} in stage {stage}");
        }
    }
    let end = block_on(async {
        let mut flow = Flow::on(TestApp::on_account(Emulator::with_lagging_region(), Vec::new()).await, Extent::Small).await;
        main_job(&mut flow).await;
        EndState::of(&flow).await
    });
    assert_eq!(undisturbed.differences(&end, MAY_DIFFER), [""; 0], "a region that lags behind");
}

/// The whole job, the same in every run: whoever gets no answer tries again.
async fn main_job(flow: &mut Flow) {
    main_job_from(flow, 0).await;
}

/// The steps before this one.
async fn main_job_until(flow: &mut Flow, stage: usize) {
    for step in 0..stage {
        main_job_step(flow, step).await;
    }
}

async fn main_job_from(flow: &mut Flow, stage: usize) {
    for step in stage..3 {
        main_job_step(flow, step).await;
    }
}

async fn main_job_step(flow: &mut Flow, step: usize) {
    match step {
        0 => flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await,
        1 => flow.answer_on_the_page(person(What::Approver), HARBOR, "3.4.1[d]", "approve").await,
        _ => flow.settle().await,
    }
}
