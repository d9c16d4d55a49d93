//! The stored form of an owner's data keys: the newest wrapped by a vault key, the older ones sealed under the newest, all
//! bound to the owner.
//!
//! RSA binds no additional data, so the record carries a MAC that only the newest data key itself can make, over its
//! owner, the vault key's name and version and everything else in it. A record that was copied to another owner, or
//! whose words were changed, is unreadable. One vault call opens all of an owner's data keys, and destroying this one
//! record destroys them all.
//!
//! Anybody can wrap a data key of their own making with the public half of a vault key, and make its MAC. So the record
//! is signed too (ES256, the receipts' key, a tag of its own), over its owner, what is wrapped, the epoch with its
//! beginning, and the regions; the vault unwraps nothing that is not. Not signed: the count of seals, which is written
//! often, and the older keys; both change with the newest data key only, which the signature fixes.
//!
//! In place of destroyed data keys stands a word that is neither sealed nor signed: the record of the destruction beside it
//! is what counts ([`ended`]), so that one who can write the database makes nobody delete what is the client's.
//!
//! Records of earlier releases are not signed, so they are taken only while a person says so (`ASSAY_UNSIGNED_KEYS_UNTIL`):
//! schema 3 has the rest of this one, schema 2 one data key and a MAC over owner and vault key; schema 1 (the file vault)
//! no MAC, there the vault itself binds the key's name, which must then be the owner's.
//!
//! What this cannot show: an earlier record of the same owner that is put back. What was sealed under a later data key does
//! not open then, and the sweep looks for it ([`crate::custody::watch`], and `care` for vault key and regions).

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{
    StoreError, ended,
    epoch_key::EpochKey,
    keys::Owner,
    regions::Regions,
    seal::{Binding, DataKey, Form, SealError, tag, tag_holds},
    signing::{self, SigningUse},
};
use crate::{
    app::App,
    platform::ports::{PortError, PortErrorKind, Wrapped},
};

/// The id of the document, and its kind.
pub(super) const DOCUMENT: &str = "data-key";

/// What a trouble with its signature is about.
pub(super) const SIGNATURE: &str = "signature of the data-key record";

/// Signed.
const SCHEMA: u32 = 4;
/// None any more. An earlier release calls it newer, and makes no key.
const TOMBSTONE: u32 = 5;
/// Several data keys, and a MAC.
const UNSIGNED: u32 = 3;
/// One data key, and a MAC.
const ONE_KEY: u64 = 2;
/// Bound by the file vault only.
const WITHOUT_MAC: u64 = 1;

/// The first word of what is authenticated, so that no other MAC of the same key can stand here.
const WORD_2: &[u8] = b"assay data-key record 2";
const WORD_3: &[u8] = b"assay data-key record 3";
/// The first word of what is signed.
const TAG: &[u8] = b"assay data-key record 4";

pub(super) struct KeyRecord {
    pub(super) wrapped: Wrapped,
    stored: Stored,
}

enum Stored {
    WithoutMac,
    OneKey {
        mac: Vec<u8>,
    },
    /// `None`: an earlier release wrote it, which did not sign.
    Keys {
        keys: Keys,
        mac: Vec<u8>,
        signature: Option<Signature>,
    },
}

struct Signature {
    kid: String,
    /// r and s.
    bytes: Vec<u8>,
}

/// What a record of several data keys says beside the wrapped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Of the newest.
    pub(super) epoch: u32,
    /// Since when it seals.
    pub(super) since: OffsetDateTime,
    /// How often it sealed, as far as the processes told.
    pub(super) seals: u64,
    /// Where it may be unwrapped.
    pub(super) regions: Regions,
    /// The earlier ones, sealed under the newest; empty when there is none.
    older: String,
}

/// What is said about an owner's data keys.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) since: OffsetDateTime,
    pub(super) seals: u64,
    pub(super) regions: Regions,
}

