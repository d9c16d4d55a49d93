//! The certificate of destruction: what was destroyed, when and by whom, what remains, and what is not claimed.
//!
//! Issued once, and only when neither a backup of the database nor the vault can bring the keys back any more: both
//! windows are computed from what was recorded, and the vault is asked once more. It is plain text, signed ES256 under the
//! installation's key for receipts; its first line keeps it from being taken for anything else that this key signs.

use std::io::{Cursor, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use zip::{CompressionMethod, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::{
    Directory, Export, Known, Offboarding, OffboardingError,
    destroy::Destroyed,
    export, person, refused, say,
    steps::{self, Windows, day},
    vault_key::{self, Looked, Looks, Statement},
};
use crate::{
    audit::tlog::note,
    platform::ports::{PortError, PortErrorKind},
    tenancy::{
        PersonId, Record, Roster, StoreError, TenantId,
        signing::{self, SigningUse},
    },
};

/// As it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub tenant: TenantId,
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The exact text that was signed.
    pub text: String,
    pub kid: String,
    /// The public point of the key that signed it (65 bytes), base64.
    pub key: String,
    /// r and s (64 bytes), base64.
    pub signature: String,
}

impl Record for Certificate {
    const KIND: &'static str = "certificate";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// Issues it, if its time has come; once.
pub async fn issue(store: &Directory<'_>, known: &Known) -> Result<(), OffboardingError> {
    if known.certificate.is_some() {
        return Ok(());
    }
    let (by, app) = (person(store)?, store.app());
    let (offboarding, now) = (&known.under_way()?.value, app.now());
    let Some(destroyed) = known.destroyed.as_ref().map(|held| &held.value) else {
        return Err(refused("Its data keys are not destroyed. Nothing was issued."));
    };
    if !destroyed.raw_left.is_empty() {
        return Err(refused(
            "Raw bytes are still to be deleted: Assay goes on every five minutes, or press \u{201c}Destroy\u{201d} once more. Nothing was issued.",
        ));
    }
    let Some(windows) = steps::windows(offboarding, destroyed, app.config.offboarding) else {
        return Err(refused("The vault's key is not known to be deleted. Nothing was issued."));
    };
    if now < windows.end() {
        return Err(refused(format!("{} Nothing was issued.", why_not_yet(windows))));
    }
    let last_look = match vault_key::look(app, destroyed).await? {
        Looked::There(key) => {
            vault_key::is_back(store, known, &key).await?;
            return Err(vault_key::there());
        }
        Looked::Unsaid(why) if offboarding.statement.is_none() => return Err(why.refusal()),
        Looked::Unsaid(_) => "When this was issued, Assay could not look either.",
        Looked::Gone => "When this was issued, the vault said that it is not there.",
    };
    let roster = Roster::read(store).await?;
    let name = |id: PersonId| format!("{} (person {id})", roster.person_name(id));
    let address = app.config.public_url.as_str();
    let entered_by = offboarding.statement.as_ref().map(|statement| name(statement.by)).unwrap_or_default();
    let said = Said { address, at: now, by: &name(by), destroyed_by: &name(destroyed.by), entered_by: &entered_by, last_look };
    let text = text(destroyed, offboarding, windows, &said);
    let signed = signing::sign(app, SigningUse::Receipts, text.as_bytes()).await?;
    let key = signing::verifying_key(app, SigningUse::Receipts, &signed.kid).await?;
    let key = key.ok_or_else(|| StoreError::from(PortError::new("receipts", PortErrorKind::Missing)))?;
    let certificate = Certificate {
        tenant: known.client.id,
        by,
        at: now,
        text,
        kid: signed.kid,
        key: BASE64.encode(key.point()),
        signature: BASE64.encode(signed.signature),
    };
    let mut batch = store.batch(export::beside_keys(known));
    batch.create(&certificate);
    let detail = json!({
        "sha256": crate::tenancy::seal::sha256(certificate.text.as_bytes()), "kid": certificate.kid,
        "looks": offboarding.looks.as_ref().map(|looks| looks.count), "stated_by": offboarding.statement.as_ref().map(|one| one.who.clone()),
    });
    say(&mut batch, known, "client.offboarding.certified", detail);
    match batch.commit().await {
        // Sent twice at once: the first one stands.
        Err(error) if error.exists::<Certificate>(&certificate.key()) => Ok(()),
        other => Ok(other?),
    }
}

/// Why there is no certificate yet.
pub fn why_not_yet(windows: Windows) -> String {
    let Windows { backup, vault } = windows;
    format!(
        "Not before {}: a backup of the database may hold the wrapped data keys until {}, and the deleted key can be recovered in its vault until {}.",
        day(windows.end()),
        day(backup),
        day(vault)
    )
}

struct Said<'a> {
    address: &'a str,
    at: OffsetDateTime,
    by: &'a str,
    destroyed_by: &'a str,
    /// Who entered the statement that the vault key is deleted, if there is one.
    entered_by: &'a str,
    last_look: &'a str,
}

/// Plain text, lines of their own for what a program may look for.
fn text(destroyed: &Destroyed, offboarding: &Offboarding, windows: Windows, said: &Said<'_>) -> String {
    let Destroyed { tenant, client, off_at, log, entries, root, export, .. } = destroyed;
    let Said { address, at: issued, by, .. } = *said;
    let closed = export.not_possible.is_some();
    let its_end = if closed { format!("\n{LAST_PUBLISHED}\n{}", beside_its_copies(destroyed)) } else { String::new() };
    let raw_remains =
        if closed { "- The bytes that its evidence was read from, sealed under the installation's key: see above.\n" } else { "" };
    let not_in_it = if closed {
        "- That the earlier copies named above hold all of the client's records.".to_owned()
    } else {
        format!("- That the {} records that could not be opened when the export was taken are in it.", export.unreadable)
    };
    format!(
        "ASSAY CERTIFICATE OF DESTRUCTION 1

Client: {client}
Client id: {tenant}
Installation: {address}
Issued: {issued}, by {by}
Reason for the offboarding: {reason}

WHAT WAS DESTROYED
{destruction}
The client had been switched off since {off}.

WHY THE KEYS CANNOT COME BACK
A backup of the database may have held the wrapped keys until {backup}.
{vault}

THE CLIENT'S LOG
Name: {log}
Entries: {entries}
Root: {root}
{its_end}
WHAT REMAINS
- The log: its entries hold ids, pseudonyms and salted commitments, and it can still be verified.
{copies}
- The sealed records themselves, as ciphertext.
{raw_remains}- What the installation keeps under its own key: the client's name, who had which role for it, which company of which tool it
  was, what became of deliveries from those tools, and the installation's log.

WHAT THIS DOES NOT CLAIM
- That copies elsewhere are gone: exports, mails, the tools that the records came from, backups that somebody else made.
{days}
- That raw bytes of deliveries are gone that stood behind no record any more and did not wait when the keys were destroyed, that
  named no company, or whose note could not be opened.
- That any medium was sanitized in the sense of NIST SP 800-88.
{not_in_it}{other_keys}
",
        other_keys = if knows_its_keys(destroyed) { "" } else { OTHER_KEYS },
        issued = day(issued),
        reason = offboarding.reason,
        destruction = destruction(destroyed, said.destroyed_by),
        off = day(*off_at),
        backup = day(windows.backup),
        vault = why_not_the_vault(destroyed, offboarding, windows, said),
        copies = copies(export),
        days = whose_days(destroyed),
    )
}

/// Whose word the days are for which backups and deleted keys last.
fn whose_days(destroyed: &Destroyed) -> String {
    match destroyed.vault_says {
        Some(days) => format!(
            "- That the days for which backups last were as the settings say; whoever runs the installation answers for that. The vault
  said itself, before the keys were destroyed, that it keeps a deleted key for {days} days."
        ),
        None => {
            "- That the days for which backups and deleted keys last were as the settings say; whoever runs the installation answers for
  that: the vault did not say it."
                .into()
        }
    }
}

const LAST_PUBLISHED: &str =
    "That is how it was last published. The client's key could not be used when its data keys were destroyed, so what waited for
its place is not in it, and no entry of it says that they were.";

const OTHER_KEYS: &str = "\n- That no other key of a vault ever wrapped the client's data keys.";

/// How the end of a log that could only be read from outside agrees with the copies that nobody can take back.
fn beside_its_copies(destroyed: &Destroyed) -> String {
    match (&destroyed.log_alarm, destroyed.log_copy) {
        (Some(why), _) => format!(
            "ALARM: {why}.\nWhat its owner says of that: {}\nSo the length and the root above are NOT established as the end of this log: keep the copies, and compare them with every\ncheckpoint that anybody has.\n",
            destroyed.about_alarm.as_deref().unwrap_or("(not asked)")
        ),
        (None, None) => "It was not compared with the copies of its checkpoints.\n".into(),
        (None, Some(0)) => {
            "No copy of a checkpoint was there to compare it with, so an earlier state that was put back would not show.\n".into()
        }
        (None, Some(size)) => format!(
            "It agrees with the newest copy of a checkpoint, of {size} entries; whether more was published after that copy does not show.\n"
        ),
    }
}

/// Whether all vault keys that ever wrapped the data keys are known, as far as record and log can say.
fn knows_its_keys(destroyed: &Destroyed) -> bool {
    destroyed.vault_keys_compared && destroyed.unrecorded_vault_keys.is_empty()
}

fn about_its_keys(destroyed: &Destroyed) -> String {
    if !destroyed.unrecorded_vault_keys.is_empty() {
        return format!(
            "\nThe client's own record of its earlier vault keys was lost or put back: {} stood only in the installation's log.",
            destroyed.unrecorded_vault_keys.join(", ")
        );
    }
    if destroyed.vault_keys_compared {
        "\nThe installation's log names no other vault key for this client.".into()
    } else {
        "\nWhether other vault keys wrapped them before was not compared with the installation's log back to when the client was added."
            .into()
    }
}

fn destruction(destroyed: &Destroyed, by: &str) -> String {
    let Destroyed { at, epochs, vault_key, vault_version, raw, unread, export, .. } = destroyed;
    let at = day(*at);
    let keys = if *epochs == 0 {
        format!(
            "All data keys of this client (AES-256) were destroyed on {at} by {by}.
The one record that kept them, wrapped, was lost or damaged before, so how many there were is not known; a mark was put in its
place, under which no key is made anew.
Keys of a vault that were named for the client: {}.",
            Some(destroyed.vault_keys().collect::<Vec<_>>().join(", "))
                .filter(|keys| !keys.is_empty())
                .unwrap_or("none is known".to_owned())
        )
    } else {
        let others: Vec<&str> = destroyed.vault_keys().skip(1).collect();
        let others =
            if others.is_empty() { String::new() } else { format!("\nBefore, these vault keys wrapped them: {}.", others.join(", ")) };
        format!(
            "All data keys of this client (AES-256, numbers 1 to {epochs}) were destroyed on {at} by {by}.
They were kept in one record only, wrapped by the vault key {vault_key}, version {vault_version}; that record was overwritten.{others}"
        )
    };
    let others = about_its_keys(destroyed);
    let raw = if export.not_possible.is_some() {
        "NOT deleted: files of raw bytes that its evidence was read from. Its records, which name them, could not be opened. They are\nsealed under the installation's key.".to_owned()
    } else {
        format!("{raw} files of raw bytes that its evidence was read from were deleted.")
    };
    let unread = match unread {
        Some(files) => format!("{files} files of raw bytes"),
        None => "All files of raw bytes".to_owned(),
    };
    let unread = format!("{unread} of deliveries that had become no evidence were deleted: they waited for it, or carry a CUI marking.");
    format!(
        "{keys}{others}\nEvery record of the client and the content of its log was sealed under these keys, so nothing opens them any more.\n{raw}\n{unread}"
    )
}

fn why_not_the_vault(destroyed: &Destroyed, offboarding: &Offboarding, windows: Windows, said: &Said<'_>) -> String {
    let (until, gone) = (day(windows.vault), offboarding.vault_key_gone_at.map(day).unwrap_or_default());
    let keys = if destroyed.vault_keys().nth(1).is_some() { "vault keys were" } else { "vault key was" };
    let found = match &offboarding.statement {
        None => format!("The {keys} found deleted on {gone}, and could be recovered in the vault until {until}."),
        Some(Statement { who, since, writing, why, at, .. }) => format!(
            "Assay could not look whether the {keys} deleted: {why}. That it is deleted since {since} is the statement of
{who}, in writing: {writing}
It was entered on {} by {}; the days for which a deleted key can be recovered were counted from {gone}, until {until}.",
            day(*at),
            said.entered_by
        ),
    };
    let looks = offboarding.looks.as_ref().map(looks).unwrap_or_default();
    format!("{found}{looks}\n{}", said.last_look)
}

/// How often it was looked, as it stands in the certificate and on the page.
pub fn looks(looks: &Looks) -> String {
    let Looks { count, first, last, unsaid, .. } = looks;
    let said = match count {
        0 => String::new(),
        1 => format!("\nAssay looked once, on {}: the vault said that it is not there.", day(*last)),
        _ => format!(
            "\nAssay looked {count} times from {} to {}, at most once a day by itself: the vault said each time that it is not there.
A key that was recovered and deleted again between two looks would not show.",
            day(*first),
            day(*last)
        ),
    };
    let unsaid = if *unsaid == 0 { String::new() } else { format!("\nLooks that the vault gave no answer to: {unsaid}.") };
    said + &unsaid
}

fn copies(export: &Export) -> String {
    const SIX_YEARS: &str = "(32 CFR 170.16(c)(4) and 170.17(c)(4)); this installation cannot open the client's records any more.";
    let kept = export.kept_at.as_deref().unwrap_or("(not said)");
    let of = |one: &Export| format!("The export of {} ({} files; SHA-256 of its list of files: {})", day(one.at), one.files, one.manifest);
    let Some(why) = &export.not_possible else {
        return format!("- {}, kept, as its owner said, at: {kept}\n  It is to be kept for six years {SIX_YEARS}", of(export));
    };
    let earlier = export.earlier.as_ref().map(|one| {
        let kept = one.kept_at.as_deref().unwrap_or("(not said)");
        format!("\n  {}, kept, as was said then, at: {kept}", of(one))
    });
    format!(
        "- NO EXPORT was made at the end: on {} the client's key could not be used ({why}). Earlier copies, as its owner said: {kept}{}
  What there is, is to be kept for six years {SIX_YEARS}",
        day(export.at),
        earlier.unwrap_or_default()
    )
}

/// A P-256 public key as `SubjectPublicKeyInfo` (RFC 5480), before its point.
const SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

impl Certificate {
    /// The text, its signature and the key, in forms that `openssl` takes.
    pub fn zipped(&self) -> Result<Vec<u8>, OffboardingError> {
        let broken = || StoreError::from(PortError::new("certificate", PortErrorKind::Unreadable));
        let signature = BASE64.decode(&self.signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok()).ok_or_else(broken)?;
        let point = BASE64.decode(&self.key).map_err(|_| broken())?;
        // 27 bytes with the point's first one come out whole in base64, so the rest can be put behind it.
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{SPKI}{}\n-----END PUBLIC KEY-----\n", BASE64.encode(point.get(1..).unwrap_or_default()));
        let guide = format!(
            "openssl dgst -sha256 -verify key.pem -signature certificate.sig certificate.txt\n\nThe key in this folder proves nothing by itself: have the installation's key for receipts (kid {}) told to you another way.\n",
            self.kid
        );
        let files: [(&str, Vec<u8>); 4] = [
            ("certificate.txt", self.text.clone().into_bytes()),
            ("certificate.sig", note::der(&signature)),
            ("key.pem", pem.into_bytes()),
            ("VERIFY.txt", guide.into_bytes()),
        ];
        Ok(packed(&files).map_err(|_| broken())?)
    }
}

fn packed(files: &[(&str, Vec<u8>)]) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(format!("certificate-of-destruction/{name}"), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
