//! Key Vault in this process: the SDK's own client talks to it over a transport without a socket.
//!
//! Real RSA and ECDSA, versions, disabled and deleted keys, the challenge that comes before a token, and troubles that a
//! story lays in its way. What it refuses, it refuses with the status and the words of the service.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use assay::{
    platform::azure::{Credential, KeyVault},
    tenancy::{
        keys::{self, Owner},
        signing::SigningUse,
    },
};
use async_trait::async_trait;
use aws_lc_rs::{
    digest::{Digest, SHA256},
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use azure_core::{
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, Method, Request, StatusCode, Transport, headers::Headers},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{app::TestApp, azure, cosmos::azure_settings};

/// The installation's own key.
pub const DEPLOYMENT_KEY: &str = "https://northgate.vault.azure.net/keys/deployment";
const SCOPE: &str = "https://vault.azure.net/.default";
const TENANT: &str = "0f0e0d0c-0000-4000-8000-00000000cafe";

/// How long these vaults keep a deleted key.
pub const KEPT_DAYS: u16 = 90;

/// The address of a key of that name in a vault for clients.
pub fn key_uri(name: &str) -> String {
    format!("https://clients.vault.azure.net/keys/{name}")
}

/// The address of the installation's key for this use.
pub fn signing_key(usage: SigningUse) -> String {
    format!("https://northgate.vault.azure.net/keys/{}", usage.key())
}

/// Something that goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Answered so, and nothing was done. The waits are headers: `retry-after` in seconds, `retry-after-ms`.
    Answer { status: u16, code: &'static str, wait: Option<(&'static str, &'static str)> },
    /// The work is done, and its answer is lost.
    AnswerLost,
    /// Nobody listens, or the name is not known.
    NoConnection,
    /// It never answers.
    Silent,
    /// The answer is about this key.
    OtherKey(&'static str),
    /// The answer is a signature that this key never made.
    NoSignature,
}

impl Trouble {
    pub const fn status(status: u16, code: &'static str) -> Self {
        Self::Answer { status, code, wait: None }
    }
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub url: String,
    pub with_token: bool,
    pub with_body: bool,
}

#[derive(Default)]
pub struct FakeVaults(Mutex<State>);

#[derive(Default)]
struct State {
    keys: BTreeMap<String, FakeKey>,
    secrets: BTreeMap<String, String>,
    troubles: VecDeque<Trouble>,
    seen: Vec<Seen>,
    rsa_keys: usize,
    /// Nobody may make a key, for this reason.
    creating_is_refused: Option<(u16, &'static str)>,
}

struct FakeKey {
    /// Oldest first.
    versions: Vec<(String, Material)>,
    /// Refused with this status and code.
    refused: Option<(u16, &'static str)>,
    /// Versions that somebody disabled.
    retired: Vec<String>,
}

#[derive(Clone)]
enum Material {
    Rsa(&'static Rsa),
    Ec(Arc<EcdsaKeyPair>),
}

struct Rsa {
    public: OaepPublicEncryptingKey,
    private: OaepPrivateDecryptingKey,
}

/// Made once per process: it takes a while. No two keys of one fake share one.
fn rsa(number: usize) -> &'static Rsa {
    static KEYS: [OnceLock<Rsa>; 8] = [const { OnceLock::new() }; 8];
    KEYS[number].get_or_init(|| {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = OaepPublicEncryptingKey::new(private.public_key()).unwrap();
        Rsa { public, private: OaepPrivateDecryptingKey::new(private).unwrap() }
    })
}

impl fmt::Debug for FakeVaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeVaults(..)")
    }
}

impl FakeVaults {
    /// With the installation's own key, and those with which it signs.
    pub fn new() -> Arc<Self> {
        let fake = Self::default();
        fake.make_key(DEPLOYMENT_KEY);
        for usage in SigningUse::ALL {
            fake.make_signing_key(&signing_key(usage));
        }
        Arc::new(fake)
    }

    /// Vaults without any key.
    pub fn empty() -> Arc<Self> {
        Arc::default()
    }

    /// An RSA key that wraps; its next version when it is there.
    pub fn make_key(&self, uri: &str) {
        let mut state = self.0.lock().unwrap();
        let material = Material::Rsa(rsa(state.rsa_keys));
        state.rsa_keys += 1;
        state.add(uri, material);
    }

    /// A P-256 key that signs; its next version when it is there.
    pub fn make_signing_key(&self, uri: &str) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        self.0.lock().unwrap().add(uri, Material::Ec(Arc::new(pair)));
    }

    pub fn put_secret(&self, uri: &str, value: &str) {
        self.0.lock().unwrap().secrets.insert(uri.to_lowercase(), value.into());
    }

    /// Every operation with this key is refused so; `None` allows it again.
    pub fn refuse(&self, uri: &str, refused: Option<(u16, &'static str)>) {
        self.0.lock().unwrap().keys.get_mut(&uri.to_lowercase()).unwrap().refused = refused;
    }

    /// Making a key is refused so; `None` allows it again.
    pub fn refuse_creating(&self, refused: Option<(u16, &'static str)>) {
        self.0.lock().unwrap().creating_is_refused = refused;
    }

    /// Whether there is such a key.
    pub fn has(&self, uri: &str) -> bool {
        self.0.lock().unwrap().keys.contains_key(&uri.to_lowercase())
    }

    /// Its oldest version that is enabled is not any more.
    pub fn retire_oldest(&self, uri: &str) {
        let mut state = self.0.lock().unwrap();
        let key = state.keys.get_mut(&uri.to_lowercase()).unwrap();
        let oldest = key.versions.iter().map(|(version, _)| version).find(|version| !key.retired.contains(version)).cloned();
        key.retired.extend(oldest);
    }

    pub fn disable(&self, uri: &str) {
        self.refuse(uri, Some((403, "KeyDisabled")));
    }

    /// Deleted, as long as it can be recovered.
    pub fn delete(&self, uri: &str) {
        self.refuse(uri, Some((404, "KeyNotFound")));
    }

    /// The next requests meet these troubles, one each.
    pub fn meet(&self, troubles: &[Trouble]) {
        self.0.lock().unwrap().troubles.extend(troubles);
    }

    /// The troubles that no request has met.
    pub fn left(&self) -> usize {
        self.0.lock().unwrap().troubles.len()
    }

    /// What came since the last time somebody asked.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    /// The public half of a signing key's newest version.
    pub fn public_key(&self, uri: &str) -> Vec<u8> {
        match self.0.lock().unwrap().keys[uri].versions.last() {
            Some((_, Material::Ec(pair))) => pair.public_key().as_ref().to_vec(),
            _ => panic!("{uri} does not sign"),
        }
    }
}

impl State {
    fn add(&mut self, uri: &str, material: Material) {
        let key =
            self.keys.entry(uri.to_lowercase()).or_insert_with(|| FakeKey { versions: Vec::new(), refused: None, retired: Vec::new() });
        let version = format!("{:032x}", key.versions.len() + 1);
        key.versions.push((version, material));
    }

    /// Status and body.
    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let url = request.url();
        let path: Vec<&str> = url.path_segments().unwrap().filter(|segment| !segment.is_empty()).collect();
        let resource = |collection: &str, name: &str| format!("https://{}/{collection}/{name}", url.authority()).to_lowercase();
        match (request.method(), path.as_slice()) {
            (Method::Get, ["secrets", name]) => match self.secrets.get(&resource("secrets", name)) {
                Some(value) => (200, json!({ "value": value, "id": format!("{}/1", resource("secrets", name)) })),
                None => error(404, "SecretNotFound"),
            },
            (Method::Get, ["keys", name, "versions"]) => self.versions(&resource("keys", name)),
            (Method::Get, ["keys", name]) => self.newest(&resource("keys", name)),
            (Method::Get, ["keys", name, version]) => self.public(&resource("keys", name), version),
            (Method::Post, ["keys", name, "create"]) => self.create(&resource("keys", name), request),
            (Method::Post, ["keys", name, operation]) => self.operate(&resource("keys", name), None, operation, request),
            (Method::Post, ["keys", name, version, operation]) => self.operate(&resource("keys", name), Some(version), operation, request),
            _ => error(400, "BadParameter"),
        }
    }

    /// Oldest first, as nothing says that the service sorts them.
    fn versions(&self, uri: &str) -> (u16, Value) {
        let Some(key) = self.keys.get(uri) else { return error(404, "KeyNotFound") };
        let listed = key.versions.iter().enumerate().map(|(n, (version, _))| {
            let enabled = !key.retired.contains(version) && key.refused.is_none();
            json!({ "kid": format!("{uri}/{version}"), "attributes": { "enabled": enabled, "created": 1_767_225_600 + n } })
        });
        (200, json!({ "value": listed.collect::<Vec<_>>(), "nextLink": null }))
    }

    fn newest(&self, uri: &str) -> (u16, Value) {
        let Some(key) = self.keys.get(uri) else { return error(404, "KeyNotFound") };
        match (key.refused, key.versions.last()) {
            // A disabled key is still shown.
            (Some((status, code)), _) if code != "KeyDisabled" => error(status, code),
            (_, Some((version, _))) => self.public(uri, version),
            (_, None) => error(404, "KeyNotFound"),
        }
    }

    fn create(&mut self, uri: &str, request: &Request) -> (u16, Value) {
        if let Some((status, code)) = self.creating_is_refused {
            return error(status, code);
        }
        let body: Value = serde_json::from_slice(&Bytes::from(request.body())).unwrap_or_default();
        let asked = json!({ "kty": "RSA", "key_size": 3072, "key_ops": ["wrapKey", "unwrapKey"] });
        if body != asked {
            return error(400, "BadParameter");
        }
        let material = Material::Rsa(rsa(self.rsa_keys));
        self.rsa_keys += 1;
        self.add(uri, material);
        self.newest(uri)
    }

    fn public(&self, uri: &str, version: &str) -> (u16, Value) {
        let found = self.keys.get(uri).and_then(|key| key.versions.iter().find(|(known, _)| known == version));
        match found {
            Some((_, Material::Ec(pair))) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
                (200, json!({ "key": { "kid": format!("{uri}/{version}"), "kty": "EC", "crv": "P-256", "x": x, "y": y } }))
            }
            Some((_, Material::Rsa(_))) => {
                let attributes = json!({ "enabled": true, "recoveryLevel": "Recoverable", "recoverableDays": KEPT_DAYS });
                let key = json!({ "kid": format!("{uri}/{version}"), "kty": "RSA", "n": "AQAB", "e": "AQAB" });
                (200, json!({ "key": key, "attributes": attributes }))
            }
            None => error(404, "KeyNotFound"),
        }
    }

    fn operate(&self, uri: &str, version: Option<&str>, operation: &str, request: &Request) -> (u16, Value) {
        let Some(key) = self.keys.get(uri) else { return error(404, "KeyNotFound") };
        if let Some((status, code)) = key.refused {
            return error(status, code);
        }
        let found = match version {
            None => key.versions.last(),
            Some(version) => key.versions.iter().find(|(known, _)| known == version),
        };
        let Some((version, material)) = found else { return error(404, "KeyNotFound") };
        // No more than the request says that it has.
        let said = request.headers().iter().find(|(name, _)| name.as_str() == "content-length");
        let said = said.and_then(|(_, length)| length.as_str().parse::<usize>().ok());
        let body = Bytes::from(request.body());
        let body = body.slice(..said.map_or(body.len(), |said| said.min(body.len())));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(value) = body["value"].as_str().and_then(|text| BASE64URL.decode(text.trim_end_matches('=')).ok()) else {
            return error(400, "BadParameter");
        };
        let result = match (operation, material, body["alg"].as_str()) {
            ("wrapkey", Material::Rsa(key), Some("RSA-OAEP-256")) => {
                let mut out = vec![0; key.public.ciphertext_size()];
                key.public.encrypt(&OAEP_SHA256_MGF1SHA256, &value, &mut out, None).map(|bytes| bytes.to_vec())
            }
            ("unwrapkey", Material::Rsa(key), Some("RSA-OAEP-256")) => {
                let mut out = vec![0; key.private.min_output_size()];
                key.private.decrypt(&OAEP_SHA256_MGF1SHA256, &value, &mut out, None).map(|bytes| bytes.to_vec())
            }
            ("sign", Material::Ec(pair), Some("ES256")) => Digest::import_less_safe(&value, &SHA256)
                .and_then(|digest| pair.sign_digest(&digest))
                .map(|signed| signed.as_ref().to_vec()),
            _ => return error(400, "BadParameter"),
        };
        match result {
            Ok(result) => (200, json!({ "kid": format!("{uri}/{version}"), "value": BASE64URL.encode(result) })),
            Err(_) => error(400, "BadParameter"),
        }
    }
}

/// As the service says no: a refusal's own word is inside.
fn error(status: u16, code: &str) -> (u16, Value) {
    let outer = if status == 403 { "Forbidden" } else { code };
    (status, json!({ "error": { "code": outer, "message": "as the service says it", "innererror": { "code": code } } }))
}

fn response(status: u16, headers: Headers, body: &Value) -> AsyncRawResponse {
    AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body.to_string())
}

