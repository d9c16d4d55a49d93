//! The schema of audit events, for whoever reads a log: as a page, and as the file that copies of logs carry.

use super::Reader;
use crate::{
    audit::schema::{self, Outcome},
    web::{
        Problem, Reply,
        pages::{AuditEventsPage, EventArea, EventKind, Link, Section, paths},
        reply,
    },
};

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_read_a_log(reader)?;
    Ok(reply::page(
        200,
        &AuditEventsPage {
            frame: reader.frame(Section::Audit).await?,
            back: Link::new(paths::audit(), "Audit trail"),
            version: schema::VERSION,
            file: paths::audit_events_file(),
            outcomes: Outcome::ALL.map(|outcome| (outcome.word(), outcome.meaning())).to_vec(),
            areas: schema::AREAS.iter().map(area).collect(),
        },
    ))
}

pub(super) fn file(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_read_a_log(reader)?;
    let reply = reply::file("text/markdown; charset=utf-8", schema::document().into_bytes());
    Ok(reply.with("content-disposition", "attachment; filename=\"EVENTS.md\""))
}

fn must_read_a_log(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.operates() || !reader.grants.is_empty() { Ok(()) } else { Err(Problem::not_found()) }
}

fn area(area: &schema::Area) -> EventArea {
    let kind = |kind: &schema::Kind| EventKind {
        name: kind.name,
        says: kind.says,
        outcome: kind.outcome.word(),
        object: kind.object,
        fields: kind.fields.iter().map(|field| (field.name, form(field), field.meaning)).collect(),
    };
    EventArea { title: area.title, kinds: area.kinds.iter().map(kind).collect() }
}

fn form(field: &schema::Field) -> String {
    if field.always { field.form.word().into() } else { format!("{}, not always there", field.form.word()) }
}
