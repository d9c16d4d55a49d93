//! The vault: keys that never leave it, their versions, what revoking one does, signatures and secrets.

use assay::platform::ports::{PortErrorKind, Wrapped};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};

use super::Ports;

const DATA_KEY: &[u8] = &[7; 32];

pub async fn contract_vault_unwraps_what_it_wrapped_and_only_that(ports: &Ports) {
    let (a, b) = ((ports.names.key)("client-a"), (ports.names.key)("client-b"));
    let wrapped = ports.vault.wrap(&a, DATA_KEY).await.unwrap();
    assert_eq!(wrapped.key, a);
    assert_eq!(ports.vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY);
    assert_ne!(ports.vault.wrap(&a, DATA_KEY).await.unwrap().bytes, wrapped.bytes, "the same key wraps again");

    ports.vault.wrap(&b, DATA_KEY).await.unwrap();
    let moved = Wrapped { key: b, ..wrapped.clone() };
    assert_eq!(ports.vault.unwrap(&moved).await.unwrap_err().kind, PortErrorKind::Unreadable);
    let mut bytes = wrapped.bytes.clone().into_bytes();
    bytes[10] = if bytes[10] == b'A' { b'B' } else { b'A' };
    let damaged = Wrapped { bytes: String::from_utf8(bytes).unwrap(), ..wrapped.clone() };
    assert_eq!(ports.vault.unwrap(&damaged).await.unwrap_err().kind, PortErrorKind::Unreadable);
    let no_text = Wrapped { bytes: "no base64".into(), ..wrapped };
    assert_eq!(ports.vault.unwrap(&no_text).await.unwrap_err().kind, PortErrorKind::Unreadable);
    assert_eq!(ports.vault.wrap("../client", DATA_KEY).await.unwrap_err().kind, PortErrorKind::Invalid);
}

pub async fn contract_vault_unwraps_with_the_version_that_wrapped(ports: &Ports) {
    let a = (ports.names.key)("client-a");
    let old = ports.vault.wrap(&a, DATA_KEY).await.unwrap();
    (ports.rotate)("client-a");
    let new = ports.vault.wrap(&a, &[8; 32]).await.unwrap();
    assert_ne!(old.version, new.version);
    assert_eq!(ports.vault.unwrap(&old).await.unwrap().as_slice(), DATA_KEY);
    assert_eq!(ports.vault.unwrap(&new).await.unwrap().as_slice(), [8; 32]);
    let other = Wrapped { version: new.version, ..old };
    assert_eq!(ports.vault.unwrap(&other).await.unwrap_err().kind, PortErrorKind::Unreadable);
}

pub async fn contract_vault_denies_a_revoked_key_and_no_other(ports: &Ports) {
    let (a, b) = ((ports.names.key)("client-a"), (ports.names.key)("client-b"));
    let revoked = ports.vault.wrap(&a, DATA_KEY).await.unwrap();
    let other = ports.vault.wrap(&b, DATA_KEY).await.unwrap();
    (ports.revoke)("client-a");
    let refused = [ports.vault.unwrap(&revoked).await.map(|_| ()), ports.vault.wrap(&a, DATA_KEY).await.map(|_| ())];
    for error in refused.map(Result::unwrap_err) {
        assert!(matches!(error.kind, PortErrorKind::Denied | PortErrorKind::Disabled), "{error:?}");
    }
    assert_eq!(ports.vault.unwrap(&other).await.unwrap().as_slice(), DATA_KEY);
}

pub async fn contract_vault_says_what_is_not_there(ports: &Ports) {
    let (a, nobody) = ((ports.names.key)("client-a"), (ports.names.key)("nobody"));
    let wrapped = ports.vault.wrap(&a, DATA_KEY).await.unwrap();
    let elsewhere = Wrapped { key: nobody.clone(), ..wrapped.clone() };
    assert_eq!(ports.vault.unwrap(&elsewhere).await.unwrap_err().kind, PortErrorKind::Missing);
    let never = Wrapped { version: "99".into(), ..wrapped };
    assert_eq!(ports.vault.unwrap(&never).await.unwrap_err().kind, PortErrorKind::Missing);
    match ports.vault.wrap(&nobody, DATA_KEY).await {
        Ok(_) => assert!(ports.vault.makes_keys()),
        Err(error) => assert_eq!((error.kind, ports.vault.makes_keys()), (PortErrorKind::Missing, false)),
    }
}

pub async fn contract_vault_signs_so_that_others_can_verify(ports: &Ports) {
    let signer = (ports.names.key)("signer");
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, b"approved").as_ref());
    let signature = ports.vault.sign(&signer, &hash).await.unwrap();
    assert_eq!((&signature.key, signature.bytes.len(), signature.version.is_empty()), (&signer, 64, false));
    let again = ports.vault.sign(&signer, &hash).await.unwrap();
    assert_eq!(again.version, signature.version);

    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, (ports.names.public_key)("signer"));
    for signed in [&signature, &again] {
        public.verify(b"approved", &signed.bytes).unwrap();
        public.verify(b"rejected", &signed.bytes).unwrap_err();
    }
    assert_eq!(ports.vault.sign("../signer", &hash).await.unwrap_err().kind, PortErrorKind::Invalid);
}

pub async fn contract_vault_shows_the_public_half_of_what_signs(ports: &Ports) {
    let signer = (ports.names.key)("signer");
    let signature = ports.vault.sign(&signer, &[7; 32]).await.unwrap();
    let [public] = &ports.vault.public_keys(&signer).await.unwrap()[..] else { panic!("one version") };
    assert_eq!((&public.version, &public.point), (&signature.version, &(ports.names.public_key)("signer")));
    assert_eq!(ports.vault.public_keys("../signer").await.unwrap_err().kind, PortErrorKind::Invalid);
    match ports.vault.public_keys(&(ports.names.key)("nobody")).await {
        Ok(made) => assert!(ports.vault.makes_keys() && made.len() == 1),
        Err(error) => assert_eq!((error.kind, ports.vault.makes_keys()), (PortErrorKind::Missing, false)),
    }
}

pub async fn contract_vault_gives_a_secret_by_its_name(ports: &Ports) {
    (ports.names.put_secret)("entra", "a secret of the suite");
    assert_eq!(ports.vault.secret("entra").await.unwrap().as_str(), "a secret of the suite");
    assert_eq!(ports.vault.secret("another").await.unwrap_err().kind, PortErrorKind::Missing);
    for name in ["", "../client-a.json", "secrets/entra", "a b"] {
        assert_eq!(ports.vault.secret(name).await.unwrap_err().kind, PortErrorKind::Invalid, "{name}");
    }
}
