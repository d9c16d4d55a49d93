//! Documents: batches that happen or do not, etags, pages, changes, partitions apart from each other.

use std::sync::atomic::{AtomicU32, Ordering};

use assay::platform::ports::{
    BatchOutcome, Container, Continuation, Documents, Etag, IdMatch, MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_DOCUMENT_BYTES, MAX_MATCHES, Op,
    OpStatus, Partition, PortErrorKind, Query,
};
use serde_json::{Value, json};

use super::Ports;

/// A partition that no other test uses, also when all run on one account.
pub fn partition(container: Container) -> Partition {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    Partition::reserved_for_tenancy(container, format!("contract/{}/{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst)))
}

pub fn create(id: &str, body: Value) -> Op {
    Op::Create { id: id.into(), body }
}

fn replace(id: &str, body: Value, if_match: &Etag) -> Op {
    Op::Replace { id: id.into(), body, if_match: if_match.clone() }
}

fn delete(id: &str, if_match: Option<&Etag>) -> Op {
    Op::Delete { id: id.into(), if_match: if_match.cloned() }
}

/// The etags of a batch that must be committed.
pub async fn commit(documents: &dyn Documents, partition: &Partition, ops: Vec<Op>) -> Vec<Option<Etag>> {
    match documents.batch(partition, ops).await.unwrap() {
        BatchOutcome::Committed(etags) => etags,
        BatchOutcome::Refused(statuses) => panic!("refused: {statuses:?}"),
    }
}

/// The statuses of a batch that must be refused.
async fn refused(documents: &dyn Documents, partition: &Partition, ops: Vec<Op>) -> Vec<OpStatus> {
    match documents.batch(partition, ops).await.unwrap() {
        BatchOutcome::Committed(_) => panic!("committed"),
        BatchOutcome::Refused(statuses) => statuses,
    }
}

/// On Azure a role holds this too; on both stores the product's own documents do.
pub async fn contract_documents_among_the_entries_of_logs_are_only_created(ports: &Ports) {
    let (documents, entries) = (ports.documents.as_ref(), partition(Container::Audit));
    let etag = commit(documents, &entries, vec![create("a", json!(1))]).await.remove(0).unwrap();
    for change in [replace("a", json!(2), &etag), delete("a", Some(&etag)), delete("a", None), delete("none", None)] {
        for ops in [vec![change.clone()], vec![create("b", json!(1)), change.clone()]] {
            let error = documents.batch(&entries, ops).await.unwrap_err();
            assert_eq!(error.kind, PortErrorKind::Invalid, "{change:?}");
            assert!(error.to_string().contains("where nothing is replaced or deleted"), "{error}");
        }
    }
    assert_eq!((body(documents, &entries, "a").await, body(documents, &entries, "b").await), (Some(json!(1)), None));
    for container in Container::ALL.into_iter().filter(|container| *container != Container::Audit) {
        let place = partition(container);
        let etag = commit(documents, &place, vec![create("a", json!(1))]).await.remove(0).unwrap();
        let etag = commit(documents, &place, vec![replace("a", json!(2), &etag)]).await.remove(0).unwrap();
        commit(documents, &place, vec![delete("a", Some(&etag))]).await;
    }
}

async fn body(documents: &dyn Documents, partition: &Partition, id: &str) -> Option<Value> {
    documents.read(partition, id).await.unwrap().map(|document| document.body)
}

/// The ids of every page, each page no longer than asked for.
pub async fn ids(documents: &dyn Documents, partition: &Partition, mut query: Query) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = documents.query(partition, &query).await.unwrap();
        assert!(query.limit == 0 || page.documents.len() <= query.limit);
        ids.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return ids,
        }
    }
}

