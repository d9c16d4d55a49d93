//! From a queue to its function: receive, invoke, then delete, give back or poison.
//!
//! azure-sdk-for-net, `QueueListener.cs` and `QueueProcessor.cs`: at most batchSize + newBatchThreshold in flight, a lease
//! of ten minutes renewed at half, a failed message visible again after visibilityTimeout, poison once it was delivered
//! maxDequeueCount times. Delivery is at least once; nothing here tries to make it more than that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    appfolder::{DataType, Function, Trigger},
    envelope,
    evaluate::Effects,
    faults::Fault,
    hostjson::QueueSettings,
    invoke::{InvocationError, Invoker},
    queues::{Held, Leased, QueueError, Queues, poison_queue_of},
};

/// How long a message is hidden while it is worked on.
pub const LEASE: Duration = Duration::from_mins(10);
/// How often an idle pump looks: well under maxPollingInterval, and a read costs no fsync.
const LOOK: Duration = Duration::from_millis(250);

pub struct Pump {
    function: Function,
    binding: String,
    queue: String,
    data_type: DataType,
    settings: QueueSettings,
    queues: Queues,
    invoker: Arc<Invoker>,
    in_flight: Mutex<HashMap<Uuid, Lease>>,
    finished: Notify,
}

#[derive(Clone, Copy)]
struct Lease {
    pop_receipt: Uuid,
    since: OffsetDateTime,
}

impl Pump {
    /// `None` when the function is not triggered by a queue.
    pub fn of(function: &Function, settings: &QueueSettings, queues: &Queues, invoker: &Arc<Invoker>) -> Option<Arc<Self>> {
        let Trigger::Queue { binding, queue, data_type } = &function.trigger else { return None };
        Some(Arc::new(Self {
            function: function.clone(),
            binding: binding.clone(),
            queue: queue.clone(),
            data_type: *data_type,
            settings: settings.clone(),
            queues: queues.clone(),
            invoker: Arc::clone(invoker),
            in_flight: Mutex::default(),
            finished: Notify::new(),
        }))
    }

    /// Delivers what is due now, up to the limit, and waits for the outcome; how many were delivered.
    pub async fn tick(&self) -> Result<usize, QueueError> {
        let batch = self.receive().await?;
        let count = batch.len();
        futures_util::future::join_all(batch.into_iter().map(|message| self.deliver(message))).await;
        Ok(count)
    }

