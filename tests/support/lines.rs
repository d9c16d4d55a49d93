//! What a test's thread logs, as the handler writes it: one JSON object a line.

use std::{
    io,
    sync::{Arc, Mutex},
};

use assay::host::log::json_lines;
use serde_json::Value;
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

/// While it is there, the thread's lines are kept.
pub struct Listening {
    _guard: DefaultGuard,
    /// With one dispatcher alone, what a line's first thread listens to decides for all of them, and that thread may be
    /// another test's.
    _second: Dispatch,
}

impl Lines {
    /// Those of this level and above, from here on.
    pub fn listen(level: &str) -> (Self, Listening) {
        let lines = Self::default();
        let to = lines.clone();
        let second = Dispatch::new(tracing_subscriber::registry());
        let guard = tracing::subscriber::set_default(json_lines(EnvFilter::new(level), move || to.clone()));
        (lines, Listening { _guard: guard, _second: second })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Those with this message, the oldest first.
    pub fn of(&self, message: &str) -> Vec<Value> {
        let lines = self.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        lines.into_iter().filter(|line| line["message"] == message).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
