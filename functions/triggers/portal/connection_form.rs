//! Adding and changing a connection.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Reader, connection_view::unlisted_types};
use crate::{
    connectors::{Connection, Credentials, Vendor, connection, form, unlisted},
    readiness::map::evidence_map,
    tenancy::{ConnectionId, Held},
    web::{
        Problem, Reply,
        pages::{Choice, ConnectionForm, ConnectionFormPage, FieldError, FieldKind, Link, MessagePage, Section, Tag, Tone, paths},
        reply,
    },
};

pub(super) async fn show_new(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    match reader.request.query_value("vendor").as_deref().and_then(Vendor::of_slug) {
        None => page(reader, 200, "Add a connection".into(), None).await,
        Some(vendor) => {
            let id = ConnectionId(reader.app.ids.uuid());
            new_page(reader, vendor, id, &|_| String::new(), None).await
        }
    }
}

/// The id was given when the form was opened, so the form sent twice adds one connection.
pub(super) async fn add(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let (slug, id) = (reader.field("vendor"), reader.field("id"));
    reader.must_be_own_form(&["add connection", &slug, &id])?;
    let vendor = Vendor::of_slug(&slug).ok_or_else(Problem::not_found)?;
    let id: ConnectionId = id.parse().map_err(|_| Problem::not_found())?;
    let store = reader.deployment().await?;
    let done = reader.back_to(&paths::connections(), "saved", "added");
    if connection::read(&store, id).await?.is_some() {
        return Ok(done);
    }
    let typed = |name: &str| reader.field(name);
    let mut random = [0; 32];
    reader.app.ids.random(&mut random);
    let random = URL_SAFE_NO_PAD.encode(random);
    match form::added(vendor, id, &typed, &random) {
        Err(errors) => new_page(reader, vendor, id, &typed, Some(errors)).await,
        Ok(connection) => {
            connection::add(&store, &connection).await?;
            match &connection.credentials {
                Credentials::Autotask { webhook_secret, .. } if webhook_secret.0 == random => {
                    random_secret(reader, &connection, &random).await
                }
                _ => Ok(done),
            }
        }
    }
}

/// The one time that a secret is shown: it is ours, and without it nobody could set the webhook up.
async fn random_secret(reader: &Reader<'_>, connection: &Connection, secret: &str) -> Result<Reply, Problem> {
    let page = MessagePage {
        frame: reader.frame(Section::Connections).await?,
        heading: format!("{} is added", connection.name),
        tag: Some(Tag::new(Tone::Wait, "Copy this now")),
        sentence: "This is the webhook secret. It is not shown again. Give it to Autotask as the webhook's secret key.".into(),
        to_copy: Some(secret.to_owned()),
        links: vec![Link::new(reader.saying(&paths::connections(), "saved", "added"), "I have it: on to the webhook address")],
    };
    Ok(reply::page(200, &page))
}

pub(super) async fn show(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    let held = held(reader, id).await?.value;
    change_page(reader, 200, &held, &|name| form::shown(&held, name), Returned::default()).await
}

/// What the form of a change comes back with.
#[derive(Default)]
struct Returned {
    notice: Option<String>,
    errors: Vec<FieldError>,
}

pub(super) async fn change(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    let held = held(reader, id).await?;
    let seen = reader.field("seen");
    reader.must_be_own_form(&["change connection", &held.value.id.to_string(), &seen])?;
    let typed = |name: &str| reader.field(name);
    let changed = form::changed(&held.value, &typed, &|name| evidence_map().entry(name).is_some(), reader.app.now());
    let done = reader.back_to(&paths::connections(), "saved", "changed");
    match changed {
        // The same form sent twice.
        Ok(connection) if connection == held.value => Ok(done),
        _ if seen != fingerprint(reader, &held.value) => {
            let notice = "This connection was changed after you opened the form. Each field that differs says what is kept now; \
                          save again to put what you typed in its place.";
            let returned = Returned { notice: Some(notice.into()), errors: differences(&held.value, &typed) };
            change_page(reader, 409, &held.value, &typed, returned).await
        }
        Ok(connection) => {
            connection::replace(&reader.deployment().await?, held, connection).await?;
            Ok(done)
        }
        Err(errors) => change_page(reader, 422, &held.value, &typed, Returned { notice: None, errors }).await,
    }
}