impl Keys {
    fn new(owner: &str, key: &DataKey, about: About) -> Result<Self, SealError> {
        let About { since, seals, regions } = about;
        let (newest, older) = key.epochs().split_last().ok_or(SealError::Form)?;
        let older = if older.is_empty() {
            String::new()
        } else {
            let kept = DataKey::of(Form::S3, older.iter().map(EpochKey::again).collect::<Result<_, _>>()?)?.kept();
            DataKey::of(Form::S3, vec![newest.again()?])?.seal(&ring(owner), &kept)?
        };
        Ok(Self { epoch: newest.epoch(), since, seals, regions, older })
    }

    fn open(&self, owner: &str, newest: &[u8]) -> Result<DataKey, SealError> {
        let newest = EpochKey::new(self.epoch, newest)?;
        if self.older.is_empty() {
            return DataKey::of(Form::S3, vec![newest]);
        }
        let older = Zeroizing::new(DataKey::of(Form::S3, vec![newest.again()?])?.open(&ring(owner), &self.older)?);
        let mut epochs = EpochKey::all_of(older.get(1..).unwrap_or_default())?;
        epochs.push(newest);
        DataKey::of(Form::S3, epochs)
    }

    fn mac(&self, owner: &str, wrapped: &Wrapped, key: &DataKey) -> Result<[u8; 32], SealError> {
        Ok(tag(&key.newest().of_record()?, &self.parts(owner, wrapped).each_ref().map(Vec::as_slice)))
    }

    /// What is signed.
    fn statement(&self, owner: Owner, wrapped: &Wrapped) -> Vec<u8> {
        let (owner, regions) = (owner.to_string(), self.regions.text());
        let (epoch, since) = (self.epoch.to_be_bytes(), self.since.unix_timestamp_nanos().to_be_bytes());
        let Wrapped { key, version, bytes } = wrapped;
        signing::framed(&[TAG, owner.as_bytes(), key.as_bytes(), version.as_bytes(), bytes.as_bytes(), &epoch, &since, regions.as_bytes()])
    }

    fn parts(&self, owner: &str, wrapped: &Wrapped) -> [Vec<u8>; 9] {
        [
            WORD_3.to_vec(),
            owner.as_bytes().to_vec(),
            wrapped.key.as_bytes().to_vec(),
            wrapped.version.as_bytes().to_vec(),
            self.epoch.to_be_bytes().to_vec(),
            self.since.unix_timestamp_nanos().to_be_bytes().to_vec(),
            self.seals.to_be_bytes().to_vec(),
            self.regions.text().into_bytes(),
            self.older.as_bytes().to_vec(),
        ]
    }
}

const UNSIGNED_NOW: &str = "the key record is not signed: put it back from a backup, or, if an earlier release wrote it, set ASSAY_UNSIGNED_KEYS_UNTIL for the upgrade";
const NOT_AS_SIGNED: &str =
    "the key record is not as Assay signed it: find out who can write to the database, and put the record back from a backup";
const SIGNER_AWAY: &str =
    "the version of the vault's key that signed the key record is disabled or gone: enable it again, or put the record back from a backup";

const NOT_DESTROYED: &str = "the key record says that the data keys were destroyed, and the record of the destruction is gone, or never was: find out who can write to the database, and put the one or the other back from a backup";

fn unsigned(kind: PortErrorKind) -> PortError {
    PortError::new(SIGNATURE, kind)
}

/// Where the older data keys of an owner lie.
fn ring(owner: &str) -> Binding<'_> {
    Binding { owner, container: "keys", document: DOCUMENT, field: "older", schema: UNSIGNED, ..Binding::default() }
}

impl KeyRecord {
    /// As this release writes it.
    pub(super) async fn signed(app: &App, owner: Owner, wrapped: Wrapped, key: &DataKey, about: About) -> Result<Self, StoreError> {
        let mut record = Self::unsigned(owner, wrapped, key, about).map_err(super::keys::broken(owner))?;
        if let Stored::Keys { keys, signature, .. } = &mut record.stored {
            let made = signing::sign(app, SigningUse::Receipts, &keys.statement(owner, &record.wrapped)).await?;
            *signature = Some(Signature { kid: made.kid, bytes: made.signature.to_vec() });
        }
        Ok(record)
    }

