//! A story stopped at every port call in turn: each time it must end as if nothing had happened.
//!
//! The undisturbed run tells which port calls there are. Then, one run each:
//! - the process dies before a call. What it leaves behind is decided by the calls with an effect before that moment,
//!   so one run stands for all calls up to the next effect of the same invocation: every call is covered.
//! - the process dies after the last call of an invocation, before its answer.
//! - a call fails, or works and its answer is lost, and the process lives on with the error. Every call with an effect is
//!   taken both ways; of the reads, where both are the same, every ninth. `ASSAY_EVERY_CALL=1` takes every one, and dies
//!   before every one.
//!
//! After the stop the host does its part: a new process, redelivery after 30 seconds, the sweep every five minutes; whoever
//! got no answer asks again.

use std::{
    collections::BTreeMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{end_state::EndState, faults::Fault, flow::Flow};

/// Audit entries that may be more or fewer than in the undisturbed run, and why.
pub const MAY_DIFFER: &[(&str, &str)] = &[
    ("deployment webhook.delivery", "a vendor that got no answer sends again, and what became of that is written down too"),
    ("deployment key.unavailable", "a vault that did not answer is written down"),
    ("deployment session.refused", "a sign-in for which something did not answer is written down as well"),
    ("deployment session.signed-in", "a person whose sign-in got no answer signs in again"),
];

/// What happens, on a world that is made anew for each run.
pub struct Job<B, R> {
    /// What was before; no fault strikes it.
    pub begin: B,
    pub run: R,
}

impl<B: AsyncFn() -> Flow + Sync, R: AsyncFn(&mut Flow) + Sync> Job<B, R> {
    /// Of the stops, so many are left out between two, unless `ASSAY_EVERY_CALL=1` asks for all.
    pub fn stop_everywhere(&self, step: usize, must_end_in: impl Fn(&EndState)) {
        let undisturbed = block_on(self.undisturbed());
        must_end_in(&undisturbed.end);
        assert_eq!(undisturbed.end.left_over, Vec::<String>::new());
        let mut plan = plan(&undisturbed);
        if !every_call() {
            plan = plan.into_iter().step_by(step).collect();
        }
        println!("{} port calls, {} stops", undisturbed.calls.len(), plan.len());
        let (next, faults) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    while let Some(stop) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let name = format!("{stop} ({})", undisturbed.calls[stop.call]);
                        let end = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(self.disturbed(*stop))));
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

    async fn undisturbed(&self) -> Undisturbed {
        let mut flow = (self.begin)().await;
        flow.test.faults.mend();
        flow.starts.clear();
        (self.run)(&mut flow).await;
        let calls = flow.test.faults.calls();
        let invocations = flow.starts.clone();
        Undisturbed { end: EndState::of(&flow).await, calls, invocations }
    }

    async fn disturbed(&self, stop: Stop) -> EndState {
        let mut flow = (self.begin)().await;
        flow.mortal = stop.dies;
        if stop.dies {
            flow.test.faults.stop_at(stop.call, stop.fault);
        } else {
            flow.test.faults.fail_at(stop.call, stop.fault);
        }
        (self.run)(&mut flow).await;
        if stop.dies {
            assert_eq!(flow.deaths, 1, "the call was never reached");
        } else {
            assert!(flow.test.faults.struck(), "the call was never reached");
            flow.test.faults.mend();
        }
        EndState::of(&flow).await
    }
}

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

struct Undisturbed {
    end: EndState,
    calls: Vec<&'static str>,
    /// Number of the first call of each invocation.
    invocations: Vec<usize>,
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

/// Everything but what only reads, so that a port's new call counts until somebody says otherwise. Vendors are only read, and
/// a signature or an unwrapped key leaves nothing behind.
fn has_effect(call: &str) -> bool {
    let reads = matches!(
        call,
        "documents.read" | "documents.query" | "documents.changes" | "blobs.read" | "blobs.read_held" | "blobs.list" | "blobs.retention"
    );
    let leaves_nothing = matches!(
        call,
        "vault.unwrap"
            | "vault.sign"
            | "vault.public_keys"
            | "vault.secret"
            | "vault.newest_version"
            | "vault.recoverable_days"
            | "http.send"
    );
    !(reads || leaves_nothing)
}

#[expect(clippy::disallowed_methods, reason = "tests take their switches from the environment")]
fn every_call() -> bool {
    std::env::var("ASSAY_EVERY_CALL").is_ok()
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
