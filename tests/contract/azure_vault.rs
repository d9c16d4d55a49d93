//! What only Key Vault does: the challenge, its refusals in typed errors, waits, lost answers, and hosts that are none of
//! its cloud. Nothing here waits for real: the time of these tests stands still.

use std::{sync::Arc, time::Duration};

use assay::platform::{
    azure::KeyVault,
    ports::{PortError, PortErrorKind, Vault as _, Wrapped},
};

use super::{Ports, VaultNames, local};
use crate::support::key_vault::{DEPLOYMENT_KEY, FakeVaults, Trouble, key_uri, open};

const DATA_KEY: &[u8] = &[7; 32];

/// The ports of the embedded store, with the vault in Key Vault.
pub async fn ports() -> Ports {
    let fake = FakeVaults::new();
    fake.make_key(&key_uri("client-a"));
    fake.make_key(&key_uri("client-b"));
    fake.make_signing_key(&key_uri("signer"));
    let (revoking, rotating, signing, keeping) = (fake.clone(), fake.clone(), fake.clone(), fake.clone());
    Ports {
        vault: Arc::new(open(&fake, &[])),
        revoke: Box::new(move |key| revoking.disable(&key_uri(key))),
        rotate: Box::new(move |key| rotating.make_key(&key_uri(key))),
        names: VaultNames {
            key: Box::new(key_uri),
            public_key: Box::new(move |key| signing.public_key(&key_uri(key))),
            put_secret: Box::new(move |name, value| {
                keeping.put_secret(&format!("https://northgate.vault.azure.net/secrets/{name}"), value);
            }),
        },
        ..local::ports().await
    }
}

fn with_client() -> (Arc<FakeVaults>, KeyVault) {
    let fake = FakeVaults::new();
    fake.make_key(&key_uri("client"));
    let vault = open(&fake, &[]);
    (fake, vault)
}

async fn wrap(vault: &KeyVault) -> Result<Wrapped, PortError> {
    vault.wrap(&key_uri("client"), DATA_KEY).await
}

#[tokio::test]
async fn nothing_is_sent_to_a_vault_before_it_has_said_for_whom_it_takes_tokens() {
    let (fake, vault) = with_client();
    wrap(&vault).await.unwrap();
    wrap(&vault).await.unwrap();
    let seen: Vec<_> = fake.seen().into_iter().map(|seen| (seen.with_token, seen.with_body)).collect();
    assert_eq!(seen, [(false, false), (true, true), (true, true)], "asked once per vault");
    vault.wrap("deployment", DATA_KEY).await.unwrap();
    assert!(!fake.seen()[0].with_token, "another vault");
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_is_busy_or_away_for_a_moment_at_the_very_first_call_still_wraps_the_whole_key() {
    for trouble in [
        Trouble::Answer { status: 429, code: "Throttled", wait: Some(("retry-after", "1")) },
        Trouble::status(503, "ServiceUnavailable"),
        Trouble::NoConnection,
    ] {
        let (fake, vault) = with_client();
        fake.meet(&[trouble; 3]);
        let wrapped = wrap(&vault).await.unwrap();
        assert_eq!(vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY, "{trouble:?}");
        assert!(fake.seen().iter().all(|seen| seen.with_token || !seen.with_body), "no body without a token");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_waited_for_and_a_long_one_is_handed_on_at_once() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    fake.seen();
    let start = tokio::time::Instant::now();
    fake.meet(&[Trouble::Answer { status: 429, code: "Throttled", wait: Some(("retry-after", "2")) }]);
    vault.unwrap(&wrapped).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2) && start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(fake.seen().len(), 2);

    let start = tokio::time::Instant::now();
    fake.meet(&[Trouble::Answer { status: 429, code: "Throttled", wait: Some(("retry-after", "60")) }]);
    let error = vault.unwrap(&wrapped).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled { retry_after: Some(Duration::from_mins(1)) });
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(fake.seen().len(), 1, "nobody insists");
}