#[async_trait]
impl HttpClient for FakeVaults {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let token = request.headers().iter().find(|(name, _)| name.as_str() == "authorization").map(|(_, value)| value.as_str().to_owned());
        let trouble = {
            let mut state = self.0.lock().unwrap();
            state.seen.push(Seen {
                url: request.url().to_string(),
                with_token: token.is_some(),
                with_body: request.body().is_empty() == Some(false),
            });
            state.troubles.pop_front()
        };
        let mut headers = Headers::new();
        match trouble {
            Some(Trouble::Answer { status, code, wait }) => {
                if let Some((name, value)) = wait {
                    headers.insert(name, value);
                    headers.insert("date", "Tue, 10 Nov 2026 15:00:00 GMT");
                }
                return Ok(response(status, headers, &error(status, code).1));
            }
            Some(Trouble::NoConnection) => return Err(azure_core::Error::with_message(ErrorKind::Connection, "name not known")),
            Some(Trouble::Silent) => std::future::pending().await,
            Some(Trouble::AnswerLost | Trouble::OtherKey(_) | Trouble::NoSignature) | None => {}
        }
        if token != Some(format!("Bearer token for {SCOPE}")) {
            let challenge =
                format!("Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"https://vault.azure.net\"");
            headers.insert("www-authenticate", challenge);
            return Ok(response(401, headers, &error(401, "Unauthorized").1));
        }
        let (status, mut body) = self.0.lock().unwrap().answer(request);
        match trouble {
            Some(Trouble::AnswerLost) => return Err(azure_core::Error::with_message(ErrorKind::Io, "connection reset")),
            Some(Trouble::OtherKey(kid)) => body["kid"] = json!(kid),
            Some(Trouble::NoSignature) => body["value"] = json!(BASE64URL.encode([1; 64])),
            _ => {}
        }
        Ok(response(status, headers, &body))
    }
}

/// The adapter over the fake, with the settings of the public cloud and these on top.
pub fn open(fake: &Arc<FakeVaults>, more: &[(&str, &str)]) -> KeyVault {
    let own = [("ASSAY_DEPLOYMENT_KEY", DEPLOYMENT_KEY)];
    let settings = azure_settings(&own.iter().chain(more).copied().collect::<Vec<_>>());
    let transport = Transport::new(fake.clone());
    KeyVault::new(&settings, Credential::of(azure::tokens(), &settings), Some(&transport)).unwrap()
}

/// An installation with its keys in Key Vault, and in it a client whose key is `harbor`.
pub async fn installation_of(owner: Owner) -> (TestApp, Arc<FakeVaults>) {
    let fake = FakeVaults::new();
    let mut test = TestApp::new();
    test.vault = Some(Arc::new(open(&fake, &[])));
    test.restart();
    fake.make_key(&key_uri("harbor"));
    keys::make(test.app(), owner, Some(&key_uri("harbor"))).await.unwrap();
    (test, fake)
}