pub async fn contract_documents_are_created_read_replaced_and_deleted(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    assert_eq!(documents.read(&place, "a").await.unwrap(), None);

    let etags = commit(documents, &place, vec![create("a", json!({ "n": 1, "text": "für" }))]).await;
    let read = documents.read(&place, "a").await.unwrap().unwrap();
    assert_eq!((read.id.as_str(), &read.body), ("a", &json!({ "n": 1, "text": "für" })));
    assert_eq!(etags, [Some(read.etag.clone())], "the batch tells the etag that a read finds");

    commit(documents, &place, vec![replace("a", json!({ "n": 2 }), &read.etag)]).await;
    assert_eq!(body(documents, &place, "a").await, Some(json!({ "n": 2 })));

    assert_eq!(commit(documents, &place, vec![delete("a", None)]).await, [None]);
    assert_eq!(body(documents, &place, "a").await, None);
}

pub async fn contract_documents_get_a_new_etag_with_every_write_and_never_an_old_one(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let created = commit(documents, &place, vec![create("a", json!({ "same": true }))]).await.remove(0).unwrap();
        let replaced = commit(documents, &place, vec![replace("a", json!({ "same": true }), &created)]).await.remove(0).unwrap();
        commit(documents, &place, vec![delete("a", Some(&replaced))]).await;
        for etag in [created, replaced] {
            assert!(!seen.contains(&etag), "an etag came back");
            seen.push(etag);
        }
    }
}

pub async fn contract_documents_refuse_a_batch_as_a_whole_and_say_why(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let old = commit(documents, &place, vec![create("a", json!(1)), create("b", json!(1))]).await[0].clone().unwrap();
    commit(documents, &place, vec![replace("a", json!(2), &old)]).await;

    let innocent = OpStatus::FailedDependency;
    let cases = [
        (create("a", json!(3)), OpStatus::Conflict),
        (replace("a", json!(3), &old), OpStatus::PreconditionFailed),
        (replace("missing", json!(3), &old), OpStatus::NotFound),
        (delete("a", Some(&old)), OpStatus::PreconditionFailed),
        (delete("missing", None), OpStatus::NotFound),
        (delete("missing", Some(&old)), OpStatus::NotFound),
        (create("big", json!("x".repeat(MAX_DOCUMENT_BYTES))), OpStatus::TooLarge),
    ];
    for (guilty, status) in cases {
        let batch = vec![create("before", json!(0)), guilty.clone(), create("after", json!(0))];
        assert_eq!(refused(documents, &place, batch).await, [innocent, status, innocent], "{} {status:?}", guilty.id());
        assert_eq!(refused(documents, &place, vec![guilty]).await, [status], "alone");
    }
    // Of several that fail, the first says why; Cosmos DB tells no more.
    let two = vec![create("b", json!(3)), delete("missing", None)];
    assert_eq!(refused(documents, &place, two).await[0], OpStatus::Conflict);

    assert_eq!(ids(documents, &place, Query::prefix("")).await, ["a", "b"]);
    assert_eq!(body(documents, &place, "a").await, Some(json!(2)));
}

pub async fn contract_documents_refuse_what_is_beyond_the_limits(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let many = |count: usize| (0..count).map(|n| create(&format!("n{n:03}"), json!(n))).collect::<Vec<_>>();
    assert_eq!(documents.batch(&place, many(MAX_BATCH_OPS + 1)).await.unwrap_err().kind, PortErrorKind::Invalid);
    let twice = vec![create("a", json!(1)), delete("a", None)];
    assert_eq!(documents.batch(&place, twice).await.unwrap_err().kind, PortErrorKind::Invalid);
    let heavy = (0..3).map(|n| create(&format!("h{n}"), json!("x".repeat(MAX_DOCUMENT_BYTES - 100)))).collect();
    assert_eq!(documents.batch(&place, heavy).await.unwrap_err().kind, PortErrorKind::TooLarge);
    assert_eq!(ids(documents, &place, Query::prefix("")).await, Vec::<String>::new());

    // As many operations and bytes as there may be, with ids as long as they may be: what fits one store fits every other.
    let long = |n: usize| format!("{n:03}{}", "x".repeat(900));
    let each = MAX_BATCH_BYTES / MAX_BATCH_OPS - 2;
    let full = (0..MAX_BATCH_OPS).map(|n| create(&long(n), json!("x".repeat(each)))).collect();
    let full_place = partition(Container::Clients);
    assert_eq!(commit(documents, &full_place, full).await.len(), MAX_BATCH_OPS);

    assert_eq!(commit(documents, &place, many(MAX_BATCH_OPS)).await.len(), MAX_BATCH_OPS);
    commit(documents, &place, vec![create("large", json!("x".repeat(MAX_DOCUMENT_BYTES - 100)))]).await;
}