    fn unsigned(owner: Owner, wrapped: Wrapped, key: &DataKey, about: About) -> Result<Self, SealError> {
        let owner = owner.to_string();
        let keys = Keys::new(&owner, key, about)?;
        let mac = keys.mac(&owner, &wrapped, key)?.to_vec();
        Ok(Self { wrapped, stored: Stored::Keys { keys, mac, signature: None } })
    }

    /// The same with so many seals more; `None` for one of an earlier release, which stays as it is.
    pub(super) fn counting(self, owner: Owner, key: &DataKey, more: u64) -> Result<Option<Self>, SealError> {
        let Self { wrapped, stored: Stored::Keys { keys, signature: Some(signature), .. } } = self else { return Ok(None) };
        let keys = Keys { seals: keys.seals.saturating_add(more), ..keys };
        let mac = keys.mac(&owner.to_string(), &wrapped, key)?.to_vec();
        Ok(Some(Self { wrapped, stored: Stored::Keys { keys, mac, signature: Some(signature) } }))
    }

    pub(super) fn body(&self) -> Value {
        match &self.stored {
            Stored::WithoutMac => json!({ "schema": WITHOUT_MAC, "kind": DOCUMENT, "wrapped": self.wrapped }),
            Stored::OneKey { mac } => json!({ "schema": ONE_KEY, "kind": DOCUMENT, "wrapped": self.wrapped, "mac": BASE64.encode(mac) }),
            Stored::Keys { keys: Keys { epoch, since, seals, regions, older }, mac, signature } => {
                let mut body = json!({
                    "schema": UNSIGNED, "kind": DOCUMENT, "wrapped": self.wrapped, "epoch": epoch,
                    "since": since.format(&Rfc3339).unwrap_or_default(), "seals": seals, "regions": regions, "older": older, "mac": BASE64.encode(mac),
                });
                if let Some(Signature { kid, bytes }) = signature {
                    body["schema"] = json!(SCHEMA);
                    body["signature"] = json!({ "kid": kid, "bytes": BASE64.encode(bytes) });
                }
                body
            }
        }
    }

    /// What is left in the place of destroyed data keys: nothing that opens anything, and a word that none is made anew.
    pub(super) fn tombstone(at: OffsetDateTime) -> Value {
        json!({ "schema": TOMBSTONE, "kind": DOCUMENT, "destroyed_at": at.format(&Rfc3339).unwrap_or_default() })
    }

    /// [`StoreError::Destroyed`] for what [`KeyRecord::tombstone`] left. Where nothing was destroyed somebody wrote it in place
    /// of the record, which is lost then.
    pub(super) async fn must_stand(app: &App, owner: Owner, body: &Value) -> Result<(), StoreError> {
        if body["destroyed_at"].is_null() {
            return Ok(());
        }
        match owner {
            Owner::Tenant(tenant) if ended::is_recorded(app, tenant).await? => Err(StoreError::Destroyed { owner: owner.to_string() }),
            _ => Err(super::keys::refused(owner, PortError::new(DOCUMENT, PortErrorKind::Missing).advising(NOT_DESTROYED))),
        }
    }

    /// Which vault key it says it needs; nothing is checked.
    pub(super) fn vault_key(body: &Value) -> Option<&str> {
        body["wrapped"]["key"].as_str()
    }

    /// What lies there as the owner's key record; [`StoreError::Destroyed`] as [`KeyRecord::must_stand`] says it.
    pub(super) async fn of(app: &App, owner: Owner, body: &Value) -> Result<Self, StoreError> {
        Self::must_stand(app, owner, body).await?;
        Self::parse(owner, body)
    }

