//! Blobs: written once or growing at their end, held by one at a time, listed by name, and never outside their place.

use std::time::Duration;

use assay::platform::ports::{
    Appending, BlobContainer, Blobs, Continuation, Creation, Etag, LeaseId, Leasing, MAX_APPEND_BYTES, PortErrorKind, Replacing,
};
use bytes::Bytes;
use uuid::Uuid;

use super::Ports;

const RAW: BlobContainer = BlobContainer::Raw;
/// The shortest lease that Azure Storage gives.
const PERIOD: Duration = Duration::from_secs(15);

async fn names(blobs: &dyn Blobs, container: BlobContainer, prefix: &str) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = blobs.list(container, prefix, after.as_ref()).await.unwrap();
        names.extend(page.names);
        match page.next {
            Some(next) => after = Some(next),
            None => return names,
        }
    }
}

pub async fn contract_blobs_are_written_once(ports: &Ports) {
    let blobs = ports.blobs.as_ref();
    for container in BlobContainer::ALL {
        assert_eq!(blobs.read(container, "2026/a.txt").await.unwrap(), None);
        assert_eq!(blobs.create(container, "2026/a.txt", "first".into()).await.unwrap(), Creation::New);
        assert_eq!(blobs.create(container, "2026/a.txt", "second".into()).await.unwrap(), Creation::Existed);
        assert_eq!(blobs.create(container, "empty", "".into()).await.unwrap(), Creation::New);
        assert_eq!(blobs.read(container, "2026/a.txt").await.unwrap().unwrap(), "first");
        assert_eq!(blobs.read(container, "empty").await.unwrap().unwrap(), "");
        blobs.delete(container, "2026/a.txt").await.unwrap();
        blobs.delete(container, "2026/a.txt").await.unwrap();
        assert_eq!(blobs.read(container, "2026/a.txt").await.unwrap(), None);
        assert_eq!(names(blobs, container, "").await, ["empty"]);
    }
}

/// The one container in which a blob may be written again: whoever read it last, writes.
pub async fn contract_blobs_of_the_log_are_replaced_only_as_they_were_read(ports: &Ports) {
    let (blobs, log) = (ports.blobs.as_ref(), BlobContainer::Log);
    let put = |text: &'static str, etag: Option<Etag>| blobs.replace(log, "a/checkpoint", text.into(), etag);
    assert_eq!(blobs.read_held(log, "a/checkpoint").await.unwrap(), None);
    assert_eq!(put("one", Some(Etag("\"0x1\"".into()))).await.unwrap(), Replacing::Moved, "nothing is there to be replaced");
    assert_eq!(put("one", None).await.unwrap(), Replacing::Replaced);
    assert_eq!(put("other", None).await.unwrap(), Replacing::Moved);
    let one = blobs.read_held(log, "a/checkpoint").await.unwrap().unwrap();
    assert_eq!(one.bytes, "one");
    assert_eq!(put("two", Some(one.etag.clone())).await.unwrap(), Replacing::Replaced);
    assert_eq!(put("other", Some(one.etag.clone())).await.unwrap(), Replacing::Moved);
    assert_eq!(blobs.read(log, "a/checkpoint").await.unwrap().unwrap(), "two");
    let two = blobs.read_held(log, "a/checkpoint").await.unwrap().unwrap();
    assert_ne!(one.etag, two.etag);
    let (left, right) = (put("left", Some(two.etag.clone())), put("right", Some(two.etag)));
    let (left, right) = tokio::join!(left, right);
    assert_eq!([&left, &right].iter().filter(|outcome| matches!(outcome, Ok(Replacing::Replaced))).count(), 1, "{left:?} {right:?}");
    blobs.delete(log, "a/checkpoint").await.unwrap();
    assert_eq!(blobs.read_held(log, "a/checkpoint").await.unwrap(), None);

    for (container, name) in [(RAW, "a"), (BlobContainer::Mailbox, "a"), (BlobContainer::Anchors, "a"), (log, "../a")] {
        let read = blobs.read_held(container, name).await.unwrap_err();
        let replaced = blobs.replace(container, name, "x".into(), None).await.unwrap_err();
        assert_eq!([read.kind, replaced.kind], [PortErrorKind::Invalid; 2], "{name}");
    }
}