pub async fn contract_documents_refuse_ids_that_another_store_could_not_hold(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    for id in ["", "a/b", "a\\b", "a?b", "a#b", "a b", "ä", &"x".repeat(1024)] {
        assert_eq!(documents.batch(&place, vec![create(id, json!(1))]).await.unwrap_err().kind, PortErrorKind::Invalid, "{id}");
        assert_eq!(documents.read(&place, id).await.unwrap_err().kind, PortErrorKind::Invalid, "{id}");
    }
    commit(documents, &place, vec![create("kind:a-Z_0.9~{x}", json!(1))]).await;
}

pub async fn contract_documents_are_listed_by_prefix_in_pages_both_ways(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let mut expected: Vec<String> = (0..25).map(|n| format!("b:{n:02}")).collect();
    let others = ["a:1", "b", "b;", "bb:1", "c:1"].map(String::from);
    commit(documents, &place, expected.iter().chain(&others).map(|id| create(id, json!({ "id": id }))).collect()).await;

    for limit in [0, 1, 4, 5, 24, 25, 26] {
        let query = Query { limit, ..Query::prefix("b:") };
        assert_eq!(ids(documents, &place, query.clone()).await, expected);
        expected.reverse();
        assert_eq!(ids(documents, &place, Query { descending: true, ..query }).await, expected);
        expected.reverse();
    }
    assert_eq!(ids(documents, &place, Query::prefix("")).await.len(), 30);
    assert_eq!(ids(documents, &place, Query::default()).await, Vec::<String>::new());
    assert_eq!(ids(documents, &place, Query::prefix("none:")).await, Vec::<String>::new());

    // What is written behind the reader's back neither repeats nor hides what is there.
    let page = documents.query(&place, &Query { limit: 10, ..Query::prefix("b:") }).await.unwrap();
    commit(documents, &place, vec![create("b:00a", json!(1)), delete("b:09", None)]).await;
    let rest = ids(documents, &place, Query { after: page.next, ..Query::prefix("b:") }).await;
    assert_eq!(rest, expected[10..]);

    let forged = Query { after: Some(Continuation("!".into())), ..Query::prefix("b:") };
    assert_eq!(documents.query(&place, &forged).await.unwrap_err().kind, PortErrorKind::Invalid);
}

pub async fn contract_documents_of_several_kinds_come_in_one_list(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let mut expected: Vec<String> = ["b:1", "b:2", "b:21", "c:1", "e:1", "e:2", "e:3"].map(String::from).into();
    let others = ["a:1", "b:11", "b:3", "c:10", "c:2", "d:1", "f:1"].map(String::from);
    commit(documents, &place, expected.iter().chain(&others).map(|id| create(id, json!({ "id": id }))).collect()).await;

    // In any order, one within another, some without a document.
    let [exact, prefix] = [|id: &str| IdMatch::Exact(id.into()), |id: &str| IdMatch::Prefix(id.into())];
    let matching =
        vec![prefix("e:"), prefix("b:2"), exact("b:1"), prefix("none:"), exact("b:21"), exact("c:1"), exact("none"), exact("e:2")];
    for limit in [0, 1, 2, 3, 6, 7, 8] {
        let query = Query { limit, matching: matching.clone(), ..Query::default() };
        assert_eq!(ids(documents, &place, query.clone()).await, expected, "{limit} to a page");
        expected.reverse();
        assert_eq!(ids(documents, &place, Query { descending: true, ..query }).await, expected, "{limit} to a page, backwards");
        expected.reverse();
    }
    let first = documents.query(&place, &Query { limit: 1, matching: matching.clone(), ..Query::default() }).await.unwrap();
    let of_another = Query { after: first.next, ..Query::prefix("c:") };
    assert_eq!(documents.query(&place, &of_another).await.unwrap_err().kind, PortErrorKind::Invalid);
    let many = Query { matching: vec![prefix("b:"); MAX_MATCHES + 1], ..Query::default() };
    assert_eq!(documents.query(&place, &many).await.unwrap_err().kind, PortErrorKind::Invalid);
}

