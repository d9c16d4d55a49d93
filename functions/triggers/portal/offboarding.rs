//! Offboarding a client: only the owner does, step by step, and signs in anew for each.

use std::io;

use super::Reader;
use crate::{
    audit::ExportError,
    connectors::{mapping, unread},
    custody::offboarding::{
        self, Export, Known, MOST_CHARS, OffboardingError,
        certificate::{looks, why_not_yet},
        destroy, export, no_export,
        steps::{self, Stand, day},
        vault_key::{self, Stated},
    },
    platform::key_uri::KeyUri,
    tenancy::{
        Actor, KeyTrouble, Scope, TenantId,
        directory::Grant,
        keys::{self, Owner},
    },
    web::{
        Problem, Reply,
        pages::{Field, FieldKind, Link, OffboardingPage, Section, StepForm, StepView, Tag, Tone, paths},
        reply,
    },
};

/// How a person deletes the key.
fn command(key: &str) -> String {
    match KeyUri::parse(key) {
        Some(key) => format!("az keyvault key delete --id {}", key.url()),
        None => format!("rm vault/{key}.json"),
    }
}

/// A copy that a page gives is built in memory.
const MOST_BYTES: usize = 200_000_000;

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let known = known(reader, tenant).await?;
    page(reader, &known, None).await
}

/// A form's own address, opened again, is the page.
pub(super) fn back(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    Ok(reply::redirect(&paths::offboarding(tenant.parse().map_err(|_| Problem::not_found())?)))
}

pub(super) async fn certificate(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let known = known(reader, tenant).await?;
    let certificate = known.certificate.as_ref().ok_or_else(Problem::not_found)?;
    let zip = certificate.zipped().map_err(|_| Problem::unavailable())?;
    Ok(download(zip, &format!("certificate-of-destruction-{}", known.client.id)))
}

pub(super) async fn act(reader: &Reader<'_>, tenant: &str, step: &str) -> Result<Reply, Problem> {
    let known = known(reader, tenant).await?;
    reader.must_be_own_form(&["offboarding", &known.client.id.to_string(), step])?;
    let store = reader.deployment().await?;
    let outcome = match step {
        "begin" => offboarding::begin(&store, &known, &reader.field("reason")).await,
        "export" => return take(reader, &known).await,
        "no-export" => no_export::note(&store, &known, &reader.field("copies")).await,
        "keep" => offboarding::keep(&store, &known, &reader.field("place"), &reader.field("sha256")).await,
        "switch-off" => offboarding::switch_off(&store, &known).await,
        "take-back" => offboarding::take_back(&store, &known).await,
        "destroy" => Box::pin(end(reader, &known)).await,
        "look" => vault_key::note(&store, &known, None).await,
        "state" => {
            let [who, since, writing] = ["who", "since", "writing"].map(|name| reader.field(name));
            vault_key::note(&store, &known, Some(Stated { who: &who, since: &since, writing: &writing })).await
        }
        "certify" => Box::pin(offboarding::certificate::issue(&store, &known)).await,
        _ => return Err(Problem::not_found()),
    };
    match outcome {
        Ok(()) => {
            if step == "take-back" {
                // What this does not get to, the sweep does.
                mapping::release_forgotten(reader.app, reader.correlation()).await?;
            }
            Ok(reader.back_to(&paths::offboarding(known.client.id), "done", step))
        }
        Err(error) => not_done(reader, &known, error).await,
    }
}

async fn end(reader: &Reader<'_>, known: &Known) -> Result<(), OffboardingError> {
    let (store, about) = (reader.deployment().await?, reader.field("about"));
    let Some(off) = known.off.as_ref().filter(|_| known.destroyed.is_none()) else {
        return destroy::destroy(&store, None, known, &about, Vec::new()).await;
    };
    // Its notes go with the next sweep.
    let unread = Box::pin(unread::raw_names(&store, known.client.id)).await?;
    if keys::lasting_trouble(reader.app, Owner::Tenant(known.client.id)).await?.is_some() {
        return destroy::destroy(&store, None, known, &about, unread).await;
    }
    let client = reader.ending_scope(&off.value).store(reader.app).await?;
    destroy::destroy(&store, Some(&client), known, &about, unread).await
}

