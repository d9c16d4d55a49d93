//! What only Azure Storage does: lost answers, throttling, refusals, and resources that nobody made.
//!
//! Time stands still unless all wait for it, so the SDK's waits and our deadline take none.

use std::{error::Error as _, sync::Arc, time::Duration};

use assay::platform::{
    cloud::CloudProfile,
    ports::{BlobContainer, Blobs as _, Clock as _, Continuation, Creation, PortError, PortErrorKind, Queue as _, Received, Retention},
};
use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use crate::support::{
    clock::VirtualClock,
    cosmos::azure_settings,
    storage_account::{FakeStorage, Fault, Tokens},
};

const RAW: BlobContainer = BlobContainer::Raw;
const LEASE: Duration = Duration::from_secs(30);

fn account() -> (Arc<FakeStorage>, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::default());
    (FakeStorage::new(clock.clone()), clock)
}

fn refused(status: u16, code: &'static str, retry_after: Option<&'static str>) -> Fault {
    Fault::Refused { status, code, retry_after }
}

/// An error and all that stands behind it, as the log has them.
pub fn words(error: &PortError) -> String {
    let (mut words, mut source) = (vec![error.to_string()], error.source());
    while let Some(cause) = source {
        words.push(cause.to_string());
        source = cause.source();
    }
    words.join(": ")
}

fn bodies(messages: &[Received]) -> Vec<&[u8]> {
    messages.iter().map(|message| &message.body[..]).collect()
}