pub async fn contract_documents_feed_each_change_once_in_its_latest_form(ports: &Ports) {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let empty = documents.changes(&place, None, 10).await.unwrap();
    assert!(empty.documents.is_empty());

    let etags = commit(documents, &place, ["a", "b", "c", "d"].map(|id| create(id, json!(1))).into()).await;
    commit(documents, &place, vec![replace("a", json!(2), etags[0].as_ref().unwrap()), delete("b", None)]).await;

    let feed = |documents: Vec<assay::platform::ports::Document>| documents.into_iter().map(|d| (d.id, d.body)).collect::<Vec<_>>();
    let first = documents.changes(&place, Some(&empty.token), 2).await.unwrap();
    let mut seen = feed(first.documents);
    let second = documents.changes(&place, Some(&first.token), 2).await.unwrap();
    seen.extend(feed(second.documents));
    assert_eq!(seen, [("c".into(), json!(1)), ("d".into(), json!(1)), ("a".into(), json!(2))]);
    assert_eq!(feed(documents.changes(&place, None, 0).await.unwrap().documents), seen, "from the beginning");

    let end = documents.changes(&place, Some(&second.token), 2).await.unwrap();
    assert!(end.documents.is_empty());
    commit(documents, &place, vec![create("e", json!(1))]).await;
    let later = documents.changes(&place, Some(&end.token), 2).await.unwrap();
    assert_eq!(feed(later.documents), [("e".into(), json!(1))], "an empty page's token goes on");
}

pub async fn contract_documents_of_other_partitions_and_containers_are_not_seen(ports: &Ports) {
    let documents = ports.documents.as_ref();
    let key = partition(Container::Clients).key().to_owned();
    let place = |container, suffix: &str| Partition::reserved_for_tenancy(container, format!("{key}{suffix}"));
    let places = [
        place(Container::Clients, ""),
        place(Container::Clients, "/"),
        place(Container::Clients, "/more"),
        place(Container::Audit, ""),
        place(Container::Deployment, ""),
    ];
    for (n, place) in places.iter().enumerate() {
        commit(documents, place, vec![create("same", json!(n)), create(&format!("own{n}"), json!(n))]).await;
    }
    for (n, place) in places.iter().enumerate() {
        assert_eq!(body(documents, place, "same").await, Some(json!(n)));
        assert_eq!(ids(documents, place, Query::prefix("")).await, [format!("own{n}"), "same".into()]);
        assert_eq!(ids(documents, place, Query { descending: true, ..Query::prefix("") }).await.len(), 2);
        assert_eq!(documents.changes(place, None, 0).await.unwrap().documents.len(), 2);
    }
}

pub async fn contract_documents_let_exactly_one_of_many_writers_win(ports: &Ports) {
    let place = partition(Container::Clients);
    let etag = commit(ports.documents.as_ref(), &place, vec![create("a", json!("start"))]).await.remove(0).unwrap();
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let (documents, place, etag) = (ports.documents.clone(), place.clone(), etag.clone());
            tokio::spawn(async move {
                let batch = vec![replace("a", json!(n), &etag), create(&format!("by-{n:02}"), json!(n))];
                (n, documents.batch(&place, batch).await.unwrap())
            })
        })
        .collect();
    let mut winners = Vec::new();
    for writer in writers {
        match writer.await.unwrap() {
            (n, BatchOutcome::Committed(_)) => winners.push(n),
            (_, BatchOutcome::Refused(statuses)) => {
                assert_eq!(statuses, [OpStatus::PreconditionFailed, OpStatus::FailedDependency]);
            }
        }
    }
    let [winner] = winners[..] else { panic!("{} winners", winners.len()) };
    assert_eq!(body(ports.documents.as_ref(), &place, "a").await, Some(json!(winner)));
    assert_eq!(ids(ports.documents.as_ref(), &place, Query::prefix("by-")).await, [format!("by-{winner:02}")]);
}