async fn take(reader: &Reader<'_>, known: &Known) -> Result<Reply, Problem> {
    let store = reader.deployment().await?;
    let Some(grant) = grant(reader, known.client.id) else {
        let why = "The export holds all of the client's record, and you have no role that reads it. Give yourself one under \u{201c}People of\u{201d} the client; that stands in the audit trail. Nothing was exported.";
        return not_done(reader, known, OffboardingError::Refused(why.into())).await;
    };
    let client = Scope::of_person(grant, reader.correlation()).store(reader.app).await?;
    match Box::pin(export::zipped(&store, &client, known, MOST_BYTES)).await {
        Ok(zip) => Ok(download(zip, &format!("client-{}", known.client.id))),
        Err(error) => not_done(reader, known, error).await,
    }
}

/// The reader's own, also while the client is switched off.
fn grant<'r>(reader: &'r Reader<'_>, tenant: TenantId) -> Option<&'r Grant> {
    reader.grants.iter().chain(&reader.resting).find(|grant| grant.tenant() == tenant)
}

async fn not_done(reader: &Reader<'_>, known: &Known, error: OffboardingError) -> Result<Reply, Problem> {
    let why = match error {
        OffboardingError::Refused(why) => why,
        OffboardingError::Store(error) if error.is_conflict() => {
            "Somebody else changed this at the same moment. Look at what stands below, and go on from there.".into()
        }
        OffboardingError::Export(ExportError::Incomplete { .. }) => {
            "Entries of the client's log are being given their place just now, so a copy would miss them. Nothing was done: try again in half a minute.".into()
        }
        OffboardingError::Export(ExportError::Write(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            format!(
                "Its records are more than a page can give at once (200 MB). Nothing was exported. Whoever runs Assay takes the export with the command: assay {} --of {} --out DIR. Then say here where it is kept.",
                export::COMMAND,
                known.client.id
            )
        }
        OffboardingError::Export(error) => {
            tracing::warn!(error = %error, "a client is not exported");
            return Err(match error {
                ExportError::Store(error) => error.into(),
                _ => Problem::unavailable(),
            });
        }
        OffboardingError::Store(error) => return Err(error.into()),
    };
    // As it stands now, whoever changed it.
    let now = self::known(reader, &known.client.id.to_string()).await?;
    page(reader, &now, Some(why)).await
}

fn download(zip: Vec<u8>, name: &str) -> Reply {
    reply::file("application/zip", zip).with("content-disposition", format!("attachment; filename=\"{name}.zip\""))
}

async fn known(reader: &Reader<'_>, tenant: &str) -> Result<Known, Problem> {
    must_own(reader)?;
    let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    offboarding::read(&reader.deployment().await?, id).await?.ok_or_else(Problem::not_found)
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner offboards a client. Nothing was done; ask them."))
}

async fn page(reader: &Reader<'_>, known: &Known, error: Option<String>) -> Result<Reply, Problem> {
    let id = known.client.id;
    let days = reader.app.config.offboarding;
    let record = known.held.as_ref().map(|held| &held.value);
    let destroyed = known.destroyed.as_ref().map(|held| &held.value);
    let stands = steps::stands(record, destroyed, known.certificate.as_ref(), days, reader.app.now());
    let (later, trouble) = (later(reader, known).await, trouble(reader, known).await);
    let alarm = if trouble.is_some() { no_export::end_of_log(reader.app, Owner::Tenant(id)).await?.alarm } else { None };
    let view = View { reader, known, later, trouble, alarm };
    let steps = [view.begin(), view.export(), view.off(), view.destroy(), view.vault_key(), view.certificate()];
    let page = OffboardingPage {
        frame: reader.frame(Section::Clients).await?,
        client: known.client.name.clone(),
        clients_href: paths::clients(),
        people_href: paths::people(id),
        steps: steps.into_iter().zip(stands).map(|(step, stand)| StepView { tag: tag(stand), ..step.at(stand) }).collect(),
        take_back: record
            .filter(|record| destroyed.is_none() && record.destroying_at.is_none())
            .map(|_| view.form("take-back", "Take the offboarding back")),
        notice: reader.done("done").filter(|_| error.is_none()).map(|_| match (record, destroyed) {
            (None, None) => "Taken back: the client is on, and what waited for it is taken in.",
            _ => "Done. What comes next is marked below.",
        }),
        error,
    };
    Ok(reply::page(if page.error.is_some() { 409 } else { 200 }, &page))
}

/// What was recorded after the export, as far as it can be read now.
async fn later(reader: &Reader<'_>, known: &Known) -> Option<usize> {
    let (export, off) = (known.held.as_ref()?.value.export.as_ref()?, known.off.as_ref()?);
    if known.destroyed.is_some() {
        return None;
    }
    let client = reader.ending_scope(&off.value).store(reader.app).await.ok()?;
    export::recorded_since(&client, export.entries).await.ok()
}

/// Why no export can be made, asked only while one may be wanted.
async fn trouble(reader: &Reader<'_>, known: &Known) -> Option<KeyTrouble> {
    if known.held.is_none() || known.destroyed.is_some() {
        return None;
    }
    // What passes by itself is no reason.
    keys::lasting_trouble(reader.app, Owner::Tenant(known.client.id)).await.ok().flatten()
}

fn tag(stand: Stand) -> Tag {
    match stand {
        Stand::Done(_) => Tag::new(Tone::Met, "Done"),
        Stand::Now => Tag::new(Tone::Wait, "Next"),
        Stand::Waits(until) => Tag::new(Tone::Wait, format!("Not before {}", day(until))),
        Stand::Later => Tag::new(Tone::Unknown, "Later"),
    }
}

struct View<'v, 'r> {
    reader: &'v Reader<'r>,
    known: &'v Known,
    later: Option<usize>,
    trouble: Option<KeyTrouble>,
    /// Why the end of a log is in doubt that can only be read from outside.
    alarm: Option<String>,
}

/// A step before it is known where it stands: its forms are shown when it can be taken.
struct Step {
    view: StepView,
    /// Also when it was taken.
    again: bool,
}

impl Step {
    fn of(title: &'static str, lines: Vec<String>) -> Self {
        let (tag, forms) = (Tag::new(Tone::Unknown, ""), vec![]);
        Self { view: StepView { title, tag, lines, command: None, forms, link: None, text: None }, again: false }
    }

    fn at(mut self, stand: Stand) -> StepView {
        let open = matches!(stand, Stand::Now) || self.again && matches!(stand, Stand::Done(_));
        if !open {
            self.view.forms.clear();
        }
        if matches!(stand, Stand::Later | Stand::Done(_)) {
            self.view.command = None;
        }
        self.view
    }
}

impl View<'_, '_> {
    fn form(&self, step: &str, label: &'static str) -> StepForm {
        let id = self.known.client.id;
        let token = self.reader.token(&["offboarding", &id.to_string(), step]);
        StepForm { action: paths::offboarding_step(id, step), token, fields: vec![], label, is_final: false }
    }

    fn field(&self, name: &'static str, label: &'static str, hint: &str, kind: FieldKind) -> Field {
        Field::new(name, label, hint, kind, self.reader.field(name)).required()
    }

    fn begin(&self) -> Step {
        let lines = match &self.known.held {
            Some(held) => {
                let one = &held.value;
                vec![format!("Begun {} by {}: {}", day(one.begun_at), self.reader.roster.person_name(one.begun_by), one.reason)]
            }
            None => vec!["Say why. Nothing changes for anybody yet.".into()],
        };
        let mut step = Step::of("Begin", lines);
        let reason = self.field(
            "reason",
            "Reason",
            "Such as the end of the contract. It stands in the audit trail and in the certificate.",
            FieldKind::Prose(MOST_CHARS),
        );
        step.view.forms.push(StepForm { fields: vec![reason], ..self.form("begin", "Begin to offboard") });
        step
    }

    fn export(&self) -> Step {
        let mut lines = vec![
            "One file with the client's log and its proofs, every record, the bytes that evidence was read from, and a list of all files with their hashes. The rule asks that artifacts be kept for six years (32 CFR 170.16(c)(4) and 170.17(c)(4)).".to_owned(),
        ];
        let export = self.known.held.as_ref().and_then(|held| held.value.export.as_ref());
        let taken = export.filter(|export| export.not_possible.is_none());
        if let Some(export) = export {
            lines.extend(self.said_of(export));
        }
        if self.later.is_some_and(|later| later > 0) && taken.is_some() {
            lines.push("Something was recorded after it was taken: take it again before the data keys are destroyed.".into());
        }
        match self.trouble {
            Some(trouble) => {
                lines.push(format!("It cannot be taken now. {}", trouble.sentence()));
                lines.push("If that will stay so, say below which earlier copies there are. The other steps then follow without an export, and the certificate says so: nothing more can be written into the client's log, and the raw bytes that its evidence was read from cannot be told from those of others, so they are not deleted.".into());
            }
            None if export.is_some() && taken.is_none() && self.known.destroyed.is_none() => {
                lines.push("Its key can be used again: take the export after all.".into());
            }
            None => {}
        }
        let mut step = Step::of("Export, and keep the export", lines);
        step.again = self.known.destroyed.is_none();
        if self.trouble.is_some() {
            let hint =
                "Such as the monthly exports on which disk, or that there are none. It stands in the audit trail and in the certificate.";
            let copies = self.field("copies", "Earlier copies, and where they are kept", hint, FieldKind::Prose(MOST_CHARS));
            step.view.forms.push(StepForm { fields: vec![copies], ..self.form("no-export", "No export can be made") });
            return step;
        }
        step.view.forms.push(self.form("export", "Download the export"));
        if taken.is_some() {
            let place = self.field("place", "Where it is kept", "As your people will find it in six years.", FieldKind::Text);
            let hash = self.field(
                "sha256",
                "SHA-256 of the file MANIFEST.sha256",
                "Compute it from the copy that you keep: sha256sum MANIFEST.sha256",
                FieldKind::Text,
            );
            step.view.forms.push(StepForm { fields: vec![place, hash], ..self.form("keep", "It is kept there") });
        }
        step
    }

    fn said_of(&self, export: &Export) -> Vec<String> {
        let by = match &export.by {
            Actor::Person(id) => self.reader.roster.person_name(*id),
            Actor::Function(name) => format!("the command assay {name}"),
            other @ Actor::Connection(_) => other.to_string(),
        };
        let mut lines = Vec::new();
        if let Some(why) = &export.not_possible {
            let copies = export.kept_at.as_deref().unwrap_or_default();
            lines.push(format!("No export could be made (key: {why}), said {} by {by}. Earlier copies: {copies}", day(export.at)));
            lines.push(format!("The client's log as it was last published: {} entries, root {}.", export.entries, export.root));
            lines.extend(export.earlier.iter().flat_map(|earlier| self.said_of(earlier)));
            return lines;
        }
        lines.push(format!(
            "Taken {} by {by}: {} files, {} entries of the log. SHA-256 of its list of files: {}",
            day(export.at),
            export.files,
            export.entries,
            export.manifest
        ));
        if export.unreadable > 0 {
            lines.push(format!("{} records did not open, so are not in it; NOT-EXPORTED.txt in it names them.", export.unreadable));
        }
        lines.push(match &export.kept_at {
            Some(place) => format!("Kept at: {place}"),
            None => "Nobody has said yet where it is kept.".into(),
        });
        lines
    }

    fn off(&self) -> Step {
        let held = self.known.held.as_ref().map(|held| &held.value);
        let mut lines = vec![
            "From the next request on nobody reads, changes or decides anything of this client, its tools are not read, and messages about it wait. What its tools send waits, sealed, the newest of each record. Other clients are not affected.".to_owned(),
        ];
        match held.and_then(|one| one.off_at.zip(one.destroy_from)) {
            Some((at, from)) => lines.push(format!("Off since {}. Its data keys can be destroyed from {} on.", day(at), day(from))),
            None => lines.push(format!("Its data keys can be destroyed {} days after that.", self.reader.app.config.offboarding.wait)),
        }
        let mut step = Step::of("Switch the client off", lines);
        step.view.forms.push(StepForm { is_final: true, ..self.form("switch-off", "Switch this client off") });
        step
    }

    fn destroy(&self) -> Step {
        let destroyed = self.known.destroyed.as_ref().map(|held| &held.value);
        let mut lines = match destroyed {
            Some(one) => {
                let (by, at) = (self.reader.roster.person_name(one.by), day(one.at));
                let which = match one.epochs {
                    0 => "all data keys, whose record was lost or damaged".to_owned(),
                    epochs => format!("data keys 1 to {epochs}"),
                };
                let mut lines =
                    vec![format!("Destroyed {at} by {by}: {which}. The client's log ends with {} entries, root {}.", one.entries, one.root)];
                if one.export.not_possible.is_some() {
                    lines.extend(one.log_alarm.iter().map(|why| format!("ALARM about the end of its log: {why}.")));
                    lines.extend(one.about_alarm.iter().map(|said| format!("What was said of that: {said}")));
                    lines.push("No entry of that log says so, since nothing could be sealed for it, and the raw bytes that its evidence was read from were not deleted; those of what still waited for it are.".into());
                }
                lines
            }
            None => vec!["All data keys of the client, at once. After that nobody can read its records or add to its log, and nobody can take it back. What its tools sent while it was off goes with them, and is in no export. Ask its tools before to send nothing more.".into()],
        };
        let mut form = StepForm { is_final: true, ..self.form("destroy", "Destroy the data keys for good") };
        if let Some(why) = &self.alarm {
            lines.push(format!("ALARM about the end of its log: {why}. Once the data keys are destroyed, nothing can be added to that log. Put back what is missing first, or say below what is known of it."));
            let hint = "Such as who put what back, and when. It stands in the audit trail and in the certificate, beside the alarm.";
            form.fields.push(self.field("about", "What is known of the alarm", hint, FieldKind::Prose(MOST_CHARS)));
        }
        let mut step = Step::of("Destroy its data keys", lines);
        step.again = destroyed.is_some_and(|one| !one.raw_left.is_empty());
        if let Some(one) = destroyed.filter(|one| !one.raw_left.is_empty()) {
            let left = one.raw_left.len();
            step.view
                .lines
                .push(format!("Of {} files with raw bytes {left} are still to be deleted; Assay goes on every five minutes.", one.files()));
        }
        step.view.forms.push(form);
        step
    }

    fn vault_key(&self) -> Step {
        let destroyed = self.known.destroyed.as_ref().map(|held| &held.value);
        let gone = self.known.held.as_ref().and_then(|held| held.value.vault_key_gone_at);
        let mut lines = vec!["Assay can make and use keys of a vault, and delete none: a person with Key Vault Crypto Officer on the vault does, or the client in its own vault. Then Assay looks whether the key is gone.".to_owned()];
        let held = self.known.held.as_ref().map(|held| &held.value);
        match held.and_then(|held| held.statement.as_ref()) {
            Some(one) => lines.push(format!(
                "Deleted since {}, as {} states, in writing: {}. Assay could not look: {}. Entered {} by {}.",
                one.since,
                one.who,
                one.writing,
                one.why,
                day(one.at),
                self.reader.roster.person_name(one.by)
            )),
            None => lines.extend(gone.map(|gone| format!("Found deleted {}.", day(gone)))),
        }
        if gone.is_some() && self.known.certificate.is_none() {
            lines.push("Assay looks once a day until the certificate is issued. A key that is there again was recovered: then its days begin anew when it is deleted the next time.".into());
        }
        lines.extend(held.and_then(|held| held.looks.as_ref()).map(looks).filter(|said| !said.is_empty()));
        let mut step = Step::of("Delete its vault key", lines);
        step.again = self.known.certificate.is_none();
        step.view.command =
            destroyed.map(|one| one.vault_keys().map(command).collect::<Vec<_>>().join(" && ")).filter(|text| !text.is_empty());
        step.view.forms.push(self.form("look", if gone.is_some() { "Look once more" } else { "It is deleted: look now" }));
        let who = self.field("who", "Who states that it is deleted", "A person or company, such as the client's own.", FieldKind::Text);
        let since = self.field("since", "Deleted since", "The day, as they state it.", FieldKind::Date);
        let hint = "Such as a letter with its date and place. Only where the vault does not let Assay look; the certificate then says whose word it is.";
        let writing = self.field("writing", "Where that stands in writing", hint, FieldKind::Text);
        step.view.forms.push(StepForm { fields: vec![who, since, writing], ..self.form("state", "Assay cannot look: record their word") });
        step
    }

    fn certificate(&self) -> Step {
        let days = self.reader.app.config.offboarding;
        let mut lines = vec![format!(
            "Says what was destroyed, when and by whom, what remains and what it does not claim, signed by this installation. It waits until no backup of the database ({} days) and no recovery of the vault key ({} days) can bring the keys back.",
            days.backup, days.vault
        )];
        let record = self.known.held.as_ref().map(|held| &held.value);
        let destroyed = self.known.destroyed.as_ref().map(|held| &held.value);
        let windows = record.zip(destroyed).and_then(|(one, destroyed)| steps::windows(one, destroyed, days));
        if let Some(windows) = windows.filter(|windows| windows.end() > self.reader.app.now()) {
            lines.push(why_not_yet(windows));
        }
        let mut step = Step::of("Certificate of destruction", lines);
        match &self.known.certificate {
            Some(one) => {
                let address = paths::offboarding_step(self.known.client.id, "certificate");
                step.view.lines.push(format!("Issued {} by {}.", day(one.at), self.reader.roster.person_name(one.by)));
                step.view.link = Some(Link::new(address, "Download it with its signature"));
                step.view.text = Some(one.text.clone());
            }
            None => step.view.forms.push(self.form("certify", "Issue the certificate")),
        }
        step
    }
}
