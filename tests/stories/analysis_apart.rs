//! What goes wrong in the analysis of one record holds up no other, and no mark is lost.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use assay::{
    app::App,
    audit::dead_letter::{self, DeadLetter},
    evidence::{Evidence, Population},
    platform::ports::{
        BatchOutcome, ChangePage, ChangeToken, Container, Document, Documents, Op, Page, Partition, PortError, PortErrorKind, Query,
    },
    readiness::{self, Objective, objective::key_of},
    tenancy::{ClientPlace, DeploymentScope, Place, message},
};
use async_trait::async_trait;
use serde_json::json;
use time::Duration;
use tokio::sync::Barrier;

use super::analysis::{Client, INVENTORY};
use crate::support::faults::Fault;

const INCIDENTS: &str = "3.6.2[a]";

impl Client {
    /// The record lies damaged on the disk; gives what was there.
    pub(super) async fn damage(&self, place: ClientPlace, id: &str) -> serde_json::Value {
        self.overwrite(place, id, json!({ "schema": 1, "kind": "damaged", "sealed": "AAAA" })).await
    }

    async fn overwrite(&self, place: ClientPlace, id: &str, body: serde_json::Value) -> serde_json::Value {
        let partition = Partition::reserved_for_tenancy(Container::Clients, format!("{}/{}", self.engineer.tenant(), place.key()));
        let held = self.app().documents.read(&partition, id).await.unwrap().unwrap();
        let replace = Op::Replace { id: held.id, body, if_match: held.etag };
        assert!(matches!(self.app().documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
        held.body
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        dead_letter::all(self.app(), &DeploymentScope::of_function("portal", "c")).await.unwrap()
    }

    fn antivirus(&self) -> Evidence {
        Evidence { population: Population::Of { read: 40, total: 40 }, ..self.single("antivirus_state", "Endpoints", &[]) }
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_one_dead_letter_and_everything_else_is_analyzed() {
    for topic_is_damaged in [true, false] {
        let mut client = Client::new().await;
        client.analyzes(client.single("psa_ticket_incident", "T1", &[])).await;
        let ticket = client.single("psa_ticket_incident", "T2", &[]);
        let about_ticket = client.learns(ticket.clone()).await;
        let (place, id) = if topic_is_damaged {
            (ClientPlace::Assessment, "topic:psa_ticket_incident".to_owned())
        } else {
            (Evidence::place(&ticket.source_key), format!("evidence:{}", ticket.source_key))
        };
        let whole = client.damage(place, &id).await;

        // The ticket's run dies with the lease; the inventory's takes over and finds both.
        client.test.faults.stop_at(4, Fault::BeforeEffect);
        readiness::analyze(client.app(), &about_ticket).await.unwrap_err();
        client.test.faults.mend();
        client.test.clock.advance(Duration::minutes(3));
        let about_inventory = client.learns(client.inventory(43, 43)).await;
        readiness::analyze(client.app(), &about_inventory).await.unwrap();
        assert!(client.open_about(INVENTORY).await.is_some(), "the inventory was analyzed");
        let letters = client.letters().await;
        assert_eq!(letters.len(), 1);
        assert!(letters[0].queue == "analyze" && letters[0].reason.contains(&format!("record {id}")), "{}", letters[0].reason);

        // Nothing is left for the sweep to try again and again; what comes again is the same letter.
        client.test.clock.advance(Duration::minutes(3));
        assert!(!readiness::leftovers(client.app(), &client.as_engineer()).await.unwrap());
        readiness::analyze(client.app(), &about_ticket).await.unwrap();
        assert_eq!(client.letters().await, letters);

        // Restored from a backup, and sent again by a person.
        client.overwrite(place, &id, whole).await;
        let operator = DeploymentScope::of_function("portal", "c");
        assert!(dead_letter::replay(client.app(), &operator, &letters[0].id, "Olivia Hart").await.unwrap());
        let sent = client.test.queue.bodies("analyze").pop().unwrap();
        readiness::analyze(client.app(), &message::open(client.app(), "analyze", &sent).await.unwrap()).await.unwrap();
        let incidents: Objective = client.read(&key_of(INCIDENTS)).await.unwrap();
        assert!(incidents.suggestion.unwrap().citations.iter().any(|cited| cited.title == "T2"));
    }
}

#[tokio::test]
async fn of_two_copies_of_a_message_the_one_that_ends_first_does_not_let_go_of_what_the_other_took() {
    let mut client = Client::new().await;
    let first = client.learns(client.inventory(43, 43)).await;
    let second = client.learns(client.antivirus()).await;
    let (here, go_on, looks) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));

    // The first copy has done its work, and is about to look whether anything is left.
    let waits = (here.clone(), go_on.clone());
    let slow = before_each_read(client.app(), move |id| {
        let (here, go_on) = waits.clone();
        let is_last_look = id == "lease:analysis" && looks.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            if is_last_look {
                here.wait().await;
                go_on.wait().await;
            }
            Ok(())
        }
    });
    // The second one dies before its first record.
    let dying = before_each_read(client.app(), |id| {
        let dies = id.starts_with("evidence:");
        async move { if dies { Err(PortError::new("evidence", PortErrorKind::Unavailable)) } else { Ok(()) } }
    });
    let meanwhile = async {
        here.wait().await;
        readiness::analyze(client.app(), &second).await.unwrap();
        assert!(readiness::analyze(&dying, &first).await.unwrap_err().is_transient(), "it took the mark, and died");
        go_on.wait().await;
    };
    let (ended, ()) = tokio::join!(readiness::analyze(&slow, &first), meanwhile);
    ended.unwrap();
    assert!(client.open_about("3.14.2[b]").await.is_none(), "nobody came to it yet");

    readiness::analyze(client.app(), &first).await.unwrap();
    assert!(client.open_about(INVENTORY).await.is_some() && client.open_about("3.14.2[b]").await.is_some());
    client.test.clock.advance(Duration::minutes(3));
    assert!(!readiness::leftovers(client.app(), &client.as_engineer()).await.unwrap());
}

/// The same App, with something that happens before a document is read.
fn before_each_read<F, R>(app: &App, before: F) -> App
where
    F: Fn(&str) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), PortError>> + Send + 'static,
{
    App { documents: Arc::new(Reads { port: app.documents.clone(), before }), ..app.clone() }
}

struct Reads<F> {
    port: Arc<dyn Documents>,
    before: F,
}

#[async_trait]
impl<F, R> Documents for Reads<F>
where
    F: Fn(&str) -> R + Send + Sync,
    R: Future<Output = Result<(), PortError>> + Send,
{
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        (self.before)(id).await?;
        self.port.read(partition, id).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        self.port.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        self.port.query(partition, query).await
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.port.changes(partition, since, limit).await
    }
}