#[tokio::test(start_paused = true)]
async fn a_wait_until_a_date_is_counted_by_the_services_own_clock() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    let until = ("retry-after", "Tue, 10 Nov 2026 15:02:00 GMT");
    fake.meet(&[Trouble::Answer { status: 429, code: "Throttled", wait: Some(until) }]);
    let error = vault.unwrap(&wrapped).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Throttled { retry_after: Some(Duration::from_mins(2)) });
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_ends_soon_and_typed() {
    for (trouble, kind) in [
        (Trouble::status(429, "Throttled"), PortErrorKind::Throttled { retry_after: None }),
        (Trouble::status(500, "InternalServerError"), PortErrorKind::Unavailable),
        (Trouble::status(503, "ServiceUnavailable"), PortErrorKind::Unavailable),
        (Trouble::NoConnection, PortErrorKind::Unavailable),
        (Trouble::Silent, PortErrorKind::Unavailable),
    ] {
        let (fake, vault) = with_client();
        let wrapped = wrap(&vault).await.unwrap();
        fake.meet(&[trouble; 20]);
        let start = tokio::time::Instant::now();
        let error = vault.unwrap(&wrapped).await.unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}");
        assert!(std::error::Error::source(&error).is_some(), "the log says more");
        assert!(start.elapsed() <= Duration::from_secs(20), "{trouble:?}: {:?}", start.elapsed());
        assert!(fake.left() >= 16, "{trouble:?}: four tries at most");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    fake.meet(&[Trouble::AnswerLost]);
    assert_eq!(vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY);
    fake.meet(&[Trouble::AnswerLost]);
    let again = wrap(&vault).await.unwrap();
    assert_eq!(vault.unwrap(&again).await.unwrap().as_slice(), DATA_KEY);
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_a_typed_error_that_names_the_key() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    for (status, code, kind) in [
        (401, "Unauthorized", PortErrorKind::Denied),
        (403, "KeyDisabled", PortErrorKind::Disabled),
        (403, "ForbiddenByRbac", PortErrorKind::Denied),
        (403, "ForbiddenByFirewall", PortErrorKind::Denied),
        (404, "KeyNotFound", PortErrorKind::Missing),
        (409, "ObjectIsBeingDeleted", PortErrorKind::Missing),
        (412, "PreconditionFailed", PortErrorKind::Invalid),
    ] {
        for unwraps in [true, false] {
            fake.meet(&[Trouble::status(status, code)]);
            let error = if unwraps { vault.unwrap(&wrapped).await.map(|_| ()) } else { wrap(&vault).await.map(|_| ()) }.unwrap_err();
            assert_eq!(error.kind, kind, "{status} {code}");
            assert_eq!(error.resource, format!("key {}", key_uri("client")));
            let word = match code {
                "KeyDisabled" => "enable it",
                "ForbiddenByRbac" => "role",
                "ForbiddenByFirewall" => "firewall",
                _ => error.kind.advice(),
            };
            assert!(error.advice().contains(word), "{code}: {}", error.advice());
        }
    }
    // A key that cannot wrap: of another kind.
    fake.make_signing_key(&key_uri("signer"));
    assert_eq!(vault.wrap(&key_uri("signer"), DATA_KEY).await.unwrap_err().kind, PortErrorKind::Invalid);

    fake.disable(DEPLOYMENT_KEY);
    let error = vault.wrap("deployment", DATA_KEY).await.unwrap_err();
    assert_eq!((error.resource, error.kind), (format!("key {DEPLOYMENT_KEY} (ASSAY_DEPLOYMENT_KEY)"), PortErrorKind::Disabled));
}

#[tokio::test]
async fn the_installations_key_is_kept_by_its_address_and_opens_by_that_alone() {
    let (fake, vault) = with_client();
    let wrapped = vault.wrap("deployment", DATA_KEY).await.unwrap();
    assert_eq!(wrapped.key, DEPLOYMENT_KEY);
    assert_eq!(vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY);
    let by_word = Wrapped { key: "deployment".into(), ..wrapped };
    assert_eq!(vault.unwrap(&by_word).await.unwrap_err().kind, PortErrorKind::Invalid);
    drop(fake);
}

