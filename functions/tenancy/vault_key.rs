//! Which key of a vault is whose, where somebody names one: each client has one of its own, so that deleting or revoking it
//! concerns nobody else.

use serde::{Deserialize, Serialize};

use super::{
    DeploymentPlace, Held, KeyTrouble, Record, Store, StoreError, TenantId,
    keys::{self, Owner},
    seal::sha256,
};
use crate::{
    app::App,
    platform::{key_uri::KeyUri, ports::PortErrorKind},
};

/// A vault key that somebody named for a client, or for one to be: found by its address, so that two forms cannot end with
/// one key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Reservation {
    /// As it was named.
    pub key: String,
    pub owner: TenantId,
    /// It wraps the client's data keys, or did. Until then another form may name the key, for one that nobody finished.
    pub taken: bool,
}

impl Record for Reservation {
    const KIND: &'static str = "vault-key";
    const SCHEMA: u32 = 1;

    /// Key Vault does not tell upper and lower case apart.
    fn key(&self) -> String {
        sha256(self.key.to_ascii_lowercase().as_bytes())
    }
}

/// Reserves the key for this client; `None` when it is another's, or another form was faster.
pub async fn reserve(store: &Store<'_, DeploymentPlace>, id: TenantId, key: &KeyUri) -> Result<Option<Held<Reservation>>, StoreError> {
    let wanted = Reservation { key: key.url().to_string(), owner: id, taken: false };
    let earlier = store.read::<Reservation>(DeploymentPlace::Directory, &wanted.key()).await?;
    if let Some(held) = &earlier {
        match (held.value.owner == id, held.value.taken) {
            (true, _) => return Ok(earlier),
            (false, true) => return Ok(None),
            (false, false) => {}
        }
    }
    let name = wanted.key();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.put(wanted, earlier.map(|held| held.etag));
    batch.commit_unless_overtaken().await?;
    let reserved = store.read::<Reservation>(DeploymentPlace::Directory, &name).await?;
    Ok(reserved.filter(|held| held.value.owner == id))
}

/// Which of the owners has its data keys wrapped by this key.
pub async fn user(app: &App, owners: Vec<Owner>, key: &KeyUri) -> Result<Option<Owner>, StoreError> {
    for owner in owners {
        let used = match keys::vault_key(app, owner).await {
            // Nothing is wrapped by it any more, or nobody knows by which.
            Err(error) if matches!(error.key_trouble(), Some(KeyTrouble::Destroyed | KeyTrouble::Lost)) => None,
            other => other?,
        };
        if used.and_then(|used| KeyUri::parse(&used)).is_some_and(|used| used.is(key)) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// For the person who named a key.
pub const OF_THE_INSTALLATION: &str =
    "This is the key of the installation itself. Each client has a key of its own: make one for this client.";

pub const USED: &str = "Another client uses this key. Each client has a key of its own: make one for this client.";

pub const NO_ADDRESS: &str =
    "This is not the address of a key. It looks like https://VAULT/keys/NAME, without a version; the key's page in the vault shows it.";

/// Why the vault would not use a key, for the person who named it; `None` for what they cannot mend.
pub fn why_not(kind: PortErrorKind) -> Option<&'static str> {
    Some(match kind {
        PortErrorKind::Missing => "There is no such key in that vault. Make it there first (RSA, 3072 bits), then send the form again.",
        PortErrorKind::Denied => {
            "Assay may not use this key. Give the app's identity the role Key Vault Crypto Service Encryption User on it, and see that the key is enabled, that the vault's firewall lets the app in and that the vault is in the same Entra directory as the app: one of another directory does not take its sign-in. A new role takes some minutes to hold."
        }
        PortErrorKind::Disabled => "This key is disabled in its vault. Enable it there, then send the form again. Nothing was done.",
        PortErrorKind::Throttled { .. } => "The key vault is busy and asked to wait. Nothing was done; send the form again in a minute.",
        PortErrorKind::Unavailable => {
            "The key vault does not answer. See that the address is right; if it is, send the form again in a minute. Nothing was done."
        }
        PortErrorKind::Invalid => {
            "The key vault does not wrap with this key. It must be an RSA key in a vault of the cloud that this installation runs in."
        }
        PortErrorKind::TooLarge | PortErrorKind::Full | PortErrorKind::Unreadable => return None,
    })
}