async fn held(reader: &Reader<'_>, id: &str) -> Result<Held<Connection>, Problem> {
    reader.must_operate()?;
    let id: ConnectionId = id.parse().map_err(|_| Problem::not_found())?;
    connection::read_held(&reader.deployment().await?, id).await?.ok_or_else(Problem::not_found)
}

/// Of everything in it, secrets too, so it is made with our key: nobody can try secrets against it.
fn fingerprint(reader: &Reader<'_>, connection: &Connection) -> String {
    let all = serde_json::to_string(connection).unwrap_or_default();
    reader.token(&["connection as shown", &all])
}

/// What is kept now, at each field in which something else was typed; secrets are never shown.
fn differences(held: &Connection, typed: form::Typed<'_>) -> Vec<FieldError> {
    let fields = form::fields(held.vendor(), typed, true, &[]).into_iter().chain(form::settings_fields(held.vendor(), typed, &[]));
    let differing = fields.filter(|field| field.kind != FieldKind::Secret).filter_map(|field| {
        let kept = form::shown(held, field.name);
        let message = match kept.lines().collect::<Vec<_>>().join("; ") {
            nothing if nothing.is_empty() => format!("{}: nothing is kept now.", field.label),
            kept => format!("{}: kept now is {kept}", field.label),
        };
        (!kept.lines().eq(typed(field.name).lines())).then_some(FieldError { field: field.name, message })
    });
    differing.collect()
}

async fn new_page(
    reader: &Reader<'_>,
    vendor: Vendor,
    id: ConnectionId,
    typed: form::Typed<'_>,
    errors: Option<Vec<FieldError>>,
) -> Result<Reply, Problem> {
    let (slug, id) = (vendor.slug(), id.to_string());
    let form = ConnectionForm {
        action: paths::connections(),
        token: reader.token(&["add connection", slug, &id]),
        hidden: vec![("vendor".into(), slug.into()), ("id".into(), id)],
        notice: None,
        fields: form::fields(vendor, typed, false, errors.as_deref().unwrap_or_default()),
        settings: vec![],
        unlisted: vec![],
        record_types: vec![],
        label: "Add this connection".into(),
    };
    page(reader, if errors.is_some() { 422 } else { 200 }, format!("Add {}", vendor.word()), Some(form)).await
}

async fn change_page(
    reader: &Reader<'_>,
    status: u16,
    held: &Connection,
    typed: form::Typed<'_>,
    returned: Returned,
) -> Result<Reply, Problem> {
    let seen = fingerprint(reader, held);
    let wrong = returned.errors.as_slice();
    let record_types = evidence_map().entries.iter().map(|entry| Choice { value: entry.record_type.into(), label: entry.name.into() });
    let form = ConnectionForm {
        action: paths::connection(held.id),
        token: reader.token(&["change connection", &held.id.to_string(), &seen]),
        hidden: vec![("seen".into(), seen)],
        notice: returned.notice.clone(),
        fields: form::fields(held.vendor(), typed, true, wrong),
        settings: form::settings_fields(held.vendor(), typed, wrong),
        unlisted: unlisted_types(&unlisted::seen(&reader.deployment().await?, held.id, &held.settings).await?),
        record_types: record_types.collect(),
        label: "Save".into(),
    };
    page(reader, status, format!("Change {}", held.name), Some(form)).await
}

async fn page(reader: &Reader<'_>, status: u16, heading: String, form: Option<ConnectionForm>) -> Result<Reply, Problem> {
    let page = ConnectionFormPage {
        frame: reader.frame(Section::Connections).await?,
        heading,
        connections_href: paths::connections(),
        vendors: Vendor::ALL.into_iter().map(|vendor| Link::new(paths::new_connection_of(vendor.slug()), vendor.word())).collect(),
        form,
    };
    Ok(reply::page(status, &page))
}