#[tokio::test]
async fn only_vaults_of_the_configured_cloud_are_ever_asked() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    fake.seen();
    for key in [
        "https://clients.vault.azure.net.evil.example/keys/client",
        "https://evil.example/keys/client",
        "https://vault.azure.net/keys/client",
        "https://.vault.azure.net/keys/client",
        "https://127.0.0.1/keys/client",
        "https://clients.vault.usgovcloudapi.net/keys/client",
        "https://clients.vault.azure.net/keys/client/1",
        "http://clients.vault.azure.net/keys/client",
    ] {
        assert_eq!(vault.wrap(key, DATA_KEY).await.unwrap_err().kind, PortErrorKind::Invalid, "{key}");
        let moved = Wrapped { key: key.into(), ..wrapped.clone() };
        assert_eq!(vault.unwrap(&moved).await.unwrap_err().kind, PortErrorKind::Invalid, "{key}");
        assert_eq!(vault.sign(key, &[0; 32]).await.unwrap_err().kind, PortErrorKind::Invalid, "{key}");
    }
    assert_eq!(vault.secret("https://evil.example/secrets/entra").await.unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(fake.seen(), []);
    // A word is a key in the installation's own vault.
    assert_eq!(vault.sign("client", &[0; 32]).await.unwrap_err().kind, PortErrorKind::Missing);
    assert!(fake.seen().iter().all(|seen| seen.url.starts_with("https://northgate.vault.azure.net/")));
}

#[tokio::test]
async fn in_a_custom_cloud_vaults_are_beside_the_installations_or_the_one_of_this_machine() {
    const CLOUD: [(&str, &str); 2] = [
        ("ASSAY_CLOUD", "custom"),
        (
            "ASSAY_CLOUD_PROFILE",
            "authority=https://login.example/;graph=https://graph.example/;portal=https://portal.example/;storage=https://s;exchange=api://x",
        ),
    ];
    for (own, beside, elsewhere) in [
        ("https://a.vault.azure.net/keys/own", "https://b.vault.azure.net/keys/b", "https://a.evil.example/keys/b"),
        ("https://127.0.0.1:7443/keys/own", "https://127.0.0.1:7443/keys/b", "https://127.0.0.2/keys/b"),
    ] {
        let fake = FakeVaults::new();
        fake.make_key(own);
        fake.make_key(beside);
        let vault = open(&fake, &[CLOUD[0], CLOUD[1], ("ASSAY_DEPLOYMENT_KEY", own)]);
        for name in ["deployment", beside] {
            let wrapped = vault.wrap(name, DATA_KEY).await.unwrap();
            assert_eq!(vault.unwrap(&wrapped).await.unwrap().as_slice(), DATA_KEY, "{name}");
        }
        assert_eq!(vault.wrap(elsewhere, DATA_KEY).await.unwrap_err().kind, PortErrorKind::Invalid, "{elsewhere}");
    }
}

#[tokio::test]
async fn an_answer_about_another_key_is_not_taken() {
    let (fake, vault) = with_client();
    let wrapped = wrap(&vault).await.unwrap();
    for kid in ["https://clients.vault.azure.net/keys/another/1", "https://evil.example/keys/client/1", "no address"] {
        fake.meet(&[Trouble::OtherKey(kid), Trouble::OtherKey(kid)]);
        assert_eq!(wrap(&vault).await.unwrap_err().kind, PortErrorKind::Unavailable, "{kid}");
        assert_eq!(vault.unwrap(&wrapped).await.unwrap_err().kind, PortErrorKind::Unreadable, "{kid}");
    }
}

#[tokio::test]
async fn a_secret_may_lie_in_another_vault_and_a_disabled_one_is_denied() {
    let (fake, vault) = with_client();
    let address = "https://clients.vault.azure.net/secrets/entra";
    fake.put_secret(address, "of the other vault");
    assert_eq!(vault.secret(address).await.unwrap().as_str(), "of the other vault");
    let error = vault.secret("entra").await.unwrap_err();
    assert_eq!((error.kind, error.resource.as_str()), (PortErrorKind::Missing, "secret https://northgate.vault.azure.net/secrets/entra"));
    fake.meet(&[Trouble::status(403, "SecretDisabled")]);
    assert_eq!(vault.secret(address).await.unwrap_err().kind, PortErrorKind::Denied);
}