pub async fn contract_blobs_are_listed_by_prefix_in_pages(ports: &Ports) {
    let blobs = ports.blobs.as_ref();
    for container in BlobContainer::ALL {
        let expected: Vec<String> = (0..120).map(|n| format!("b/{n:03}")).collect();
        let others = ["a/1", "b-1", "c/1"].map(String::from);
        for name in expected.iter().chain(&others) {
            blobs.create(container, name, name.clone().into()).await.unwrap();
        }
        assert_eq!(names(blobs, container, "b/").await, expected);
        assert_eq!(names(blobs, container, "b/01").await, expected[10..20]);
        assert_eq!(names(blobs, container, "d").await, Vec::<String>::new());
        assert_eq!(names(blobs, container, "").await.len(), 123);

        let next = blobs.list(container, "b/", None).await.unwrap().next.unwrap();
        for (prefix, after) in [("a/", next), ("b/", Continuation("!".into()))] {
            assert_eq!(blobs.list(container, prefix, Some(&after)).await.unwrap_err().kind, PortErrorKind::Invalid, "{prefix}");
        }
    }
}

pub async fn contract_blobs_refuse_names_that_could_leave_their_place(ports: &Ports) {
    for container in BlobContainer::ALL {
        for name in ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\\b", "a b", "a%2fb", "a?b", "ä", "a\0b"] {
            let created = ports.blobs.create(container, name, "x".into()).await.unwrap_err();
            let read = ports.blobs.read(container, name).await.unwrap_err();
            let deleted = ports.blobs.delete(container, name).await.unwrap_err();
            assert_eq!([created.kind, read.kind, deleted.kind], [PortErrorKind::Invalid; 3], "{name:?}");
        }
        ports.blobs.create(container, "a/.b..c~d_e-f", "x".into()).await.unwrap();
    }
}

fn holder(number: u128) -> LeaseId {
    LeaseId(Uuid::from_u128(number))
}

async fn append(ports: &Ports, name: &str, at: u64, text: &str, lease: Option<LeaseId>) -> Appending {
    ports.blobs.append(RAW, name, at, text.to_owned().into(), lease).await.unwrap()
}

async fn text(ports: &Ports, name: &str) -> String {
    String::from_utf8(ports.blobs.read(RAW, name).await.unwrap().unwrap().into()).unwrap()
}

pub async fn contract_blobs_grow_at_their_end_only(ports: &Ports) {
    assert_eq!(append(ports, "log", 3, "early", None).await, Appending::Moved { length: 0 });
    assert_eq!(ports.blobs.read(RAW, "log").await.unwrap(), None, "nothing is made for an append elsewhere");
    assert_eq!(append(ports, "log", 0, "one ", None).await, Appending::Appended { length: 4 });
    assert_eq!(append(ports, "log", 4, "two ", None).await, Appending::Appended { length: 8 });
    // Asked again, as after a lost answer: also when somebody went on behind it.
    assert_eq!(append(ports, "log", 4, "two ", None).await, Appending::Appended { length: 8 });
    assert_eq!(append(ports, "log", 8, "three", None).await, Appending::Appended { length: 13 });
    assert_eq!(append(ports, "log", 4, "two ", None).await, Appending::Appended { length: 8 });
    for (at, other) in [(0, "ONE "), (8, "three and more"), (12, "e!"), (14, "four")] {
        assert_eq!(append(ports, "log", at, other, None).await, Appending::Moved { length: 13 }, "{at} {other}");
    }
    assert_eq!(text(ports, "log").await, "one two three");

    // It is a blob like others, but for growing.
    assert_eq!(ports.blobs.create(RAW, "log", "whole".into()).await.unwrap(), Creation::Existed);
    assert_eq!(names(ports.blobs.as_ref(), RAW, "").await, ["log"]);
    ports.blobs.delete(RAW, "log").await.unwrap();
    assert_eq!(ports.blobs.read(RAW, "log").await.unwrap(), None);
    assert_eq!(append(ports, "log", 0, "anew", None).await, Appending::Appended { length: 4 });

    assert_eq!(ports.blobs.create(RAW, "whole", "".into()).await.unwrap(), Creation::New);
    let refused = ports.blobs.append(RAW, "whole", 0, "more".into(), None).await.unwrap_err();
    assert_eq!((refused.kind, text(ports, "whole").await), (PortErrorKind::Invalid, String::new()));
}

