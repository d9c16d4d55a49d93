//! Queues: at least once, hidden while leased, deleted by the receipt of the latest lease.

use std::time::Duration;

use assay::platform::ports::{MAX_MESSAGE_BYTES, PortErrorKind};
use bytes::Bytes;

use super::Ports;

pub async fn contract_queue_delivers_bytes_as_they_were_sent(ports: &Ports) {
    let sent = Bytes::from((0..=255).collect::<Vec<u8>>());
    ports.queue.send("intake", sent.clone(), Duration::ZERO).await.unwrap();
    assert!(ports.queue.receive("analyze", 1, ports.lease).await.unwrap().is_empty(), "queues are apart");
    let received = ports.queue.receive("intake", 1, ports.lease).await.unwrap();
    assert_eq!((&received[0].body, received[0].dequeue_count), (&sent, 1));
}

pub async fn contract_queue_hides_a_message_for_its_delay_and_its_lease(ports: &Ports) {
    ports.queue.send("intake", "late".into(), ports.lease).await.unwrap();
    assert!(ports.queue.receive("intake", 1, ports.lease).await.unwrap().is_empty());
    (ports.pass_time)(ports.lease);
    assert_eq!(ports.queue.receive("intake", 1, ports.lease).await.unwrap()[0].dequeue_count, 1);
    assert!(ports.queue.receive("intake", 1, ports.lease).await.unwrap().is_empty());
    (ports.pass_time)(ports.lease);
    assert_eq!(ports.queue.receive("intake", 1, ports.lease).await.unwrap()[0].dequeue_count, 2);
}

pub async fn contract_queue_deletes_by_the_latest_receipt_only(ports: &Ports) {
    ports.queue.send("intake", "twice".into(), Duration::ZERO).await.unwrap();
    let first = ports.queue.receive("intake", 1, ports.lease).await.unwrap().remove(0);
    (ports.pass_time)(ports.lease);
    let second = ports.queue.receive("intake", 1, ports.lease).await.unwrap().remove(0);
    assert_eq!(first.id, second.id);
    assert_eq!(ports.queue.delete("intake", &first).await.unwrap_err().kind, PortErrorKind::Invalid);
    ports.queue.delete("intake", &second).await.unwrap();
    ports.queue.delete("intake", &second).await.unwrap();
    (ports.pass_time)(ports.lease);
    assert!(ports.queue.receive("intake", 1, ports.lease).await.unwrap().is_empty());
}

pub async fn contract_queue_gives_at_most_what_is_asked_for(ports: &Ports) {
    for n in 0..5u8 {
        ports.queue.send("intake", vec![n].into(), Duration::ZERO).await.unwrap();
    }
    assert_eq!(ports.queue.receive("intake", 3, ports.lease).await.unwrap().len(), 3);
    assert_eq!(ports.queue.receive("intake", 3, ports.lease).await.unwrap().len(), 2);
}

pub async fn contract_queue_refuses_a_message_that_is_too_large(ports: &Ports) {
    ports.queue.send("intake", vec![0; MAX_MESSAGE_BYTES].into(), Duration::ZERO).await.unwrap();
    let error = ports.queue.send("intake", vec![0; MAX_MESSAGE_BYTES + 1].into(), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::TooLarge);
}