    fn parse(owner: Owner, body: &Value) -> Result<Self, StoreError> {
        let unreadable = || super::keys::unreadable(owner);
        let schema = body["schema"].as_u64().ok_or_else(unreadable)?;
        if schema > u64::from(SCHEMA) {
            return Err(StoreError::NewerRelease { document: DOCUMENT.into(), schema, known: SCHEMA });
        }
        let wrapped: Wrapped = serde_json::from_value(body["wrapped"].clone()).map_err(|_| unreadable())?;
        let mac = || body["mac"].as_str().and_then(|text| BASE64.decode(text).ok()).ok_or_else(unreadable);
        let stored = match schema {
            WITHOUT_MAC if wrapped.key == owner.to_string() => Stored::WithoutMac,
            WITHOUT_MAC => return Err(unreadable()),
            ONE_KEY => Stored::OneKey { mac: mac()? },
            _ => {
                let signature =
                    if schema > u64::from(UNSIGNED) { Some(Self::signature_of(&body["signature"]).ok_or_else(unreadable)?) } else { None };
                Stored::Keys { keys: Self::keys_of(body).ok_or_else(unreadable)?, mac: mac()?, signature }
            }
        };
        Ok(Self { wrapped, stored })
    }

    fn keys_of(body: &Value) -> Option<Keys> {
        Some(Keys {
            epoch: u32::try_from(body["epoch"].as_u64()?).ok()?,
            since: OffsetDateTime::parse(body["since"].as_str()?, &Rfc3339).ok()?,
            seals: body["seals"].as_u64()?,
            regions: serde_json::from_value(body["regions"].clone()).ok()?,
            older: body["older"].as_str()?.to_owned(),
        })
    }

    fn signature_of(body: &Value) -> Option<Signature> {
        Some(Signature { kid: body["kid"].as_str()?.to_owned(), bytes: BASE64.decode(body["bytes"].as_str()?).ok()? })
    }

    /// The name of the key that signed it; `None` in a record of an earlier release.
    pub(super) fn signed_by(&self) -> Option<&str> {
        if let Stored::Keys { signature: Some(signature), .. } = &self.stored { Some(&signature.kid) } else { None }
    }

    /// Before anything is unwrapped: Assay signed it, for this owner.
    pub(super) async fn must_be_signed(&self, app: &App, owner: Owner) -> Result<(), PortError> {
        let Stored::Keys { keys, signature: Some(Signature { kid, bytes }), .. } = &self.stored else {
            let are_taken = app.config.unsigned_keys_until.is_some_and(|last| app.now().date() <= last);
            return if are_taken { Ok(()) } else { Err(unsigned(PortErrorKind::Unreadable).advising(UNSIGNED_NOW)) };
        };
        let signer =
            signing::find(app, SigningUse::Receipts, kid).await.map_err(|error| PortError { resource: SIGNATURE.into(), ..error })?;
        match signer {
            Some(key) if key.verifies(&keys.statement(owner, &self.wrapped), bytes) => Ok(()),
            Some(_) => Err(super::keys::damaged().advising(NOT_AS_SIGNED)),
            None => Err(unsigned(PortErrorKind::Disabled).advising(SIGNER_AWAY)),
        }
    }

    /// What it says beside the wrapped key; `None` in a record of one data key.
    pub(super) fn keys(&self) -> Option<&Keys> {
        match &self.stored {
            Stored::Keys { keys, .. } => Some(keys),
            Stored::WithoutMac | Stored::OneKey { .. } => None,
        }
    }

    /// Whether an instance in this region may have its keys unwrapped.
    pub(super) fn admits(&self, region: Option<&str>) -> bool {
        self.keys().is_none_or(|keys| keys.regions.admit(region))
    }