pub async fn contract_blobs_take_one_of_two_appends_at_one_place(ports: &Ports) {
    for name in ["new", "grown"] {
        if name == "grown" {
            assert_eq!(append(ports, name, 0, "begun ", None).await, Appending::Appended { length: 6 });
        }
        let at = if name == "grown" { 6 } else { 0 };
        let (one, other) = tokio::join!(append(ports, name, at, "one", None), append(ports, name, at, "other", None));
        let winner = match (one, other) {
            (Appending::Appended { .. }, Appending::Moved { length }) if length == at + 3 => "one",
            (Appending::Moved { length }, Appending::Appended { .. }) if length == at + 5 => "other",
            both => panic!("{name}: {both:?}"),
        };
        assert!(text(ports, name).await.ends_with(winner));
        assert_eq!(text(ports, name).await.len() as u64, at + winner.len() as u64);
    }
}

pub async fn contract_blobs_refuse_appends_beyond_the_limits(ports: &Ports) {
    let most = Bytes::from(vec![b'x'; MAX_APPEND_BYTES]);
    let length = MAX_APPEND_BYTES as u64;
    assert_eq!(ports.blobs.append(RAW, "large", 0, most.clone(), None).await.unwrap(), Appending::Appended { length });
    assert_eq!(ports.blobs.append(RAW, "large", 0, most.clone(), None).await.unwrap(), Appending::Appended { length });
    let more = [&most[..], b"x"].concat().into();
    let (more, nothing) = (ports.blobs.append(RAW, "large", length, more, None), ports.blobs.append(RAW, "a", 0, Bytes::new(), None));
    assert_eq!([more.await.unwrap_err().kind, nothing.await.unwrap_err().kind], [PortErrorKind::TooLarge, PortErrorKind::Invalid]);

    for period in [Duration::from_secs(14), Duration::from_secs(61), Duration::from_millis(15_500)] {
        assert_eq!(ports.blobs.lease(RAW, "a", holder(1), period).await.unwrap_err().kind, PortErrorKind::Invalid, "{period:?}");
    }
    // The others are written whole, and names are those of all blobs.
    for (container, name) in [(BlobContainer::Mailbox, "a"), (BlobContainer::Log, "a"), (BlobContainer::Anchors, "a"), (RAW, "../a")] {
        let appended = ports.blobs.append(container, name, 0, "x".into(), None).await.unwrap_err();
        let leased = ports.blobs.lease(container, name, holder(1), PERIOD).await.unwrap_err();
        let renewed = ports.blobs.renew(container, name, holder(1)).await.unwrap_err();
        let released = ports.blobs.release(container, name, holder(1)).await.unwrap_err();
        assert_eq!([appended.kind, leased.kind, renewed.kind, released.kind], [PortErrorKind::Invalid; 4], "{name}");
    }
    assert_eq!(ports.blobs.read(RAW, "a").await.unwrap(), None);
}

