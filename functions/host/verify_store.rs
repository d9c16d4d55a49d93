//! `assay verify --store`: on the machine that has the store, whether all that happened is in the logs and whether the records
//! that people see are what the logs make of them (invariants G4, G5, G6). Changes nothing.
//!
//! Each log by itself, the installation's and each client's, also of one whose data keys were destroyed; what differs is looked
//! at once more, because a store that is in use changes under the look, and only what differs both times is said. Words go
//! through `say`; nothing here prints.

use std::collections::HashSet;

use time::OffsetDateTime;

use crate::{
    app::App,
    audit::{
        ended::{self, End},
        log_key::Signer,
        replay::{self, Outside, Replayed, Wrong},
        tlog::Checkpoint,
        trail::Shown,
    },
    custody::offboarding::{destroy::Destroyed, steps::day},
    evidence, gate, readiness,
    tenancy::{ClientPlace, DeploymentScope, Roster, Scope, StoreError, directory::Tenant, keys::Owner},
    triggers::sweep,
};

#[derive(Debug, thiserror::Error)]
pub enum VerifyStoreError {
    #[error("the installation's own records cannot be read")]
    Store(#[from] StoreError),
    #[error("the checkpoint that was kept is of no log here: {0}")]
    Seen(String),
    #[error("{faults} faults; each is named above")]
    Faults { faults: usize },
}

/// What one log came to.
struct Found {
    replayed: Replayed,
    /// When the data keys of a client were destroyed: then its log is all that can be looked at.
    ended: Option<OffsetDateTime>,
    compared: String,
    differences: Vec<String>,
}

const NAME: &str = "verify";

const NOT_COMPARED: &str = "Not compared: what stands in evidence records (only which revision is there), suggestions and scores (made anew from evidence), \
what people wrote in proposals beyond its hash, people's names and who owns the installation or runs the tools, connections and their settings: the log holds hashes of them or nothing.";

/// With what a person does about it where that is known.
fn why(error: &StoreError) -> String {
    match error {
        StoreError::Key { source, .. } => format!("{error}: {}", source.advice()),
        other => other.to_string(),
    }
}

/// Looks at every log.
pub async fn run(app: &App, outside: Outside<'_>, say: impl Fn(&str)) -> Result<(), VerifyStoreError> {
    let scope = DeploymentScope::of_function(NAME, NAME);
    let mut faults = 0;
    let (mut origins, mut closed) = (Vec::new(), Vec::new());
    let mut tell = |name: &str, found: Result<Found, StoreError>| match found {
        Ok(found) => {
            origins.push(found.replayed.origin.clone());
            faults += describe(name, &found, &say);
        }
        Err(error) => {
            faults += 1;
            say(&format!("{name}: cannot be looked at: {}", why(&error)));
        }
    };
    let first = Box::pin(deployment(app, &scope, outside)).await;
    tell("The installation", twice(first, async || Box::pin(deployment(app, &scope, outside)).await).await);
    let roster = Roster::read(&scope.store(app).await?).await?;
    for tenant in &roster.tenants {
        let first = Box::pin(client(app, tenant, outside)).await;
        let found = twice(first, async || Box::pin(client(app, tenant, outside)).await).await;
        if found.is_err() {
            closed.extend(Signer::find(app, Owner::Tenant(tenant.id)).await?.map(|signer| signer.origin().to_owned()));
        }
        tell(&format!("Client {} ({})", tenant.name, tenant.id), found);
    }
    say(NOT_COMPARED);
    if outside.keys.is_empty() {
        say("Signatures were checked with the keys that the store itself names: give --key to check them with keys from elsewhere.");
    }
    let kept = outside.seen.and_then(Checkpoint::parse_note).map(|seen| seen.origin);
    origins.extend(closed);
    if let Some(kept) = outside.seen.map(|_| kept.unwrap_or_else(|| "it is not a checkpoint".into())).filter(|kept| !origins.contains(kept))
    {
        return Err(VerifyStoreError::Seen(kept));
    }
    if faults == 0 { Ok(()) } else { Err(VerifyStoreError::Faults { faults }) }
}

/// Only what is wrong both times, in the words of the second look: on a store in use the numbers in them are others.
async fn twice(first: Result<Found, StoreError>, again: impl AsyncFnOnce() -> Result<Found, StoreError>) -> Result<Found, StoreError> {
    let first = first?;
    if first.differences.is_empty() && first.replayed.faults.is_empty() {
        return Ok(first);
    }
    let mut second = again().await?;
    let keys: HashSet<&str> = first.differences.iter().map(|words| key_of(words)).collect();
    second.differences.retain(|words| keys.contains(key_of(words)));
    let keys: HashSet<&str> = first.replayed.faults.iter().map(|fault| fault.key.as_str()).collect();
    second.replayed.faults.retain(|fault| keys.contains(fault.key.as_str()));
    Ok(second)
}

/// Of a difference, the record that it is of: how that stands on the two sides may be otherwise at the next look.
fn key_of(difference: &str) -> &str {
    /// One for each decision, and nothing in it moves.
    const DECISION: &str = " has a decision by ";
    if difference.contains(DECISION) {
        return difference;
    }
    let ends = [" is ", " has ", " rests on ", " stands by the log"].into_iter().filter_map(|verb| difference.find(verb));
    ends.min().map_or(difference, |end| &difference[..end])
}

async fn deployment(app: &App, scope: &DeploymentScope, outside: Outside<'_>) -> Result<Found, StoreError> {
    let store = scope.store(app).await?;
    let places = sweep::every_place(app, scope).await?;
    let (mut access, mut gaps) = (gate::authority::fold::Fold::default(), Gaps::default());
    let replayed = Box::pin(replay::replay(&store, places, outside, &mut |event| {
        access.take(event);
        gaps.take(event);
    }))
    .await?;
    let found = access.compare(&store).await?;
    let compared = format!(
        "the access of {} people, the clients that are off and {} grants are what the log makes of them",
        found.people, found.grants
    );
    Ok(Found { replayed: gaps.added_to(replayed), ended: None, compared, differences: found.differences })
}

async fn client(app: &App, tenant: &Tenant, outside: Outside<'_>) -> Result<Found, StoreError> {
    let store = match Scope::of_command(tenant, NAME).store(app).await {
        Err(StoreError::Destroyed { .. }) => return let_go(app, tenant, outside).await,
        other => other?,
    };
    let (mut gate, mut readiness, mut gaps) = (gate::fold::Fold::default(), readiness::fold::Fold::default(), Gaps::default());
    let replayed = Box::pin(replay::replay(&store, ClientPlace::with_outbox(), outside, &mut |event| {
        gate.take(event);
        readiness.take(event);
        gaps.take(event);
    }))
    .await?;
    let of_gate = gate.compare(&store).await?;
    let (objectives, differences) = readiness.compare(&store).await?;
    let put_back = evidence::check(&store).await?;
    let compared = format!(
        "{} proposals with their decisions, the policy and {objectives} objectives are what the log makes of them, and no evidence record is older than it says",
        of_gate.count
    );
    let installation = DeploymentScope::of_function(NAME, NAME).store(app).await?;
    let was_destroyed = Destroyed::of(&installation, tenant.id).await?.map(|Destroyed { at, .. }| {
        format!("its data keys were destroyed on {}, and a record of them is there again: Assay's next sweep overwrites it", day(at))
    });
    let differences = of_gate.differences.into_iter().chain(differences).chain(put_back.iter().map(evidence::PutBack::words));
    let differences = differences.chain(was_destroyed).collect();
    Ok(Found { replayed: gaps.added_to(replayed), ended: None, compared, differences })
}

/// Of one whose data keys were destroyed.
async fn let_go(app: &App, tenant: &Tenant, outside: Outside<'_>) -> Result<Found, StoreError> {
    let store = DeploymentScope::of_function(NAME, NAME).store(app).await?;
    let destroyed = Destroyed::of(&store, tenant.id).await?;
    let end = destroyed.as_ref().and_then(|Destroyed { entries, root, log_copy, .. }| {
        Some(End { entries: *entries, root: root.parse().ok()?, copied: log_copy.unwrap_or_default() })
    });
    let Some((end, Destroyed { at, .. })) = end.zip(destroyed) else {
        return Err(StoreError::Destroyed { owner: tenant.id.to_string() });
    };
    let replayed = Box::pin(ended::ended(app, Owner::Tenant(tenant.id), end, outside)).await?;
    let compared = "Nobody opens its records any more, so none was compared".to_owned();
    Ok(Found { replayed, ended: Some(at), compared, differences: Vec::new() })
}

/// What the log says of itself: items that the sequencer missed.
#[derive(Default)]
struct Gaps(Vec<Wrong>);

impl Gaps {
    fn take(&mut self, event: &Shown) {
        if event.kind == "log.gap" {
            let place = event.place.map_or_else(|| "an item that waits".into(), |place| format!("entry {}", place.seq));
            let words = format!("the log itself says at {} ({place}): {}", event.at, event.detail["why"].as_str().unwrap_or_default());
            self.0.push(Wrong::new(format!("gap {}", event.at), words));
        }
    }