#[tokio::test(start_paused = true)]
async fn what_keeps_the_copies_from_being_changed_is_told_as_far_as_the_service_tells_it() {
    let (account, clock) = account();
    let (_, blobs) = account.open();
    let anchors = BlobContainer::Anchors;
    let retention = async || blobs.retention(anchors, "of/1").await.unwrap();
    assert_eq!(retention().await, Retention::None, "without a blob, too");
    let _ = blobs.create(anchors, "of/1", "note".into()).await.unwrap();
    assert!(retention().await.is_open() && retention().await.words(clock.now()).starts_with("UNLOCKED"));
    // A policy of the whole container says that it is there, and nothing of its lock.
    account.hold("anchors", true, vec![]);
    assert!(retention().await == Retention::Policy && retention().await.is_open());
    let held =
        |mode| vec![("x-ms-immutability-policy-mode", mode), ("x-ms-immutability-policy-until-date", "Fri, 01 Mar 2030 08:00:00 GMT")];
    account.hold("anchors", true, held("unlocked"));
    assert!(matches!(retention().await, Retention::Unlocked { until: Some(_) }) && retention().await.is_open());
    account.hold("anchors", true, held("locked"));
    let locked = retention().await;
    assert!(!locked.is_open() && locked.words(time::macros::datetime!(2030-02-19 08:00 UTC)) == "locked, 10 days", "{locked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_is_lost_is_there_at_least_once() {
    let (account, _) = account();
    let (queue, _) = account.open();
    account.next([Fault::AnswerLost]);
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    // Sent again by the SDK; the consumer knows the second by the id in the payload.
    assert_eq!(bodies(&queue.receive("intake", 32, LEASE).await.unwrap()), [b"m", b"m"]);

    account.outage(Some(Fault::AnswerLost));
    let error = queue.send("intake", "n".into(), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable, "the sender does not know, so it says that it did not work");
    assert!(account.messages("intake") > 2, "and yet it was sent");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_receiver_hears_nothing_comes_back_after_its_lease() {
    let (account, clock) = account();
    let (queue, _) = account.open();
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    account.next([Fault::AnswerLost]);
    assert!(queue.receive("intake", 1, LEASE).await.unwrap().is_empty());
    clock.advance(LEASE.try_into().unwrap());
    let again = queue.receive("intake", 1, LEASE).await.unwrap();
    assert_eq!((bodies(&again), again[0].dequeue_count), (vec![&b"m"[..]], 2));

    account.next([Fault::AnswerLost]);
    queue.delete("intake", &again[0]).await.unwrap();
    assert_eq!(account.messages("intake"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blob_whose_answer_is_lost_is_there_once_and_said_to_exist() {
    let (account, _) = account();
    let (_, blobs) = account.open();
    account.next([Fault::AnswerLost]);
    assert_eq!(blobs.create(RAW, "a", "first".into()).await.unwrap(), Creation::Existed);
    account.next([Fault::AnswerLost]);
    assert_eq!(blobs.create(RAW, "a", "second".into()).await.unwrap(), Creation::Existed);
    assert_eq!(blobs.read(RAW, "a").await.unwrap().unwrap(), "first");
    account.next([Fault::AnswerLost]);
    blobs.delete(RAW, "a").await.unwrap();
    assert_eq!(blobs.read(RAW, "a").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_is_seen_whole_or_not_at_all() {
    let (account, _) = account();
    let (_, blobs) = account.open();
    let large: Bytes = (0..=255).cycle().take(9 * 1024 * 1024 + 5).collect();
    // Three blocks go up; the call that puts them together does not.
    account.next([Fault::AnswerLost, Fault::Nothing, Fault::Nothing, Fault::Nothing, refused(403, "AuthorizationFailure", None)]);
    assert_eq!(blobs.create(RAW, "large", large.clone()).await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(blobs.read(RAW, "large").await.unwrap(), None);

    assert_eq!(blobs.create(RAW, "large", large.clone()).await.unwrap(), Creation::New);
    assert!(blobs.read(RAW, "large").await.unwrap().unwrap() == large);
    assert_eq!(blobs.create(RAW, "large", large).await.unwrap(), Creation::Existed);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_waited_for_and_a_long_one_is_handed_on_at_once() {
    let (account, _) = account();
    let (queue, _) = account.open();
    account.next([refused(429, "TooManyRequests", Some("1"))]);
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    assert_eq!((account.calls(), account.messages("intake")), (2, 1));

    let begun = Instant::now();
    for status in [429, 503] {
        account.next([refused(status, "ServerBusy", Some("30"))]);
        let error = queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Throttled { retry_after: Some(Duration::from_secs(30)) }, "{status}");
    }
    assert_eq!((account.calls(), begun.elapsed()), (4, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_ends_soon_and_says_throttled() {
    let (account, _) = account();
    let (queue, blobs) = account.open();
    for (fault, retry_after) in [
        (refused(429, "TooManyRequests", Some("1")), Some(Duration::from_secs(1))),
        (refused(429, "TooManyRequests", None), None),
        // Azure Storage throttles with 503, mostly without a time.
        (refused(503, "ServerBusy", None), None),
    ] {
        account.outage(Some(fault));
        let (begun, calls) = (Instant::now(), account.calls());
        let sent = queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err();
        let read = blobs.read(RAW, "a").await.unwrap_err();
        assert_eq!([sent.kind, read.kind], [PortErrorKind::Throttled { retry_after }; 2], "{fault:?}");
        assert!(account.calls() - calls <= 8 && begun.elapsed() < Duration::from_secs(10), "{fault:?}: {:?}", begun.elapsed());
    }
    account.outage(None);
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    assert_eq!(account.messages("intake"), 1, "a refused send left nothing");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_not_reached_or_never_answers_is_unavailable_in_time_and_works_again_afterwards() {
    let (account, _) = account();
    let (queue, blobs) = account.open();
    for (fault, reason) in [
        (refused(500, "InternalError", None), "InternalError"),
        (refused(503, "", None), "503"),
        (Fault::Unreachable, "failed to lookup address information"),
        (Fault::Silent, "no answer within 20 seconds"),
    ] {
        account.outage(Some(fault));
        let begun = Instant::now();
        let sent = queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err();
        let listed = blobs.list(RAW, "", None).await.unwrap_err();
        assert_eq!([sent.kind, listed.kind], [PortErrorKind::Unavailable; 2], "{fault:?}");
        assert!(words(&sent).contains(reason) && words(&listed).contains(reason), "{} / {}", words(&sent), words(&listed));
        assert!(
            words(&sent).starts_with("queue intake (ASSAY_QUEUE_URL)") && words(&listed).starts_with("blob container raw (ASSAY_BLOB_URL)")
        );
        assert!(begun.elapsed() <= Duration::from_secs(40), "{fault:?}: {:?}", begun.elapsed());
    }
    account.outage(None);
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    assert_eq!(account.messages("intake"), 1);
    assert!(blobs.list(RAW, "", None).await.unwrap().names.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_allowed_hears_so_at_once_with_the_setting_and_azures_own_word() {
    let (account, _) = account();
    let (queue, blobs) = account.open();
    for (status, code, advice) in [
        (403, "AuthorizationPermissionMismatch", "the role that the guide names, on this resource"),
        // The account's firewall.
        (403, "AuthorizationFailure", "this resource's firewall"),
        // A clock that is wrong, here or where the token was made; the fake's words say no more.
        (403, "AuthenticationFailed", "give Assay's identity the role"),
        (403, "AuthenticationFailed: Request date header too old", "clock"),
        (401, "InvalidAuthenticationInfo: Lifetime validation failed. The token is expired.", "clock"),
        (401, "InvalidAuthenticationInfo", "directory"),
        (403, "AccountIsDisabled", "give Assay's identity the role"),
    ] {
        account.outage(Some(refused(status, code, None)));
        let calls = account.calls();
        let received = queue.receive("intake", 1, LEASE).await.unwrap_err();
        let created = blobs.create(RAW, "a", "x".into()).await.unwrap_err();
        assert_eq!([received.kind, created.kind], [PortErrorKind::Denied; 2], "{code}");
        assert!(words(&received).contains("ASSAY_QUEUE_URL") && words(&received).contains(code), "{}", words(&received));
        assert!(words(&created).contains("ASSAY_BLOB_URL") && words(&created).contains(code), "{}", words(&created));
        assert!([&received, &created].iter().all(|error| error.advice().contains(advice)), "{code}: {}", received.advice());
        assert_eq!(account.calls() - calls, 2, "asking again would not help");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_or_container_that_nobody_made_is_named_and_never_looks_empty() {
    let (account, _) = account();
    let (queue, blobs) = account.open();
    queue.send("intake", "m".into(), Duration::ZERO).await.unwrap();
    let message = queue.receive("intake", 1, LEASE).await.unwrap().remove(0);
    account.remove_queue("intake");
    account.remove_container("raw");
    for error in [
        queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err(),
        queue.receive("intake", 1, LEASE).await.unwrap_err(),
        queue.delete("intake", &message).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.resource.as_str()), (PortErrorKind::Missing, "queue intake (ASSAY_QUEUE_URL)"));
    }
    for error in [
        blobs.create(RAW, "a", "x".into()).await.unwrap_err(),
        blobs.read(RAW, "a").await.unwrap_err(),
        blobs.list(RAW, "", None).await.unwrap_err(),
        blobs.delete(RAW, "a").await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.resource.as_str()), (PortErrorKind::Missing, "blob container raw (ASSAY_BLOB_URL)"));
    }
    // On their way out, they are as good as gone.
    account.next([refused(409, "QueueBeingDeleted", None), refused(409, "ContainerBeingDeleted", None)]);
    assert_eq!(queue.send("analyze", "m".into(), Duration::ZERO).await.unwrap_err().kind, PortErrorKind::Missing);
    assert_eq!(blobs.create(BlobContainer::Mailbox, "a", "x".into()).await.unwrap_err().kind, PortErrorKind::Missing);
}

#[tokio::test(start_paused = true)]
async fn poison_is_nobody_yet_or_whatever_text_it_is_and_stops_nothing_behind_it() {
    let (account, _) = account();
    let (queue, _) = account.open();
    assert!(queue.receive("intake-poison", 16, LEASE).await.unwrap().is_empty(), "the host makes it with its first message");
    account.make_queue("intake-poison");
    account.put_text("intake-poison", "not base64 & <never> was: ü");
    account.put_text("intake-poison", "");
    queue.send("intake-poison", Bytes::from_static(b"\x00\xff"), Duration::ZERO).await.unwrap();
    let received = queue.receive("intake-poison", 16, LEASE).await.unwrap();
    assert_eq!(bodies(&received), ["not base64 & <never> was: ü".as_bytes(), b"", b"\x00\xff"]);
    for message in &received {
        queue.delete("intake-poison", message).await.unwrap();
    }
    assert_eq!(account.messages("intake-poison"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_longer_than_the_week_that_the_service_would_keep_it() {
    let (account, clock) = account();
    let (queue, _) = account.open();
    queue.send("intake", "m".into(), Duration::from_hours(7 * 24)).await.unwrap();
    clock.advance(time::Duration::days(60));
    assert_eq!(bodies(&queue.receive("intake", 1, LEASE).await.unwrap()), [b"m"]);
    let longer = Duration::from_hours(7 * 24) + Duration::from_secs(1);
    assert_eq!(queue.send("intake", "m".into(), longer).await.unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(queue.send("Intake", "m".into(), Duration::ZERO).await.unwrap_err().kind, PortErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn names_are_listed_whole_though_pages_come_short_and_others_write_there_too() {
    let (account, _) = account();
    let (_, blobs) = account.open();
    let expected: Vec<String> = (0..120).map(|n| format!("b/{n:03}")).collect();
    for name in &expected {
        account.put_blob("raw", name, "x");
    }
    account.put_blob("raw", "b/not one of ours", "x");
    account.put_blob("mailbox", "b/000", "x");
    account.give_short_pages();
    let (mut names, mut after, mut first) = (Vec::new(), None, None);
    loop {
        let page = blobs.list(RAW, "b/", after.as_ref()).await.unwrap();
        names.extend(page.names);
        first = first.or_else(|| page.next.clone());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, expected);

    let of_another = blobs.list(BlobContainer::Mailbox, "b/", first.as_ref()).await.unwrap_err();
    // As ours are made, but with a marker that the service never gave.
    let made_up = blobs.list(RAW, "b/", Some(&Continuation("cmF3CmIvCm1hZGUgdXA".into()))).await.unwrap_err();
    assert_eq!([of_another.kind, made_up.kind], [PortErrorKind::Invalid; 2]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_before_the_first_use_and_then_with_a_token_for_this_clouds_storage() {
    let (account, _) = account();
    let tokens = Arc::new(Tokens::default());
    let (queue, blobs) = account.open_as(&azure_settings(&[]), &tokens).unwrap();
    assert_eq!((account.calls(), tokens.asked().len()), (0, 0));
    queue.receive("intake", 1, LEASE).await.unwrap();
    queue.receive("intake", 1, LEASE).await.unwrap();
    blobs.read(RAW, "a").await.unwrap();
    assert_eq!(tokens.asked(), ["https://storage.azure.com/.default"; 2], "one for each client, kept");

    let text = "authority=https://login.example/;graph=https://graph.example/;portal=https://portal.example/;storage=https://storage.example;exchange=api://x";
    let elsewhere = assay::platform::azure::AzureSettings { cloud: CloudProfile::custom(text).unwrap(), ..azure_settings(&[]) };
    let tokens = Arc::new(Tokens::default());
    let (queue, _) = account.open_as(&elsewhere, &tokens).unwrap();
    let error = queue.receive("intake", 1, LEASE).await.unwrap_err();
    assert_eq!((error.kind, tokens.asked()), (PortErrorKind::Denied, vec!["https://storage.example/.default".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_place_of_tokens_that_never_answers_is_named_before_the_calls_own_deadline() {
    let (account, _) = account();
    let (queue, _) = account.open_as(&azure_settings(&[]), &Arc::new(Tokens::silent())).unwrap();
    let begun = Instant::now();
    let error = queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind, begun.elapsed().as_secs()), (PortErrorKind::Unavailable, 10));
    assert!(words(&error).contains("no token within 10 seconds"), "{}", words(&error));
    assert_eq!(account.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_or_without_tls_nothing_leaves_this_machine() {
    let (account, _) = account();
    let (queue, _) = account.open_as(&azure_settings(&[]), &Arc::new(Tokens::refusing("no identity endpoint"))).unwrap();
    let error = queue.send("intake", "m".into(), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Denied);
    assert!(words(&error).contains("no identity endpoint"), "{}", words(&error));

    let plain = Url::parse("http://127.0.0.1:10001/account").unwrap();
    let queues = assay::platform::azure::AzureSettings { queues: plain.clone(), ..azure_settings(&[]) };
    let blobs = assay::platform::azure::AzureSettings { blobs: plain, ..azure_settings(&[]) };
    for (settings, setting) in [(queues, "ASSAY_QUEUE_URL"), (blobs, "ASSAY_BLOB_URL")] {
        let error = account.open_as(&settings, &Arc::new(Tokens::default())).err().unwrap();
        assert!(error.kind == PortErrorKind::Invalid && error.resource.contains(setting), "{error:?}");
    }
    assert_eq!(account.calls(), 0);
}
