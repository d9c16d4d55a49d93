//! The vault: keys that never leave it, their versions, and what revoking one does.

use assay::platform::ports::{PortErrorKind, Wrapped};

use super::Ports;

const DATA_KEY: &[u8] = &[7; 32];

pub async fn contract_vault_unwraps_what_it_wrapped_and_only_that(ports: &Ports) {
    let wrapped = ports.vault.wrap("client-a", DATA_KEY).await.unwrap();
    assert_eq!(wrapped.key, "client-a");
    assert_eq!(ports.vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY);
    assert_ne!(ports.vault.wrap("client-a", DATA_KEY).await.unwrap().bytes, "", "the same key wraps again");

    ports.vault.wrap("client-b", DATA_KEY).await.unwrap();
    let moved = Wrapped { key: "client-b".into(), ..wrapped.clone() };
    ports.vault.unwrap(&moved).await.unwrap_err();
    let mut bytes = wrapped.bytes.clone().into_bytes();
    bytes[10] = if bytes[10] == b'A' { b'B' } else { b'A' };
    let damaged = Wrapped { bytes: String::from_utf8(bytes).unwrap(), ..wrapped };
    ports.vault.unwrap(&damaged).await.unwrap_err();
    assert_eq!(ports.vault.wrap("../client", DATA_KEY).await.unwrap_err().kind, PortErrorKind::Invalid);
}

pub async fn contract_vault_unwraps_with_the_version_that_wrapped(ports: &Ports) {
    let old = ports.vault.wrap("client-a", DATA_KEY).await.unwrap();
    (ports.rotate)("client-a");
    let new = ports.vault.wrap("client-a", &[8; 32]).await.unwrap();
    assert_ne!(old.version, new.version);
    assert_eq!(ports.vault.unwrap(&old).await.unwrap().as_slice(), DATA_KEY);
    assert_eq!(ports.vault.unwrap(&new).await.unwrap().as_slice(), [8; 32]);
}

pub async fn contract_vault_denies_a_revoked_key_and_no_other(ports: &Ports) {
    let revoked = ports.vault.wrap("client-a", DATA_KEY).await.unwrap();
    let other = ports.vault.wrap("client-b", DATA_KEY).await.unwrap();
    (ports.revoke)("client-a");
    assert_eq!(ports.vault.unwrap(&revoked).await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(ports.vault.wrap("client-a", DATA_KEY).await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(ports.vault.unwrap(&other).await.unwrap().as_slice(), DATA_KEY);
}
