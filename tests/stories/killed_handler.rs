//! The main job on the real parts: the packaged app folder, the stand-in host, and the handler as a process of its own that
//! is killed with SIGKILL. However often it dies, the job must end as it does when nothing happens.
//!
//! The host's clock is moved by hand, as fast as nothing is in flight; the handler's own clock is the machine's. What only
//! time can mend (the lease of an analysis that was killed lasts two minutes) is waited for on the same data folder in
//! this process, where time is free: that is what the next sweeps would do.

use std::{
    any::Any,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use assay::{
    assemble,
    connectors::demo::{self, What},
    gate::Verdict,
    host::{
        demo::serve_vendor,
        local::{
            Host, Options,
            child::HandlerLog,
            faults::{Fault, Faults},
            queues::Queues,
        },
        package,
    },
    platform::ports::{Clock, Queue as _},
    tenancy::ProposalId,
};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::{
    TestApp,
    clock::VirtualClock,
    end_state::EndState,
    flow::{Flow, HARBOR, QUEUES, asked_about, person},
    hosted::{Hosted, beat},
    process,
};

const OBJECTIVE: &str = "3.4.1[d]";

/// Runs of one disaster until all of it was met. A kill can take an analysis along that is in flight at that moment; its
/// lease then outlives the host, and what was to go wrong after it never comes. Such a run must end like every other, but
/// it has not shown all.
const TRIES: usize = 4;

/// Longer than a queue hides a message whose delivery the host did not see to its end (ten minutes), and than an analysis that
/// was killed holds its lease.
const LEASES_ARE_OVER: time::Duration = time::Duration::minutes(11);

/// Audit entries that may be more or fewer than in the undisturbed run, and why.
const MAY_DIFFER: &[(&str, &str)] = &[
    ("deployment session.signed-in", "a person whose sign-in got no answer signs in again"),
    ("deployment webhook.delivery", "a vendor that got no answer sends again, and what became of that is written down too"),
    ("Harbor analysis.recorded", "records that come in at once are analyzed together"),
    ("Ridge analysis.recorded", "records that come in at once are analyzed together"),
    ("Harbor evidence.observed", "a device that a webhook and the read both bring is observed once when the newer comes first"),
    ("Ridge evidence.observed", "a device that a webhook and the read both bring is observed once when the newer comes first"),
];

/// What goes wrong in one run.
#[derive(Clone, Copy)]
struct Disaster {
    name: &'static str,
    /// At the next deliveries to these functions. The third counted kill stops the app instance for good, so there are two.
    faults: &'static [(&'static str, &'static [Fault])],
    also: &'static [Also],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Also {
    /// The handler dies right after it answered the webhooks with 200.
    KillAfterWebhooks,
    /// A second handler is started beside the first, which lives on for a while.
    TwoHandlers,
    /// Batches are delivered last message first.
    Reordered,
    /// Envelopes have a Content-Length instead of chunks.
    ContentLength,
}

const NOTHING: Disaster = Disaster { name: "nothing", faults: &[], also: &[] };

const DISASTERS: &[Disaster] = &[
    Disaster {
        name: "killed in intake and execute",
        faults: &[("intake", &[Fault::KillMidFlight]), ("execute", &[Fault::KillMidFlight])],
        also: &[],
    },
    Disaster {
        name: "killed after the answers of intake and execute",
        faults: &[("intake", &[Fault::DropAnswer, Fault::KillAfterAnswer]), ("execute", &[Fault::KillAfterAnswer])],
        also: &[Also::ContentLength],
    },
    Disaster { name: "killed in analyze", faults: &[("analyze", &[Fault::KillMidFlight, Fault::KillMidFlight])], also: &[] },
    Disaster {
        name: "killed after the answers of analyze and notify",
        faults: &[("analyze", &[Fault::KillAfterAnswer]), ("notify", &[Fault::KillAfterAnswer])],
        also: &[],
    },
    Disaster {
        name: "killed in notify and in the sweep",
        faults: &[("notify", &[Fault::KillMidFlight]), ("sweep", &[Fault::KillMidFlight])],
        also: &[],
    },
    Disaster { name: "killed after the webhooks' 200", faults: &[], also: &[Also::KillAfterWebhooks, Also::Reordered] },
    Disaster {
        name: "answers lost, messages twice, late and out of order",
        faults: &[
            ("intake", &[Fault::DeliverLate(Duration::from_mins(7)), Fault::DeliverTwice, Fault::DropAnswer]),
            ("analyze", &[Fault::DropAnswer, Fault::DeliverTwice]),
            ("notify", &[Fault::DropAnswer, Fault::DeliverTwice]),
            ("execute", &[Fault::DropAnswer, Fault::DeliverTwice]),
            ("sweep", &[Fault::DropAnswer]),
        ],
        also: &[Also::Reordered],
    },
    Disaster { name: "two handlers at once", faults: &[], also: &[Also::TwoHandlers] },
];

impl Disaster {
    fn is(&self, also: Also) -> bool {
        self.also.contains(&also)
    }

    fn kills(&self) -> bool {
        let mut faults = self.faults.iter().flat_map(|(_, faults)| *faults);
        faults.any(|fault| matches!(fault, Fault::KillMidFlight | Fault::KillAfterAnswer))
            || self.is(Also::KillAfterWebhooks)
            || self.is(Also::TwoHandlers)
    }
}

#[test]
fn a_killed_handler_under_the_host_ends_as_if_nothing_had_happened() {
    let (clock, _) = assemble::clock_and_ids();
    // The vendors show the same in every run.
    let vendors_at = clock.now();
    let run = |disaster: &Disaster| -> Played {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(Run::new(*disaster, vendors_at).play())
    };
    let undisturbed = run(&NOTHING).end;
    assert_eq!((undisturbed.findings.len(), undisturbed.decisions.len()), (1, 1));
    assert_eq!((&undisturbed.left_over, &undisturbed.dead_letters), (&Vec::new(), &Vec::new()));
    let differences = |disaster: &Disaster| {
        for _ in 0..TRIES {
            let played = run(disaster);
            let difference = undisturbed.differences(&played.end, MAY_DIFFER);
            if !difference.is_empty() || played.all_went_wrong {
                return difference;
            }
        }
        vec![format!("what was to go wrong was never all met in {TRIES} runs")]
    };
    let next = Mutex::new(DISASTERS.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(disaster) = { next.lock().unwrap().next() } {
                    let difference = std::panic::catch_unwind(|| differences(disaster)).unwrap_or_else(|panic| vec![words_of(&*panic)]);
                    if !difference.is_empty() {
                        failures.lock().unwrap().push(format!("{}:\n    {}", disaster.name, difference.join("\n    ")));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How one run ended.
struct Played {
    end: EndState,
    all_went_wrong: bool,
}

/// What a thread died of, so that it stands in the test's own message.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
    format!("it did not end: {}", words.unwrap_or_default())
}

struct Run {
    disaster: Disaster,
    vendors_at: OffsetDateTime,
    clock: Arc<VirtualClock>,
    faults: Faults,
    folder: TempDir,
    hosted: Hosted,
}

impl Run {
    fn new(disaster: Disaster, vendors_at: OffsetDateTime) -> Self {
        let faults = Faults::default();
        for (function, planned) in disaster.faults {
            faults.plan(function, planned.iter().copied());
        }
        faults.set_reorder(disaster.is(Also::Reordered));
        faults.set_content_length(disaster.is(Also::ContentLength));
        let clock = Arc::new(VirtualClock::at(vendors_at));
        let folder = tempfile::tempdir().unwrap();
        let hosted = Hosted::new(disaster.name, clock.clone(), folder.path().join("handler.log"));
        Self { disaster, vendors_at, clock, faults, folder, hosted }
    }

    async fn play(self) -> Played {
        let host = self.start().await;
        self.hosted.until_well(&host).await;
        for delivery in demo::deliveries(self.vendors_at) {
            self.hosted.vendor_sends(&host, &delivery).await;
        }
        if self.disaster.is(Also::KillAfterWebhooks) {
            host.worker.kill(true);
        }
        if self.disaster.is(Also::TwoHandlers) {
            self.two_handlers(&host).await;
        }
        if self.hosted.passes(&host, async || self.asked().len() == 2).await {
            self.hosted.approve(&host, self.asked()[0]).await;
        }
        let all_went_wrong = self.hosted.passes(&host, async || self.faults.are_spent()).await;
        if all_went_wrong {
            self.handler_died_as_planned(&host).await;
        }
        host.stop().await;
        Played { end: self.the_rest_of_the_time().await, all_went_wrong }
    }

    /// The proposal, once for each approver who was mailed.
    fn asked(&self) -> Vec<ProposalId> {
        let approvers = demo::PEOPLE.iter().filter(|person| person.what == What::Approver);
        approvers.flat_map(|approver| asked_about(self.folder.path(), approver, HARBOR, OBJECTIVE)).collect()
    }

    /// Two kills at once cost one process.
    async fn handler_died_as_planned(&self, host: &Host) {
        let name = self.disaster.name;
        let life = host.worker.ready().await.unwrap();
        assert_eq!(life.generation > 1, self.disaster.kills(), "{name}: {life:?}");
    }

    async fn start(&self) -> Host {
        let app_folder = self.folder.path().join("app");
        package::stage(&app_folder, Path::new(env!("CARGO_BIN_EXE_assay"))).unwrap();
        let vendor = serve_vendor(Arc::new(VirtualClock::at(self.vendors_at))).await.unwrap();
        let settings = [("ASSAY_SIGN_IN", "demo".to_owned()), ("ASSAY_DEMO_VENDOR_URL", format!("http://{vendor}"))];
        let (_, ids) = assemble::clock_and_ids();
        let options = Options {
            data: self.folder.path().to_owned(),
            port: 0,
            app_folder,
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
            handler_log: HandlerLog::File(self.folder.path().join("handler.log")),
            clock: self.clock.clone(),
            ids,
            faults: self.faults.clone(),
            lock: None,
        };
        Host::start(options).await.unwrap()
    }

    /// The second one has to wait for the store, and says so; when the first is gone it goes on.
    async fn two_handlers(&self, host: &Host) {
        let noted = fs::read_to_string(self.folder.path().join("handler.pid")).unwrap();
        let first = noted.split(' ').next().unwrap();
        host.worker.start_second();
        let mut beat = beat();
        let mut words = String::new();
        while !words.contains("in use") {
            beat.tick().await;
            words = self.hosted.get(host, "/api/health").await.unwrap().text().await.unwrap();
        }
        assert!(process::signal(first, "-KILL"));
        self.hosted.until_well(host).await;
    }

    /// The data folder and what the host's queues still hold, taken over by this process once [`LEASES_ARE_OVER`].
    async fn the_rest_of_the_time(self) -> EndState {
        let (system, ids) = assemble::clock_and_ids();
        let later = system.now().max(self.clock.now()) + LEASES_ARE_OVER;
        let queues = Queues::open(&self.folder.path().join("queues.redb"), Arc::new(VirtualClock::at(later)), ids).unwrap();
        let test = TestApp::on(self.folder, VirtualClock::at(later), 7, &[]);
        for queue in QUEUES {
            for queue in [queue.to_owned(), format!("{queue}-poison")] {
                loop {
                    let left = queues.receive(&queue, 32, Duration::from_hours(1)).await.unwrap();
                    if left.is_empty() {
                        break;
                    }
                    for message in left {
                        test.queue.send(&queue, message.body, Duration::ZERO).await.unwrap();
                    }
                }
            }
        }
        let mut flow = Flow::taken_over(test, self.vendors_at);
        flow.settle().await;
        let mut end = EndState::of(&flow).await;
        if end.decisions.is_empty() {
            flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
            flow.settle().await;
            end = EndState::of(&flow).await;
        }
        end
    }
}