    /// Delivers for ever, until the app instance is stopped.
    pub async fn run(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.invoker.worker.ready().await.is_ok() {
            match self.receive().await {
                Ok(batch) if !batch.is_empty() => {
                    for message in batch {
                        let pump = Arc::clone(&self);
                        tokio::spawn(async move { pump.deliver(message).await });
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(queue = self.queue, error = &error as &dyn std::error::Error, "cannot receive"),
            }
            tokio::select! {
                _ = look.tick() => {}
                () = self.queues.next_send() => {}
                () = self.finished.notified() => {}
            }
        }
    }

    /// Renews every lease that is half over. Called often; time is the Clock's.
    pub async fn renew(&self) {
        let now = self.invoker.clock.now();
        let half_over: Vec<(Uuid, Lease)> =
            self.leases().iter().filter(|(_, lease)| now - lease.since >= LEASE / 2).map(|(id, lease)| (*id, *lease)).collect();
        for (id, lease) in half_over {
            match self.queues.hide(&self.queue, id, lease.pop_receipt, LEASE).await {
                Ok(Held::Done(pop_receipt)) => {
                    // Only if it is still in flight: it may have ended meanwhile, and its message be gone.
                    if let Some(kept) = self.leases().get_mut(&id) {
                        *kept = Lease { pop_receipt, since: now };
                    }
                }
                Ok(Held::Gone | Held::Lost) => tracing::warn!(queue = self.queue, "lease lost: the message will be delivered again"),
                Err(error) => tracing::error!(queue = self.queue, error = &error as &dyn std::error::Error, "cannot renew a lease"),
            }
        }
    }

    /// Makes what is in flight visible again at once, for a clean end; what the handler still does with it loses the lease.
    pub async fn give_back(&self) {
        let held: Vec<(Uuid, Lease)> = self.leases().drain().collect();
        for (id, lease) in held {
            if let Err(error) = self.queues.hide(&self.queue, id, lease.pop_receipt, Duration::ZERO).await {
                tracing::warn!(queue = self.queue, error = &error as &dyn std::error::Error, "a message waits for its lease");
            }
        }
    }

    /// A new batch only when few are left in flight, as the real listener does.
    async fn receive(&self) -> Result<Vec<Leased>, QueueError> {
        if self.leases().len() > self.settings.new_batch_threshold || !self.queues.has_due(&self.queue)? {
            return Ok(Vec::new());
        }
        let mut batch = self.queues.receive(&self.queue, self.settings.batch_size, LEASE).await?;
        if self.invoker.faults.reorders() {
            batch.reverse();
        }
        let since = self.invoker.clock.now();
        self.leases().extend(batch.iter().map(|message| (message.id, Lease { pop_receipt: message.pop_receipt, since })));
        Ok(batch)
    }

    pub fn in_flight(&self) -> usize {
        self.leases().len()
    }

    async fn deliver(&self, message: Leased) {
        let end = self.outcome(&message).await;
        let lease = self.leases().remove(&message.id);
        let pop_receipt = lease.map_or(message.pop_receipt, |lease| lease.pop_receipt);
        let done = match end {
            End::Delete => self.queues.delete(&self.queue, message.id, pop_receipt).await,
            End::Again(after) => self.queues.hide(&self.queue, message.id, pop_receipt, after).await,
            End::Poison if poison_queue_of(&self.queue).is_some() => self.queues.poison(&self.queue, message.id, pop_receipt).await,
            // No such poison queue: it stays hidden for the rest of its lease and comes back, for ever.
            End::Poison => Ok(Held::Done(pop_receipt)),
        };
        match done {
            Ok(Held::Done(_)) => {}
            Ok(Held::Gone | Held::Lost) => tracing::warn!(queue = self.queue, "lease lost before the message was settled"),
            Err(error) => tracing::error!(queue = self.queue, error = &error as &dyn std::error::Error, "cannot settle a message"),
        }
        self.finished.notify_one();
    }

    async fn outcome(&self, message: &Leased) -> End {
        let fault = self.invoker.faults.take(&self.function.name);
        if let Some(Fault::DeliverLate(by)) = fault {
            return End::Again(by);
        }
        if message.dequeue_count > self.settings.max_dequeue_count {
            return End::Poison;
        }
        let Some(envelope) = envelope::of_queue_message(&self.binding, self.data_type, message, &self.invoker.sys(&self.function)) else {
            tracing::error!(queue = self.queue, "a message that is not text goes to poison; the handler never sees it");
            return End::Poison;
        };
        let mut result = self.invoker.invoke(&self.function, &envelope, fault).await;
        if fault == Some(Fault::DeliverTwice) && result.is_ok() {
            result = self.invoker.invoke(&self.function, &envelope, None).await;
        }
        match result {
            Ok(effects) => match self.write(effects).await {
                Ok(()) => End::Delete,
                Err(error) => {
                    tracing::error!(
                        function = self.function.name,
                        error = &error as &dyn std::error::Error,
                        "outputs could not be written"
                    );
                    self.failed(message)
                }
            },
            // The instance is going down: the message stays leased and comes back to the next one.
            Err(InvocationError::Stopped(_)) => End::Again(LEASE),
            Err(error) => {
                tracing::warn!(
                    function = self.function.name,
                    attempt = message.dequeue_count,
                    error = &error as &dyn std::error::Error,
                    "invocation failed"
                );
                self.failed(message)
            }
        }
    }

    fn failed(&self, message: &Leased) -> End {
        if message.dequeue_count >= self.settings.max_dequeue_count { End::Poison } else { End::Again(self.settings.visibility_timeout) }
    }

    /// After the handler has answered, without a transaction, as in the real host.
    async fn write(&self, effects: Effects) -> Result<(), QueueError> {
        for (queue, body) in effects.messages {
            self.queues.send(&queue, body, Duration::ZERO).await?;
        }
        Ok(())
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Lease>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens to a message after its delivery.
enum End {
    Delete,
    Again(Duration),
    Poison,
}
