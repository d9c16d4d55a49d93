//! The main job, stopped at every port call in turn: it must end as if nothing had happened.
//!
//! The undisturbed run tells which port calls there are. Then, one run each:
//! - the process dies before a call. What it leaves behind is decided by the calls with an effect before that moment,
//!   so one run stands for all calls up to the next effect of the same invocation: every call is covered.
//! - the process dies after the last call of an invocation, before its answer.
//! - a call fails, or works and its answer is lost, and the process lives on with the error. Every call with an effect is
//!   taken both ways; of the reads, where both are the same, every ninth. `ASSAY_EVERY_CALL=1` takes every one, and dies
//!   before every one.
//!
//! The same on the Azure adapters (Cosmos DB, Storage and Key Vault in this process), of whose stops every twelfth is taken,
//! or every one with `ASSAY_EVERY_CALL=1`.
//!
//! After the stop the host does its part: a new process, redelivery after 30 seconds, the sweep every five minutes; the
//! vendor sends again what was not answered 200, the approver signs in, opens the page or sends its form again.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use assay::connectors::demo::{self, What};

use crate::support::{
    TestApp,
    clock::START,
    cosmos::{At, CosmosFault, Emulator, fault_to_come},
    end_state::EndState,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
};

/// Audit entries that may be more or fewer than in the undisturbed run, and why.
const MAY_DIFFER: &[(&str, &str)] = &[
    ("deployment webhook.delivery", "a vendor that got no answer sends again, and what became of that is written down too"),
    ("deployment session.signed-in", "a person whose sign-in got no answer signs in again"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stop {
    call: usize,
    fault: Fault,
    dies: bool,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.fault == Fault::BeforeEffect { "before" } else { "after" };
        write!(f, "call {} {when} its effect, the process {}", self.call, if self.dies { "dies" } else { "lives" })
    }
}

/// What the job runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Folder,
    Azure,
}

impl On {
    async fn flow(self) -> Flow {
        match self {
            Self::Folder => Flow::new(Extent::Small).await,
            Self::Azure => Flow::on_azure(Extent::Small).await,
        }
    }
}

/// Of the stops on Azure, so many are left out between two.
const AZURE_STEP: usize = 12;

struct Undisturbed {
    end: EndState,
    calls: Vec<&'static str>,
    /// Number of the first call of each invocation.
    invocations: Vec<usize>,
}

#[test]
fn a_stop_at_any_call_of_the_main_job_ends_as_if_nothing_had_happened() {
    stop_everywhere(On::Folder);
}

#[test]
fn a_stop_at_any_call_of_the_main_job_on_azure_ends_as_if_nothing_had_happened() {
    stop_everywhere(On::Azure);
}

#[test]
fn the_main_job_ends_as_if_nothing_had_happened_when_cosmos_loses_answers_throttles_or_lags_behind() {
    let undisturbed = block_on(undisturbed(On::Azure)).end;
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

fn stop_everywhere(on: On) {
    let undisturbed = block_on(undisturbed(on));
    assert_eq!((undisturbed.end.findings.len(), undisturbed.end.decisions.len()), (1, 1));
    assert_eq!(undisturbed.end.left_over, Vec::<String>::new());
    let mut plan = plan(&undisturbed);
    if on == On::Azure && !every_call() {
        plan = plan.into_iter().step_by(AZURE_STEP).collect();
    }
    println!("{} port calls, {} stops", undisturbed.calls.len(), plan.len());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(stop) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{stop} ({})", undisturbed.calls[stop.call]);
                    let end = std::panic::catch_unwind(|| block_on(disturbed(on, *stop)));
                    let difference =
                        end.map_or_else(|_| vec!["it did not end".into()], |end| undisturbed.end.differences(&end, MAY_DIFFER));
                    if !difference.is_empty() {
                        faults.lock().unwrap().insert(stop.call, format!("{name}:\n    {}", difference.join("\n    ")));
                    }
                }
            });
        }
    });
    let faults: Vec<String> = faults.into_inner().unwrap().into_values().collect();
    assert!(faults.is_empty(), "{} of {} stops end otherwise:\n{}", faults.len(), plan.len(), faults.join("\n"));
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

async fn undisturbed(on: On) -> Undisturbed {
    let mut flow = on.flow().await;
    flow.test.faults.mend();
    flow.starts.clear();
    main_job(&mut flow).await;
    let calls = flow.test.faults.calls();
    let invocations = flow.starts.clone();
    Undisturbed { end: EndState::of(&flow).await, calls, invocations }
}

async fn disturbed(on: On, stop: Stop) -> EndState {
    let mut flow = on.flow().await;
    flow.mortal = stop.dies;
    if stop.dies {
        flow.test.faults.stop_at(stop.call, stop.fault);
    } else {
        flow.test.faults.fail_at(stop.call, stop.fault);
    }
    main_job(&mut flow).await;
    if stop.dies {
        assert_eq!(flow.deaths, 1, "the call was never reached");
    } else {
        assert!(flow.test.faults.struck(), "the call was never reached");
        flow.test.faults.mend();
    }
    EndState::of(&flow).await
}

fn plan(undisturbed: &Undisturbed) -> Vec<Stop> {
    let every_call = every_call();
    let Undisturbed { calls, invocations, .. } = undisturbed;
    let mut plan = Vec::new();
    let mut reads = 0;
    for (call, name) in calls.iter().enumerate() {
        let begins = invocations.contains(&call);
        let ends = invocations.contains(&(call + 1)) || call + 1 == calls.len();
        if every_call || begins || call.checked_sub(1).is_some_and(|before| has_effect(calls[before])) {
            plan.push(Stop { call, fault: Fault::BeforeEffect, dies: true });
        }
        if ends {
            plan.push(Stop { call, fault: Fault::AnswerLost, dies: true });
        }
        if has_effect(name) {
            plan.push(Stop { call, fault: Fault::BeforeEffect, dies: false });
            plan.push(Stop { call, fault: Fault::AnswerLost, dies: false });
        } else {
            reads += 1;
            if every_call || reads % 9 == 0 {
                plan.push(Stop { call, fault: Fault::AnswerLost, dies: false });
            }
        }
    }
    plan
}

/// Vendors are only read.
fn has_effect(call: &str) -> bool {
    matches!(call, "documents.batch" | "queue.send" | "queue.receive" | "queue.delete" | "blobs.create" | "blobs.delete" | "vault.wrap")
}

#[expect(clippy::disallowed_methods, reason = "tests take their switches from the environment")]
fn every_call() -> bool {
    std::env::var("ASSAY_EVERY_CALL").is_ok()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
