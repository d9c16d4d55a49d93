//! The handler process as the rest of the stand-in sees it: whether it is ready, at which port, and since which life.
//!
//! `child` owns the real process and reports here. An in-process handler of a test is a [`Worker::at`] a port: a kill
//! then ends its generation, so that whatever was in flight fails as it would with a process.

use tokio::sync::{mpsc, watch};

/// Cheap to clone. When the last clone is gone the process is killed.
#[derive(Clone)]
pub struct Worker {
    state: watch::Receiver<State>,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub phase: Phase,
    /// Processes of earlier generations are dead.
    pub oldest_alive: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Ready(Life),
    /// It ended with code 0 after it was ready: never started again, every later invocation fails to connect.
    Gone(Life),
    /// The app instance is stopped, and why.
    Stopped(String),
}

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub port: u16,
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGKILL and restart; `counted` as an error or not (a functionTimeout is not: measured).
    Kill { counted: bool },
    /// Start another and leave this one running.
    Second,
    /// SIGKILL, and no restart.
    Stop(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host is stopped: {0}")]
pub struct Stopped(pub String);

impl Worker {
    pub fn new(state: watch::Receiver<State>, orders: mpsc::UnboundedSender<Order>) -> Self {
        Self { state, orders }
    }

    /// A handler that somebody else runs at `port`.
    pub fn at(port: u16) -> Self {
        let ready = move |generation, oldest_alive| State { phase: Phase::Ready(Life { port, generation }), oldest_alive };
        let (sender, state) = watch::channel(ready(1, 1));
        let (orders, mut received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (mut generation, mut oldest) = (1, 1);
            while let Some(order) = received.recv().await {
                generation += 1;
                match order {
                    Order::Kill { .. } => oldest = generation,
                    Order::Second => {}
                    Order::Stop(why) => {
                        sender.send_replace(State { phase: Phase::Stopped(why), oldest_alive: generation });
                        return;
                    }
                }
                sender.send_replace(ready(generation, oldest));
            }
        });
        Self { state, orders }
    }

    /// Waits until the process is ready (or known to be gone), as invocations do in the real host.
    pub async fn ready(&self) -> Result<Life, Stopped> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| state.phase != Phase::Starting).await.map(|state| state.phase.clone());
        match settled {
            Ok(Phase::Ready(life) | Phase::Gone(life)) => Ok(life),
            Ok(Phase::Stopped(why)) => Err(Stopped(why)),
            Ok(Phase::Starting) | Err(_) => Err(Stopped("it has ended".into())),
        }
    }

    /// Resolves when the process of that generation is dead.
    pub async fn death_of(&self, generation: u64) {
        let mut state = self.state.clone();
        // An error means that nobody supervises any more, which is as dead.
        let _ = state.wait_for(|state| state.oldest_alive > generation).await;
    }

    /// Resolves with the reason when the app instance is stopped.
    pub async fn stopped(&self) -> String {
        let mut state = self.state.clone();
        let last = state.wait_for(|state| matches!(state.phase, Phase::Stopped(_))).await.map(|state| state.phase.clone());
        if let Ok(Phase::Stopped(why)) = last { why } else { "it has ended".into() }
    }

    pub fn phase(&self) -> Phase {
        self.state.borrow().phase.clone()
    }

    pub fn kill(&self, counted: bool) {
        self.order(Order::Kill { counted });
    }

    pub fn start_second(&self) {
        self.order(Order::Second);
    }

    pub fn stop(&self, why: &str) {
        self.order(Order::Stop(why.to_owned()));
    }

    fn order(&self, order: Order) {
        // Nobody listens any more: then there is nothing left to kill.
        let _ = self.orders.send(order);
    }
}
