//! The steps about the MSP's tools: a connection that answers, its first event, what its records mean and whose they are.

use super::{
    super::Reader,
    facts::{Essential, Facts, Tool, is_heard, means_something},
    step::{State, Step, step},
};
use crate::{tenancy::directory::Role, web::pages::paths};

pub(super) fn connection(facts: &Facts) -> Step {
    let refused = |tool: &Tool| tool.trial.as_ref().is_some_and(|trial| !trial.outcome.is_good());
    let state = if facts.tools.iter().any(refused) {
        State::Wrong
    } else if !facts.tools.is_empty() && facts.tools.iter().all(Tool::answers) {
        State::Done
    } else {
        State::ToDo
    };
    let line = |tool: &Tool| {
        let connection = &tool.health.connection;
        let said = match &tool.trial {
            Some(trial) => trial.outcome.words(connection.vendor()),
            None if tool.was_read() => "its configurations were read.",
            None => "not tested lately. The test reads one configuration with its credentials, and keeps nothing.",
        };
        format!("{}: {said}", connection.name)
    };
    let step = step(
        state,
        Essential::Connection.title(),
        "One connection to your ConnectWise or Autotask serves all clients; a wrong key or too few rights show now, not on the day of the assessment.",
        "each connection answered a live test, or was read as a whole.",
    )
    .lists(facts.tools.iter().map(line))
    .essential(Essential::Connection, facts);
    match facts.tools.len() {
        0 => step.says("None is there yet.").leads(paths::new_connection(), "Add a connection"),
        _ => step.leads(paths::connections(), "Test it, under Connections"),
    }
}

pub(super) fn event(facts: &Facts) -> Step {
    let heard = |tool: &Tool| is_heard(&tool.health);
    let state = match facts.tools.iter().filter(|tool| heard(tool)).count() {
        0 if facts.tools.iter().any(|tool| tool.health.rejected > 0 || tool.health.last_delivery.is_some()) => State::Wrong,
        n if n > 0 && n == facts.tools.len() => State::Done,
        _ => State::ToDo,
    };
    let line = |tool: &Tool| {
        let (name, rejected) = (&tool.health.connection.name, tool.health.rejected);
        let refused = match rejected {
            0 => String::new(),
            1 => " 1 request was refused in the last day; Connections says why.".into(),
            n => format!(" {n} requests were refused in the last day; Connections says why."),
        };
        match (heard(tool), &tool.health.last_delivery) {
            (true, _) => format!("{name}: an event came, and its signature held.{refused}"),
            (false, Some(_)) => format!("{name}: the last event was verified and refused; Connections says why.{refused}"),
            (false, None) => {
                format!("{name}: nothing has come yet. Register its webhook address in the tool, then change a ticket there.{refused}")
            }
        }
    };
    step(
        state,
        Essential::Event.title(),
        "Companies appear for mapping, and evidence comes in, with what the tool sends by its webhook.",
        "each connection sent an event whose signature held.",
    )
    .lists(facts.tools.iter().map(line))
    .leads(paths::connections(), "See the webhook address and what was refused, under Connections")
    .essential(Essential::Event, facts)
}

pub(super) fn meaning(facts: &Facts) -> Step {
    let without = |tool: &&Tool| !means_something(&tool.health.connection);
    let is_done = !facts.tools.is_empty() && !facts.tools.iter().any(|tool| without(&tool));
    let state = if is_done { State::Done } else { State::ToDo };
    let first = facts.tools.iter().find(without).map(|tool| paths::connection(tool.health.connection.id));
    step(
        state,
        Essential::Meaning.title(),
        "A ticket or device is evidence only where somebody said what its board or type is; by default nothing means anything.",
        "of each connection at least one board or type has a meaning.",
    )
    .lists(
        facts
            .tools
            .iter()
            .filter(without)
            .map(|tool| format!("{}: no board or type has a meaning yet, so nothing of it is evidence.", tool.health.connection.name)),
    )
    .leads(first.unwrap_or_else(paths::connections), "Say what boards and types mean")
    .essential(Essential::Meaning, facts)
}

pub(super) fn mapping(reader: &Reader<'_>, facts: &Facts) -> Step {
    let waiting: usize = facts.tools.iter().map(|tool| tool.unmapped).sum();
    let clients = &facts.essentials.approvers;
    let unmapped: Vec<&str> =
        clients.iter().filter(|one| !facts.essentials.mapped.contains(&one.client.id)).map(|one| one.client.name.as_str()).collect();
    let state = if waiting == 0 && unmapped.is_empty() && !clients.is_empty() { State::Done } else { State::ToDo };
    let mut step = step(
        state,
        Essential::Mapping.title(),
        "Whose a record is, is never guessed: it waits, sealed, until a person has said which client its company is.",
        "each client has a company of a tool, and none waits.",
    );
    if waiting > 0 {
        step = step.says(format!(
            "{waiting} compan{} wait{} to be mapped.",
            if waiting == 1 { "y" } else { "ies" },
            if waiting == 1 { "s" } else { "" }
        ));
    } else if facts.essentials.mapped.is_empty() {
        step = step.says("Companies appear as their first records arrive.");
    }
    if !unmapped.is_empty() {
        step = step.says(format!("Without a company yet: {}.", unmapped.join(", ")));
    }
    if !clients.is_empty()
        && !clients.iter().any(|one| reader.grants.iter().any(|grant| grant.tenant() == one.client.id && grant.has(Role::Engineer)))
    {
        let mut engineers: Vec<&str> = clients.iter().flat_map(|one| &one.engineers).map(String::as_str).collect();
        engineers.sort_unstable();
        engineers.dedup();
        step = step.says(if engineers.is_empty() {
            "An engineer of the client maps it, and there is none yet: give somebody that role, on the page of the client\u{2019}s people."
                .to_owned()
        } else {
            format!("An engineer of the client maps it, and you are none: {} can.", engineers.join(", "))
        });
    }
    step.leads(paths::mapping(), "Map companies to clients").essential(Essential::Mapping, facts)
}
