//! Timer functions: when they are due, what was missed, and never two runs of one at once.
//!
//! azure-webjobs-sdk-extensions, `TimerListener.cs`: the last run is kept on disk; a run that was missed while nothing
//! ran happens once at start, marked past due; runs missed meanwhile collapse into the next. A failed run waits for the
//! next time. Schedules below a minute are not monitored, so they are never past due.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use super::schedule::Schedule;
use super::{
    appfolder::{Function, Trigger},
    envelope::{self, ScheduleStatus},
    invoke::Invoker,
};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(250);

pub struct Timer {
    function: Function,
    binding: String,
    schedule: Schedule,
    run_on_startup: bool,
    /// Where the last run is kept; `None` when the schedule is not monitored.
    file: Option<PathBuf>,
    invoker: Arc<Invoker>,
    /// `None` before the first look.
    next: Option<OffsetDateTime>,
}

impl Timer {
    /// `None` when the function is not a timer. `folder` keeps one small file per timer.
    pub fn of(function: &Function, folder: &std::path::Path, invoker: &Arc<Invoker>) -> Option<Self> {
        let Trigger::Timer { binding, schedule, run_on_startup, use_monitor } = &function.trigger else { return None };
        Some(Self {
            function: function.clone(),
            binding: binding.clone(),
            schedule: schedule.clone(),
            run_on_startup: *run_on_startup,
            file: use_monitor.then(|| folder.join(format!("{}.json", function.name))),
            invoker: Arc::clone(invoker),
            next: None,
        })
    }

    /// Runs the function if it is due and waits for it; says whether it ran.
    pub async fn tick(&mut self) -> bool {
        let now = self.invoker.clock.now();
        match self.next {
            None => self.start(now).await,
            Some(next) if next <= now => {
                self.run_now(self.kept().map(ScheduleStatus::from), false, now).await;
                true
            }
            Some(_) => false,
        }
    }

    /// Until the app instance is stopped.
    pub async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.invoker.worker.ready().await.is_ok() {
            look.tick().await;
            self.tick().await;
        }
    }

    async fn start(&mut self, now: OffsetDateTime) -> bool {
        self.next = self.schedule.next_after(now);
        let kept = self.kept();
        let missed = kept.as_ref().is_some_and(|kept| {
            let expected = self.schedule.next_after(kept.last.unwrap_or(kept.last_updated));
            expected.is_some_and(|expected| expected <= now)
        });
        if missed {
            self.run_now(kept.map(ScheduleStatus::from), true, now).await;
            return true;
        }
        if kept.is_none() {
            self.keep(&Kept { last: None, next: self.next, last_updated: now });
        }
        if self.run_on_startup {
            let never = ScheduleStatus { last: None, next: None, last_updated: None };
            self.run_now(Some(kept.map_or(never, ScheduleStatus::from)), false, now).await;
        }
        self.run_on_startup
    }

    async fn run_now(&mut self, status: Option<ScheduleStatus>, past_due: bool, now: OffsetDateTime) {
        let status = status.filter(|_| self.file.is_some());
        let envelope = envelope::of_timer(&self.binding, status.as_ref(), past_due, &self.invoker.sys(&self.function));
        let fault = self.invoker.faults.take(&self.function.name);
        if let Err(error) = self.invoker.invoke(&self.function, &envelope, fault).await {
            tracing::warn!(
                function = self.function.name,
                error = &error as &dyn std::error::Error,
                "timer run failed; it runs again at its next time"
            );
        }
        self.next = self.schedule.next_after(self.invoker.clock.now().max(now));
        self.keep(&Kept { last: Some(now), next: self.next, last_updated: now });
    }

    fn kept(&self) -> Option<Kept> {
        let text = fs::read_to_string(self.file.as_ref()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Losing it costs a past-due run, nothing else, so a failure is only said.
    fn keep(&self, kept: &Kept) {
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec(kept).map_err(std::io::Error::from).and_then(|bytes| {
            let new = file.with_extension("new");
            fs::write(&new, bytes)?;
            fs::rename(new, file)
        });
        if let Err(error) = written {
            tracing::warn!(function = self.function.name, %error, "the time of the run could not be kept");
        }
    }
}

/// What the real host keeps in a blob.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(with = "time::serde::rfc3339::option")]
    last: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    next: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    last_updated: OffsetDateTime,
}

impl From<Kept> for ScheduleStatus {
    fn from(kept: Kept) -> Self {
        Self { last: kept.last, next: kept.next, last_updated: Some(kept.last_updated) }
    }
}