pub async fn contract_blobs_are_held_by_one_at_a_time(ports: &Ports) {
    let blobs = ports.blobs.as_ref();
    let (ours, theirs) = (holder(1), holder(2));
    assert_eq!(blobs.renew(RAW, "head", ours).await.unwrap(), Leasing::NotHeld, "there is no such blob");
    blobs.release(RAW, "head", ours).await.unwrap();
    assert_eq!(append(ports, "head", 0, "x", Some(ours)).await, Appending::NotHeld);
    assert_eq!(blobs.read(RAW, "head").await.unwrap(), None);

    assert_eq!(blobs.lease(RAW, "head", ours, PERIOD).await.unwrap(), Leasing::Held);
    assert_eq!(text(ports, "head").await, "", "made, so that there is something to hold");
    assert_eq!(blobs.lease(RAW, "head", theirs, PERIOD).await.unwrap(), Leasing::NotHeld);
    assert_eq!(blobs.renew(RAW, "head", theirs).await.unwrap(), Leasing::NotHeld);
    blobs.release(RAW, "head", theirs).await.unwrap();
    assert_eq!(blobs.lease(RAW, "head", ours, PERIOD * 2).await.unwrap(), Leasing::Held, "asked again, as after a lost answer");
    assert_eq!(blobs.renew(RAW, "head", ours).await.unwrap(), Leasing::Held);

    assert_eq!(append(ports, "head", 0, "theirs", Some(theirs)).await, Appending::NotHeld);
    assert_eq!(append(ports, "head", 0, "nobody's", None).await, Appending::NotHeld);
    assert_eq!(blobs.delete(RAW, "head").await.unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(blobs.create(RAW, "head", "whole".into()).await.unwrap(), Creation::Existed);
    assert_eq!(append(ports, "head", 0, "ours", Some(ours)).await, Appending::Appended { length: 4 });
    assert_eq!(append(ports, "head", 0, "ours", Some(ours)).await, Appending::Appended { length: 4 });
    assert_eq!(append(ports, "head", 0, "more", Some(ours)).await, Appending::Moved { length: 4 });
    assert_eq!(text(ports, "head").await, "ours", "everybody reads");

    blobs.release(RAW, "head", ours).await.unwrap();
    blobs.release(RAW, "head", ours).await.unwrap();
    assert_eq!(append(ports, "head", 4, "!", Some(ours)).await, Appending::NotHeld);
    assert_eq!(blobs.renew(RAW, "head", ours).await.unwrap(), Leasing::NotHeld);
    assert_eq!(append(ports, "head", 4, "!", None).await, Appending::Appended { length: 5 });
    assert_eq!(blobs.lease(RAW, "head", theirs, PERIOD).await.unwrap(), Leasing::Held);
    blobs.release(RAW, "head", theirs).await.unwrap();
    blobs.delete(RAW, "head").await.unwrap();
    assert_eq!(blobs.read(RAW, "head").await.unwrap(), None);
}

/// One wait for all of them, since it is a real one where the time is.
pub async fn contract_blobs_are_lost_to_the_next_holder_when_the_lease_runs_out(ports: &Ports) {
    let blobs = ports.blobs.as_ref();
    let (ours, theirs) = (holder(1), holder(2));
    for name in ["taken", "changed", "idle", "longer"] {
        let period = if name == "longer" { PERIOD * 2 } else { PERIOD };
        assert_eq!(blobs.lease(RAW, name, ours, period).await.unwrap(), Leasing::Held);
        assert_eq!(append(ports, name, 0, "ours", Some(ours)).await, Appending::Appended { length: 4 });
    }
    (ports.pass_time)(PERIOD);
    assert_eq!(append(ports, "longer", 4, "!", Some(ours)).await, Appending::Appended { length: 5 });
    assert_eq!(append(ports, "idle", 4, "!", Some(ours)).await, Appending::NotHeld, "it ran out, whoever came since");

    assert_eq!(blobs.lease(RAW, "taken", theirs, PERIOD).await.unwrap(), Leasing::Held);
    assert_eq!(append(ports, "taken", 4, "late", Some(ours)).await, Appending::NotHeld);
    assert_eq!(blobs.renew(RAW, "taken", ours).await.unwrap(), Leasing::NotHeld);
    assert_eq!(blobs.lease(RAW, "taken", ours, PERIOD).await.unwrap(), Leasing::NotHeld);
    blobs.release(RAW, "taken", ours).await.unwrap();
    assert_eq!(append(ports, "taken", 4, " theirs", Some(theirs)).await, Appending::Appended { length: 11 });
    assert_eq!(text(ports, "taken").await, "ours theirs");

    assert_eq!(append(ports, "changed", 4, "!", None).await, Appending::Appended { length: 5 });
    assert_eq!(blobs.renew(RAW, "changed", ours).await.unwrap(), Leasing::NotHeld);

    assert_eq!(blobs.renew(RAW, "idle", ours).await.unwrap(), Leasing::Held, "nobody came since");
    assert_eq!(append(ports, "idle", 4, "!", Some(ours)).await, Appending::Appended { length: 5 });
    assert_eq!(blobs.lease(RAW, "idle", theirs, PERIOD).await.unwrap(), Leasing::NotHeld);
}
