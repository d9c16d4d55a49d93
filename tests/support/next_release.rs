//! What other releases write, made from what this one wrote: by whoever holds the keys, as that release would.

use std::collections::BTreeMap;

use assay::{
    app::App,
    audit::{Item, chain::Hash},
    platform::ports::{BlobContainer, Container, Document, Ids as _, Op, Partition},
    tenancy::{
        Actor, Record as _, StoreError, TenantId,
        keys::{self, Owner},
        seal::{Binding, DataKey},
        tail::{Appended as _, TAIL, Tail},
    },
};
use serde_json::{Value, json};

use super::{
    TestApp,
    former_heads::write,
    sample::{self, Address},
};

/// A kind of record, a kind of event and a field that this release does not know.
pub const KIND: &str = "of-the-next";
pub const EVENT: &str = "of.the_next";
const FIELD: &str = "of_the_next";
/// Kinds in which a field that is not known is a fault, because what they say is signed.
const STRICT: [&str; 1] = ["policy"];

/// What a document says under its seal; `None`: nothing is sealed there, or its owner's keys are destroyed.
pub type Opened = BTreeMap<Address, (Value, Option<Value>)>;

/// Every document of this store.
pub async fn opened(test: &mut TestApp) -> Opened {
    let documents = at_rest(test);
    let mut found = Opened::new();
    for (at, body) in documents {
        let plain = match key_of(test.app(), &at).await {
            Some(key) => plain(test.app(), &key, &at, &body).await,
            None => None,
        };
        found.insert(at, (body, plain));
    }
    found
}

/// As it lies there, while nobody has it open.
pub fn at_rest(test: &mut TestApp) -> BTreeMap<Address, Value> {
    let documents = test.while_closed(sample::documents);
    assert!(!documents.is_empty());
    documents
}

/// The next release wrote here, as it may: a field more in every record that is not signed as it stands, a kind more in every
/// place, and in each place where events wait for the log one of a new kind.
pub async fn next_release_wrote(test: &mut TestApp) {
    let all = opened(test).await;
    let app = test.insider();
    let mut ops: BTreeMap<(String, String), Vec<Op>> = BTreeMap::new();
    for (at, (body, plain)) in &all {
        let of_place = ops.entry((at.container.clone(), at.partition.clone())).or_default();
        let Some(key) = key_of(&app, at).await else { continue };
        if of_place.is_empty() && at.id != "data-key" {
            let new = Address { id: format!("{KIND}:1"), ..at.clone() };
            of_place.push(Op::Create { id: new.id.clone(), body: sealed(&key, &new, 1, &json!({ FIELD: 1 })) });
        }
        if let (Some(Value::Object(fields)), true) = (plain, body["sealed"].is_string() && !STRICT.contains(&at.kind())) {
            let mut fields = fields.clone();
            fields.insert(FIELD.into(), json!({ "several": [1, "two", null] }));
            let body = resealed(&key, at, body, number(body, "schema"), &fields.into());
            of_place.push(replace(&app, at, body).await);
        }
    }
    for (at, (body, plain)) in all.iter().filter(|(at, _)| at.id == format!("{}:{TAIL}", Tail::KIND)) {
        let (Some(plain), Some(key)) = (plain, key_of(&app, at).await) else { continue };
        let tail: Tail = serde_json::from_value(plain.clone()).unwrap();
        let item = item(&app, &tail);
        let tail = Tail::of(item.link().unwrap(), &item.mark());
        let new = Address { id: format!("{}:{}", Item::KIND, item.key()), ..at.clone() };
        let mut plain = json!(item);
        plain[FIELD] = json!(true);
        let of_place = ops.get_mut(&(at.container.clone(), at.partition.clone())).unwrap();
        of_place.retain(|op| op.id() != at.id);
        of_place.push(replace(&app, at, resealed(&key, at, body, number(body, "schema"), &json!(tail))).await);
        of_place.push(Op::Create { body: sealed(&key, &new, 1, &plain), id: new.id });
    }
    for ((container, partition), ops) in ops {
        write(&app, &Partition::reserved_for_tenancy(named(&container), partition), ops).await;
    }
    drop(app);
    test.restart();
}

