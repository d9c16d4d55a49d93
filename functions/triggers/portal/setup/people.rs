//! The steps about people: owners, consent in Entra ID, the first client, approvers, and the policy that they decide by.

use super::{
    super::Reader,
    azure,
    facts::{Approvers, Essential, Facts},
    step::{State, Step, step},
};
use crate::{
    tenancy::directory::{Ownership, Person},
    web::{entra, pages::paths},
};

pub(super) fn owners(reader: &Reader<'_>) -> Step {
    let app = reader.app;
    let owners: Vec<&Person> = reader.roster.people_who_may_sign_in(&app.config, app.now()).filter(|person| person.is_owner).collect();
    let names = owners.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(", ");
    let (why, done) = (
        "Owners let people in and add clients. With a single one, an absence stops the work, and a lost account locks everybody out of it.",
        "two people are owners, and no setting names one any more beside the app role.",
    );
    let Some(settings) = app.config.entra() else {
        return step(State::Nothing, "Owners", why, done).says(format!("The demo has its owner, {names}; others cannot be added in it."));
    };
    let by_role = owners.iter().any(|person| person.standing.ownership == Some(Ownership::AppRole));
    let superfluous = by_role && settings.owner.is_some();
    let state = if owners.len() > 1 && !superfluous { State::Done } else { State::Advised };
    let mut step = step(state, "Owners", why, done).says(format!("Owner{}: {names}.", if owners.len() == 1 { "" } else { "s" }));
    if owners.len() < 2 {
        step = step.says(
            "Make a second one: in Entra ID, Enterprise applications, this app, Users and groups, give somebody of your own directory the app role Owner. They are an owner from their next sign-in on.",
        );
    }
    if superfluous {
        step = step.says(
            "The app role is in place, so empty the setting ASSAY_ENTRA_OWNER: whoever may change the app\u{2019}s settings could make an owner with it. See first that a person with the role is named above.",
        );
    } else if settings.owner.is_some() {
        step = step.says("ASSAY_ENTRA_OWNER names the owner until somebody has the app role Owner; then it can be emptied.");
    }
    step.leads(paths::team(), "See everybody who can sign in, under People")
}

pub(super) fn consent(reader: &Reader<'_>) -> Step {
    let app = reader.app;
    let (title, why, done) = (
        "Consent in Entra ID",
        "Entra ID lets nobody sign in to an app that their directory has not consented to, and in many directories only an administrator may consent.",
        "you are signed in: so Entra ID lets your own directory\u{2019}s people in, or at least you.",
    );
    let Some(settings) = app.config.entra() else {
        return step(State::Nothing, title, why, done).says("The demo does not sign in at Entra ID, so there is nothing to consent to.");
    };
    let further = settings.directories.len() - 1;
    let home = settings.directories.first().copied();
    let from_elsewhere = |person: &Person| person.identity.is_some_and(|identity| Some(identity.tid) != home);
    let came = reader.roster.people_who_may_sign_in(&app.config, app.now()).any(from_elsewhere);
    let state = if further == 0 || came { State::Done } else { State::Advised };
    let mut step = step(state, title, why, done).says(format!(
        "Sign-in asks for {}: that it is they, their name and their address. Nothing of Microsoft Graph is read or asked for in this release, so there is nothing else to consent to.",
        entra::SCOPE.replace(' ', ", ")
    ));
    step = step.says(
        "Without it a colleague sees \u{201c}Need admin approval\u{201d} at Entra ID and never comes back here. Then have an administrator open the address below; afterwards Entra ID leads to this page.",
    );
    if further > 0 {
        step = step.says(format!(
            "ASSAY_ENTRA_TENANTS lets people of {further} more director{} sign in; {}. Each consents for itself.",
            if further == 1 { "y" } else { "ies" },
            if came { "some of them have come" } else { "none of them has come yet" }
        ));
    }
    step.copies(azure::consent(app, settings))
}

pub(super) fn client(reader: &Reader<'_>) -> Step {
    let clients = reader.roster.tenants_on().count();
    let state = if clients > 0 { State::Done } else { State::ToDo };
    let step = step(
        state,
        Essential::Client.title(),
        "Evidence, findings and keys are by client: before one is there, nothing that a tool sends has a place.",
        "one client is there, and is not switched off.",
    )
    .says(match clients {
        0 => "No client is there yet. You need its name, and who is engineer and approver for it; both can be changed later.".to_owned(),
        1 => "1 client is there.".to_owned(),
        n => format!("{n} clients are there."),
    });
    let mut step =
        if clients == 0 { step.leads(paths::new_client(), "Add a client") } else { step.leads(paths::clients(), "See the clients") };
    step.view.blocks = clients == 0;
    step
}

pub(super) fn approvers(reader: &Reader<'_>, facts: &Facts) -> Step {
    let app = reader.app;
    let all = &facts.essentials.approvers;
    let state = if !all.is_empty() && all.iter().all(Approvers::suffice) { State::Done } else { State::ToDo };
    let named = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let lines = all.iter().flat_map(|one| {
        let who = format!("{}: approver {}; engineer {}.", one.client.name, named(&one.approvers), named(&one.engineers));
        [who].into_iter().chain(one.short.iter().cloned())
    });
    let mut step = step(
        state,
        Essential::Approvers.title(),
        "Nobody approves what they asked for themselves, so it takes two people: one who asks and one who decides.",
        "each client has as many approvers as its policy asks for, besides whoever asks.",
    )
    .lists(lines)
    .essential(Essential::Approvers, facts);
    let alone = reader.roster.people_who_may_sign_in(&app.config, app.now()).nth(1).is_none();
    if alone && app.config.entra().is_some() {
        step = step.says(format!(
            "You are the only one who can sign in. Send colleagues the address {}: they sign in once and ask to be let in, you answer under People, and then they can be given roles.",
            app.config.link("portal/clients")
        ));
        return step.leads(paths::team(), "See who asks, under People");
    }
    match all.iter().find(|one| !one.suffice()).or(all.first()) {
        Some(one) => step.leads(paths::people(one.client.id), &format!("Say who may do what for {}", one.client.name)),
        None => step.says("They are named with the first client.").leads(paths::new_client(), "Add a client"),
    }
}

pub(super) fn policy(reader: &Reader<'_>) -> Step {
    let version = |id| reader.roster.policy_mark(id).map_or(0, |mark| mark.version);
    let line = |name: &str, version: u32| match version {
        0 => format!("{name}: the default, one approval by somebody who did not ask."),
        n => format!("{name}: version {n}, as your people asked for and approved."),
    };
    let all: Vec<(String, u32)> = reader.roster.tenants_on().map(|client| (client.name.clone(), version(client.id))).collect();
    let state = if all.iter().any(|(_, version)| *version > 0) { State::Untold("Changed") } else { State::Untold("The default") };
    let readable = reader.roster.tenants_on().find(|client| reader.grants.iter().any(|grant| grant.tenant() == client.id));
    let step = step(
        state,
        "Approval policy",
        "It says for each kind of action how many people it takes and how long they have; the default is right for most.",
        "somebody has looked. Assay cannot see that, so this step counts for nothing.",
    )
    .lists(all.iter().map(|(name, version)| line(name, *version)));
    match readable {
        Some(client) => step.leads(paths::policy(client.id), &format!("Look at the policy of {}", client.name)),
        None => step.says("Its engineers and approvers see it on the client\u{2019}s page, under \u{201c}What needs whose approval\u{201d}, and ask there for another; you have no role that reads it."),
    }
}
