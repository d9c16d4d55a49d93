//! The stored form of a data key: wrapped by a vault key, and bound to its owner.
//!
//! RSA binds no additional data, so the record carries a MAC that only the data key itself can make, over its owner and
//! the vault key's name and version. A record that was copied to another owner, or whose words were changed, is
//! unreadable. Older stores of the file vault have no MAC; there the vault itself binds the key's name, which must then
//! be the owner's.
//!
//! What this cannot show: who may write documents and knows the public half of a vault key can put a new data key of
//! their own in place of the owner's. Everything sealed before then no longer opens, so it does not go unseen.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde_json::{Value, json};

use super::{StoreError, keys::Owner, seal::DataKey};
use crate::platform::ports::Wrapped;

/// The id of the document, and its kind.
pub(super) const DOCUMENT: &str = "data-key";

/// With a MAC.
const SCHEMA: u32 = 2;
/// Bound by the file vault only.
const WITHOUT_MAC: u64 = 1;

/// The first word of what is authenticated, so that no other MAC of the same key can stand here.
const WORD: &[u8] = b"assay data-key record 2";

pub(super) struct KeyRecord {
    pub(super) wrapped: Wrapped,
    /// `None`: schema 1.
    mac: Option<Vec<u8>>,
}

impl KeyRecord {
    pub(super) fn new(owner: Owner, wrapped: Wrapped, key: &DataKey) -> Self {
        let mac = key.mac(&parts(&owner.to_string(), &wrapped));
        Self { wrapped, mac: Some(mac.to_vec()) }
    }

    pub(super) fn body(&self) -> Value {
        json!({ "schema": SCHEMA, "kind": DOCUMENT, "wrapped": self.wrapped, "mac": BASE64.encode(self.mac.as_deref().unwrap_or_default()) })
    }

    /// Which vault key it says it needs; nothing is checked.
    pub(super) fn vault_key(body: &Value) -> Option<&str> {
        body["wrapped"]["key"].as_str()
    }

    pub(super) fn parse(owner: Owner, body: &Value) -> Result<Self, StoreError> {
        let unreadable = || super::keys::unreadable(owner);
        let schema = body["schema"].as_u64().ok_or_else(unreadable)?;
        if schema > u64::from(SCHEMA) {
            return Err(StoreError::NewerRelease { document: DOCUMENT.into(), schema, known: SCHEMA });
        }
        let wrapped: Wrapped = serde_json::from_value(body["wrapped"].clone()).map_err(|_| unreadable())?;
        let mac = match schema {
            WITHOUT_MAC if wrapped.key == owner.to_string() => None,
            WITHOUT_MAC => return Err(unreadable()),
            _ => Some(body["mac"].as_str().and_then(|text| BASE64.decode(text).ok()).ok_or_else(unreadable)?),
        };
        Ok(Self { wrapped, mac })
    }

    /// Whether the key that was unwrapped was wrapped for this owner.
    pub(super) fn is_of(&self, owner: Owner, key: &DataKey) -> bool {
        self.mac.as_ref().is_none_or(|mac| key.mac_holds(&parts(&owner.to_string(), &self.wrapped), mac))
    }
}

fn parts<'a>(owner: &'a str, wrapped: &'a Wrapped) -> [&'a [u8]; 4] {
    [WORD, owner.as_bytes(), wrapped.key.as_bytes(), wrapped.version.as_bytes()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::TenantId;

    const KEY: [u8; 32] = [7; 32];

    fn tenant(n: u128) -> Owner {
        Owner::Tenant(TenantId(Uuid::from_u128(n)))
    }

    fn key() -> DataKey {
        DataKey::new(&KEY).expect("a key")
    }

    fn record(owner: Owner, name: &str, version: &str) -> Value {
        let wrapped = Wrapped { key: name.into(), version: version.into(), bytes: "AAAA".into() };
        KeyRecord::new(owner, wrapped, &key()).body()
    }

    fn opens(owner: Owner, body: &Value) -> bool {
        KeyRecord::parse(owner, body).is_ok_and(|record| record.is_of(owner, &key()))
    }

    proptest! {
        #[test]
        fn a_record_opens_for_its_owner_as_it_was_written_and_in_no_other_way(
            name in "[a-z:/.-]{1,40}",
            version in "[0-9a-f]{1,32}",
            change in ("[a-z0-9]{1,3}", 0..5u8),
        ) {
            let body = record(tenant(1), &name, &version);
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
                _ => changed["schema"] = json!(1),
            }
            prop_assert!(!opens(tenant(1), &changed), "{changed}");
            let foreign = DataKey::new(&[8; 32]).expect("a key");
            let record = KeyRecord::parse(tenant(1), &body).expect("a record");
            prop_assert!(!record.is_of(tenant(1), &foreign));
        }

        #[test]
        fn whatever_is_stored_is_read_or_refused(text in "[ -~]{0,30}", schema in 0..4u64) {
            for body in [json!(text), json!({ "schema": schema, "wrapped": text }), json!({ "schema": schema, "mac": text,
                "wrapped": { "key": text, "version": text, "bytes": text } })]
            {
                if let Ok(record) = KeyRecord::parse(tenant(1), &body) {
                    prop_assert!(!record.is_of(tenant(1), &key()));
                }
            }
        }
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
    fn a_record_of_a_newer_release_is_named_as_one() {
        let mut body = record(tenant(1), "a", "1");
        body["schema"] = json!(3);
        assert!(matches!(KeyRecord::parse(tenant(1), &body), Err(StoreError::NewerRelease { schema: 3, known: 2, .. })));
    }
}