/// A release two ahead wrote every record of this kind, in a form that this release does not read.
pub async fn release_ahead_wrote(test: &mut TestApp, all: &Opened, kind: &str) {
    let app = test.insider();
    for (at, (body, plain)) in all.iter().filter(|(at, _)| at.kind() == kind) {
        let schema = number(body, "schema") + 2;
        let body = match (plain, key_of(&app, at).await) {
            (Some(plain), Some(key)) if body["sealed"].is_string() => resealed(&key, at, body, schema, plain),
            _ => {
                let mut body = body.clone();
                body["schema"] = json!(schema);
                body
            }
        };
        let replace = replace(&app, at, body).await;
        write(&app, &partition_of(at), vec![replace]).await;
    }
    drop(app);
    test.restart();
}

/// Which waits for its place in the log.
fn item(app: &App, tail: &Tail) -> Item {
    let mut salt = [0; 32];
    app.ids.random(&mut salt);
    Item {
        id: app.ids.uuid(),
        at: app.now(),
        kind: EVENT.into(),
        object: "something later".into(),
        actor: Actor::Function("later".into()),
        correlation: "of the next release".into(),
        detail: json!({ "later": [1, 2] }),
        salt: Hash::from_bytes(salt),
        link: Some(tail.next()),
    }
}

fn owner_of(at: &Address) -> Owner {
    let first = at.partition.split('/').next().unwrap();
    first.parse().map_or(Owner::Deployment, |id: TenantId| Owner::Tenant(id))
}

async fn key_of(app: &App, at: &Address) -> Option<DataKey> {
    match keys::find(app, owner_of(at)).await {
        Err(StoreError::Destroyed { .. }) => None,
        found => found.unwrap(),
    }
}

/// As `tenancy/store` binds a record to where it lies.
fn binding<'a>(at: &'a Address, owner: &'a str, schema: u64, revision: u64) -> Binding<'a> {
    let own = at.partition.strip_prefix(owner).and_then(|rest| rest.strip_prefix('/'));
    let (container, place, document) = (at.container.as_str(), own.unwrap_or(&at.partition), at.id.as_str());
    Binding { owner, container, place, document, field: "record", schema: schema.try_into().unwrap(), revision }
}

async fn plain(app: &App, key: &DataKey, at: &Address, body: &Value) -> Option<Value> {
    let owner = owner_of(at).to_string();
    let binding = binding(at, &owner, number(body, "schema"), number(body, "revision"));
    let bytes = if let Some(sealed) = body["sealed"].as_str() {
        key.open(&binding, sealed)
    } else {
        let bytes = app.blobs.read(BlobContainer::Raw, body["blob"].as_str()?).await.unwrap().unwrap();
        key.open_bytes(&binding, bytes.into())
    };
    let bytes = bytes.unwrap_or_else(|error| panic!("{at:?}: {error}"));
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn sealed(key: &DataKey, at: &Address, schema: u64, plain: &Value) -> Value {
    resealed(key, at, &json!({ "kind": at.kind() }), schema, plain)
}

fn resealed(key: &DataKey, at: &Address, body: &Value, schema: u64, plain: &Value) -> Value {
    let (owner, mut body) = (owner_of(at).to_string(), body.clone());
    let binding = binding(at, &owner, schema, number(&body, "revision"));
    body["sealed"] = json!(key.seal(&binding, &serde_json::to_vec(plain).unwrap()).unwrap());
    body["schema"] = json!(schema);
    body
}

async fn replace(app: &App, at: &Address, body: Value) -> Op {
    let Document { etag, .. } = app.documents.read(&partition_of(at), &at.id).await.unwrap().unwrap();
    Op::Replace { id: at.id.clone(), body, if_match: etag }
}

fn partition_of(at: &Address) -> Partition {
    Partition::reserved_for_tenancy(named(&at.container), at.partition.clone())
}

fn named(container: &str) -> Container {
    Container::ALL.into_iter().find(|known| known.name() == container).unwrap_or_else(|| panic!("no container {container}"))
}

fn number(body: &Value, field: &str) -> u64 {
    body[field].as_u64().unwrap_or_default()
}