    /// All data keys, when the one that was unwrapped is this owner's and nothing here was changed.
    pub(super) fn open(&self, owner: Owner, unwrapped: &[u8]) -> Result<DataKey, SealError> {
        let owner = owner.to_string();
        match &self.stored {
            Stored::WithoutMac => DataKey::of(Form::S1, vec![EpochKey::new(super::seal::FIRST_EPOCH, unwrapped)?]),
            Stored::OneKey { mac } => {
                let key = DataKey::of(Form::S1, vec![EpochKey::new(super::seal::FIRST_EPOCH, unwrapped)?])?;
                let parts = [WORD_2, owner.as_bytes(), self.wrapped.key.as_bytes(), self.wrapped.version.as_bytes()];
                if key.mac_holds(&parts, mac) { Ok(key) } else { Err(SealError::Open) }
            }
            Stored::Keys { keys, mac, .. } => {
                let newest = EpochKey::new(keys.epoch, unwrapped)?;
                let parts = keys.parts(&owner, &self.wrapped);
                if !tag_holds(&newest.of_record()?, &parts.each_ref().map(Vec::as_slice), mac) {
                    return Err(SealError::Open);
                }
                keys.open(&owner, unwrapped)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::TenantId;

    const NOW: OffsetDateTime = datetime!(2026-03-02 08:00 UTC);
    /// Of the newest of two.
    const KEY: [u8; 32] = [7; 32];

    fn tenant(n: u128) -> Owner {
        Owner::Tenant(TenantId(Uuid::from_u128(n)))
    }

    fn two_keys() -> DataKey {
        DataKey::new(&[6; 32]).and_then(|first| first.with_next(&KEY)).expect("keys")
    }

    fn wrapped(name: &str, version: &str) -> Wrapped {
        Wrapped { key: name.into(), version: version.into(), bytes: "AAAA".into() }
    }

    fn record(owner: Owner, name: &str, version: &str) -> Value {
        let about = About { since: NOW, seals: 3, regions: Regions::parse("usgovvirginia").expect("regions") };
        KeyRecord::unsigned(owner, wrapped(name, version), &two_keys(), about).expect("a record").body()
    }

    /// As an earlier release wrote it.
    fn earlier(owner: Owner, name: &str, version: &str) -> Value {
        let key = DataKey::new(&KEY).expect("a key");
        let mac = key.mac(&[WORD_2, owner.to_string().as_bytes(), name.as_bytes(), version.as_bytes()]);
        KeyRecord { wrapped: wrapped(name, version), stored: Stored::OneKey { mac: mac.to_vec() } }.body()
    }

    fn opens_with(owner: Owner, body: &Value, key: &[u8]) -> Option<DataKey> {
        KeyRecord::parse(owner, body).ok()?.open(owner, key).ok()
    }

    fn opens(owner: Owner, body: &Value) -> bool {
        opens_with(owner, body, &KEY).is_some()
    }

    proptest! {
        #[test]
        fn a_record_opens_for_its_owner_as_it_was_written_and_in_no_other_way(
            name in "[a-z:/.-]{1,40}",
            version in "[0-9a-f]{1,32}",
            change in ("[a-z0-9]{1,3}", 0..10u8),
            is_earlier: bool,
        ) {
            let body = if is_earlier { earlier(tenant(1), &name, &version) } else { record(tenant(1), &name, &version) };
            prop_assert!(opens(tenant(1), &body));
            prop_assert!(!opens(tenant(2), &body) && !opens(Owner::Deployment, &body));
            let (more, which) = change;
            let mut changed = body.clone();
            match which {
                0 => changed["wrapped"]["key"] = json!(format!("{name}{more}")),
                1 => changed["wrapped"]["version"] = json!(format!("{version}{more}")),
                // From one word to the next: lengths count.
                2 => {
                    let (first, rest) = version.split_at(1);
                    changed["wrapped"]["key"] = json!(format!("{name}{first}"));
                    changed["wrapped"]["version"] = json!(rest);
                }
                3 => changed["mac"] = json!(more),
                4 => changed["schema"] = json!(1),
                5 => changed["schema"] = json!(if is_earlier { 3 } else { 2 }),
                6 if !is_earlier => changed["epoch"] = json!(1),
                7 if !is_earlier => changed["seals"] = json!(0),
                8 if !is_earlier => changed["older"] = json!(""),
                9 if !is_earlier => changed["regions"] = json!([]),
                _ => changed["mac"] = json!(null),
            }
            prop_assert!(!opens(tenant(1), &changed), "{changed}");
            prop_assert!(opens_with(tenant(1), &body, &[8; 32]).is_none(), "another key");
        }

        #[test]
        fn whatever_is_changed_of_what_is_wrapped_or_said_of_it_is_another_statement(
            name in "[a-z:/.-]{1,40}", version in "[0-9a-f]{1,32}", more in "[a-z0-9]{1,3}", which in 0..8u8,
        ) {
            let about = About { since: NOW, seals: 3, regions: Regions::default() };
            let keys = || Keys::new("o", &two_keys(), about.clone()).expect("keys");
            let (mut changed, mut of, mut owner) = (keys(), wrapped(&name, &version), tenant(1));
            match which {
                0 => of.key += &more,
                1 => of.version += &more,
                2 => of.bytes += &more,
                3 => (of.key, of.version) = (format!("{name}{}", &version[..1]), version[1..].to_owned()),
                4 => changed.epoch += 1,
                5 => changed.since += time::Duration::NANOSECOND,
                6 => changed.regions = Regions::parse("usgovvirginia").expect("regions"),
                _ => owner = tenant(2),
            }
            prop_assert_ne!(changed.statement(owner, &of), keys().statement(tenant(1), &wrapped(&name, &version)));
        }

        #[test]
        fn whatever_is_stored_is_read_or_refused(text in "[ -~]{0,30}", schema in 0..5u64) {
            for body in [json!(text), json!({ "schema": schema, "wrapped": text }), json!({ "schema": schema, "mac": text,
                "epoch": 1, "since": text, "seals": 0, "regions": [text], "older": text,
                "wrapped": { "key": text, "version": text, "bytes": text } })]
            {
                prop_assert!(!opens(tenant(1), &body));
            }
        }
    }

    #[test]
    fn all_of_an_owners_data_keys_come_out_of_one_record() {
        let body = record(tenant(1), "a", "1");
        let (keys, before) = (opens_with(tenant(1), &body, &KEY).expect("keys"), DataKey::new(&[6; 32]).expect("a key"));
        assert_eq!((keys.epoch(), keys.epochs().len()), (2, 2));
        let binding = Binding { owner: "o", container: "clients", place: "p", document: "d", field: "f", schema: 1, revision: 0 };
        let sealed = before.seal(&binding, b"of the first").expect("sealed");
        assert_eq!(keys.open(&binding, &sealed).as_deref(), Ok(&b"of the first"[..]));
        assert_eq!((keys.pseudonym("p"), keys.mac(&[b"m"])), (before.pseudonym("p"), before.mac(&[b"m"])), "these last");
        let ((first, mac), (second, newer)) = (before.message_mac(&[b"m"]).expect("a mac"), keys.message_mac(&[b"m"]).expect("a mac"));
        assert_eq!((first, second), (1, 2));
        assert_eq!(before.message_mac_holds(second, &[b"m"], &newer), Err(SealError::Epoch { epoch: 2 }));
        assert_eq!(keys.message_mac_holds(second, &[b"m"], &newer), Ok(true));
        assert_eq!(keys.message_mac_holds(first, &[b"m"], &mac), Ok(false), "who learned the first makes no message");
        let keys = keys.taking_previous(true);
        assert_eq!(keys.message_mac_holds(first, &[b"m"], &mac), Ok(true), "while some may wait");
        assert_eq!(keys.message_mac_holds(first, &[b"n"], &mac), Ok(false));
        assert!(DataKey::of_kept(&keys.kept()).is_ok_and(|kept| kept.message_mac_holds(first, &[b"m"], &mac) == Ok(true)));
        let newer = keys.seal(&binding, b"of the second").expect("sealed");
        assert_eq!(before.open(&binding, &newer), Err(SealError::Epoch { epoch: 2 }));
    }

    #[test]
    fn what_a_record_says_without_its_key_is_what_was_written() {
        let body = record(tenant(1), "https://v1.vault.azure.net/keys/a", "1");
        assert_eq!(KeyRecord::vault_key(&body), Some("https://v1.vault.azure.net/keys/a"));
        let parsed = KeyRecord::parse(tenant(1), &body).expect("a record");
        let keys = parsed.keys().expect("of this release");
        assert_eq!((keys.epoch, keys.seals, keys.since, keys.regions.text()), (2, 3, NOW, "usgovvirginia".into()));
        assert!(parsed.admits(Some("usgovvirginia")) && !parsed.admits(Some("eastus")) && !parsed.admits(None));
        let before = KeyRecord::parse(tenant(1), &earlier(tenant(1), "a", "1")).expect("a record");
        assert!(before.keys().is_none() && before.admits(None), "an earlier release named no regions");
        // The older keys lie where they do and nowhere else.
        let newest = DataKey::of(Form::S3, vec![EpochKey::new(2, &KEY).expect("a key")]).expect("keys");
        let owner = tenant(1).to_string();
        let exactly = Binding { owner: &owner, container: "keys", place: "", document: "data-key", field: "older", schema: 3, revision: 0 };
        assert!(newest.open(&exactly, &keys.older).is_ok() && newest.open(&Binding::default(), &keys.older).is_err());
    }

    #[test]
    fn a_tombstone_is_no_record_and_says_that_the_keys_were_destroyed() {
        let body = KeyRecord::tombstone(NOW);
        assert_eq!((&body["schema"], &body["destroyed_at"]), (&json!(TOMBSTONE), &json!("2026-03-02T08:00:00Z")));
        assert!(KeyRecord::parse(tenant(1), &body).is_err());
    }

    #[test]
    fn data_keys_rise_one_by_one_or_are_none() {
        let of = |epochs: &[u32]| {
            let keys = epochs.iter().map(|epoch| EpochKey::new(*epoch, &KEY)).collect::<Result<_, _>>().expect("keys");
            DataKey::of(Form::S3, keys).is_ok()
        };
        assert!(of(&[1]) && of(&[1, 2, 5]));
        assert!(!of(&[]) && !of(&[2, 2]) && !of(&[2, 1]));
    }

    #[test]
    fn an_older_record_opens_where_the_vault_key_is_named_after_its_owner() {
        let older = |name: &str| json!({ "schema": 1, "kind": DOCUMENT, "wrapped": { "key": name, "version": "1", "bytes": "AAAA" } });
        assert!(opens(tenant(1), &older(&tenant(1).to_string())));
        assert!(opens(Owner::Deployment, &older("deployment")));
        assert!(!opens(tenant(1), &older(&tenant(2).to_string())));
        assert!(!opens(tenant(1), &older("https://v1.vault.azure.net/keys/a")));
    }

    #[test]
    fn an_earlier_record_keeps_writing_what_an_earlier_release_reads() {
        let key = opens_with(tenant(1), &earlier(tenant(1), "a", "1"), &KEY).expect("a key");
        let sealed = key.seal(&Binding::default(), b"text").expect("sealed");
        assert!(sealed.starts_with("s1."), "{sealed}");
        let lifted = key.in_present_form().expect("a key");
        let newer = lifted.seal(&Binding::default(), b"text").expect("sealed");
        assert!(newer.starts_with("s3.1."), "{newer}");
        for text in [sealed, newer] {
            assert_eq!(lifted.open(&Binding::default(), &text).as_deref(), Ok(&b"text"[..]));
        }
    }

    #[test]
    fn a_record_of_a_newer_release_is_named_as_one() {
        let mut body = record(tenant(1), "a", "1");
        body["schema"] = json!(5);
        assert!(matches!(KeyRecord::parse(tenant(1), &body), Err(StoreError::NewerRelease { schema: 5, known: 4, .. })));
    }
}
