//! Blobs: written once, listed by name, and never outside their place.

use assay::platform::ports::{BlobContainer, Blobs, Continuation, Creation, PortErrorKind};

use super::Ports;

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