    fn added_to(self, mut replayed: Replayed) -> Replayed {
        replayed.faults.extend(self.0);
        replayed
    }
}

/// Says it in words; how many faults it has.
fn describe(name: &str, found: &Found, say: &impl Fn(&str)) -> usize {
    let Found { replayed, ended, compared, differences } = found;
    let Replayed { entries, published, waiting, oldest, judged, faults, .. } = replayed;
    if faults.is_empty() {
        let by = if *judged { "with the keys that were given" } else { "with the store's own keys" };
        let whole = format!(
            "{name}: {entries} entries, none changed, moved, dropped or repeated; {published} of them are published under a checkpoint that holds {by}; "
        );
        let end = match ended {
            Some(at) => format!("so it ended when its data keys were destroyed, on {}.", day(*at)),
            None => "every audit item that was written is in the log or waits.".into(),
        };
        say(&(whole + &end));
    }
    if let Some(oldest) = oldest {
        say(&format!("  {waiting} wait for their place, the oldest since {oldest}: Assay gives it to them when it runs."));
    }
    for fault in faults {
        say(&format!("{name}: LOG: {}", fault.words));
    }
    if differences.is_empty() && faults.is_empty() {
        say(&format!("  {compared}."));
    }
    for difference in differences {
        say(&format!("{name}: RECORDS: {difference}"));
    }
    faults.len() + differences.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_wrong_both_times_is_said_in_the_second_words_although_the_numbers_moved() {
        let look = |faults: &[(&str, &str)], differences: &[&str]| Found {
            replayed: Replayed { faults: faults.iter().map(|(key, words)| Wrong::new(*key, *words)).collect(), ..Replayed::default() },
            ended: None,
            compared: String::new(),
            differences: differences.iter().map(|words| (*words).to_owned()).collect(),
        };
        let first = look(
            &[("shorter than x", "x has 9 entries and the store knows 5"), ("missing in a", "gone from a")],
            &[
                "proposal 1 (A) is rejected in the store, and the last that the log says of it is created",
                "proposal 2 (B) is open in the store",
            ],
        );
        let second = look(
            &[("shorter than x", "x has 9 entries and the store knows 6"), ("missing in b", "gone from b")],
            &[
                "proposal 1 (A) is rejected in the store, and the last that the log says of it is approved",
                "proposal 3 (C) is open in the store",
            ],
        );
        let found = twice(Ok(first), async || Ok(second)).await.expect("both were read");
        assert_eq!(found.replayed.faults, [Wrong::new("shorter than x", "x has 9 entries and the store knows 6")]);
        assert_eq!(found.differences, ["proposal 1 (A) is rejected in the store, and the last that the log says of it is approved"]);
    }

    #[test]
    fn differences_of_two_records_or_of_two_decisions_are_not_one() {
        for (one, other, same) in [
            (
                "objective 3.4.1[d] is MET in the store, and NOT MET by the log",
                "objective 3.4.1[d] is MET in the store, and undecided by the log",
                true,
            ),
            ("objective 3.4.1[d] is MET in the store", "objective 3.4.2[d] is MET in the store", false),
            (
                "proposal 1 (A) has 0 decisions in the store, and 1 in the log",
                "proposal 1 (A) has 0 decisions in the store, and 2 in the log",
                true,
            ),
            (
                "proposal 1 (A) has a decision by Sam (approved) in the store that",
                "proposal 1 (A) has a decision by Dana (approved) in the store that",
                false,
            ),
            ("the policy in the store is version 7, and", "the policy in the store is version 8, and", true),
        ] {
            assert_eq!(key_of(one) == key_of(other), same, "{one}");
        }
        let whole = "where the client stands says otherwise of objective 3.1.1[a] than the objective's own record";
        assert_eq!(key_of(whole), whole);
    }
}
