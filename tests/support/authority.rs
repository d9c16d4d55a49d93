//! An authority in this process, behind the Http port: Entra's endpoints, tokens and claims as far as a sign-in meets
//! them, and what a story twists about them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use assay::platform::ports::{Clock as _, HttpRequest, HttpResponse, PortError};
use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::{app::TestApp, clock::VirtualClock, http::response};

pub const HOME: &str = "1111aaaa-2222-4333-8444-555555555555";
pub const PARTNER: &str = "22222222-2222-4333-8444-555555555555";
pub const CLIENT_ID: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
pub const OLIVIA: &str = "0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e";
pub const PRIYA: &str = "0b0b0b0b-0b0b-4c0c-8d0d-0e0e0e0e0e0e";
pub const ORIGIN: &str = "https://assay.example.net";
pub const LOGIN: &str = "https://login.microsoftonline.com";
const SECRET: &str = "a secret of the app registration";
/// What the installation's managed identity gives for the exchange.
const ASSERTION: &str = "token for api://AzureADTokenExchange/.default";

/// Settings of an installation whose people sign in with Entra ID; Olivia is its owner.
pub const SETTINGS: &[(&str, &str)] = &[
    ("ASSAY_SIGN_IN", "entra"),
    ("ASSAY_PUBLIC_URL", ORIGIN),
    ("ASSAY_ENTRA_CLIENT_ID", CLIENT_ID),
    ("ASSAY_ENTRA_TENANTS", HOME),
    ("ASSAY_ENTRA_CREDENTIAL", "secret:assay-sign-in"),
    ("ASSAY_ENTRA_OWNER", OLIVIA),
];

/// How the token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// With the current key.
    Rs256,
    /// With a key that is not the authority's, under the id of one that is.
    Stranger,
    /// `alg: none`, without a signature.
    None,
    /// HMAC, the public key taken for a secret.
    Hs256,
}

pub struct Authority {
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

struct State {
    /// Which of the process's keys are published, and which one signs.
    published: Vec<usize>,
    current: usize,
    kid: Option<String>,
    signing: Signing,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Claims in place of a token's whole JSON, written by hand.
    payload: Option<String>,
    codes: HashMap<String, Code>,
    made: usize,
    answers: HashMap<&'static str, Result<HttpResponse, PortError>>,
    asked: Vec<&'static str>,
}

struct Code {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

impl Authority {
    /// Answers for a test's installation, and gives it the app registration's secret.
    pub fn of(test: &TestApp) -> Arc<Self> {
        let secrets = test.folder().join("vault/secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("assay-sign-in"), format!("{SECRET}\n")).unwrap();
        let state = State {
            published: vec![0],
            current: 0,
            kid: None,
            signing: Signing::Rs256,
            header: Map::new(),
            claims: Map::new(),
            payload: None,
            codes: HashMap::new(),
            made: 0,
            answers: HashMap::new(),
            asked: Vec::new(),
        };
        let authority = Arc::new(Self { clock: test.clock.clone(), state: Mutex::new(state) });
        let answering = authority.clone();
        test.http.answer_with(move |request| answering.answer(request));
        authority
    }

    /// Sets a claim of every token from now on; null takes it out.
    pub fn claim(&self, name: &str, value: Value) {
        self.state.lock().unwrap().claims.insert(name.into(), value);
    }

    pub fn header(&self, name: &str, value: Value) {
        self.state.lock().unwrap().header.insert(name.into(), value);
    }

    pub fn sign(&self, signing: Signing) {
        self.state.lock().unwrap().signing = signing;
    }

    /// The token's JSON, `NONCE` standing for the nonce that is due.
    pub fn payload(&self, json: &str) {
        self.state.lock().unwrap().payload = Some(json.into());
    }

    /// Another key signs, and only it is published.
    pub fn rotate(&self) {
        let mut state = self.state.lock().unwrap();
        state.current += 1;
        state.published = vec![state.current];
    }

    /// Tokens name this key, whichever signs.
    pub fn name_key(&self, kid: &str) {
        self.state.lock().unwrap().kid = Some(kid.into());
    }

    /// What an endpoint answers instead: `discovery`, `keys` or `token`. `None` mends it.
    pub fn break_down(&self, endpoint: &'static str, answer: Option<Result<HttpResponse, PortError>>) {
        let mut state = self.state.lock().unwrap();
        match answer {
            Some(answer) => state.answers.insert(endpoint, answer),
            None => state.answers.remove(endpoint),
        };
    }

    /// How often an endpoint was asked.
    pub fn asked(&self, endpoint: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| **asked == endpoint).count()
    }

    /// A person signs in at the address to which Assay sent their browser: where it is sent back to.
    pub fn sign_in(&self, address: &str) -> String {
        let address = Url::parse(address).unwrap();
        let asked: HashMap<_, _> = address.query_pairs().into_owned().collect();
        assert_eq!(address.path(), format!("/{HOME}/oauth2/v2.0/authorize"));
        for (name, value) in [
            ("client_id", CLIENT_ID),
            ("response_type", "code"),
            ("response_mode", "query"),
            ("code_challenge_method", "S256"),
            ("scope", "openid profile email"),
            ("redirect_uri", "https://assay.example.net/api/portal/signed-in"),
        ] {
            assert_eq!(asked[name], value);
        }
        let mut state = self.state.lock().unwrap();
        state.made += 1;
        let name = format!("code-{}", state.made);
        let of = |name: &str| asked[name].clone();
        let code = Code { nonce: of("nonce"), challenge: of("code_challenge"), redirect_uri: of("redirect_uri") };
        state.codes.insert(name.clone(), code);
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("code", &name).append_pair("state", &of("state")).finish();
        format!("portal/signed-in?{query}&session_state=x")
    }

    fn answer(&self, request: &HttpRequest) -> Option<Result<HttpResponse, PortError>> {
        let path = request.url.as_str().strip_prefix(LOGIN)?;
        // Where people of several directories may sign in, any organization's is asked.
        let endpoint = match path.strip_prefix("/organizations/").or_else(|| path.strip_prefix(&format!("/{HOME}/")))? {
            "v2.0/.well-known/openid-configuration" => "discovery",
            "discovery/v2.0/keys" => "keys",
            "oauth2/v2.0/token" => "token",
            _ => return None,
        };
        let mut state = self.state.lock().unwrap();
        state.asked.push(endpoint);
        if let Some(answer) = state.answers.get(endpoint) {
            return Some(answer.clone());
        }
        Some(Ok(match endpoint {
            "discovery" => json_answer(200, &discovery()),
            "keys" => json_answer(200, &json!({ "keys": state.published.iter().map(|n| jwk(*n)).collect::<Vec<_>>() })),
            _ => self.token(&mut state, &request.body),
        }))
    }

    fn token(&self, state: &mut State, body: &[u8]) -> HttpResponse {
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let asserts = given("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            && given("client_assertion") == ASSERTION;
        if (given("client_secret") != SECRET && !asserts) || form["client_id"] != CLIENT_ID {
            return json_answer(
                401,
                &json!({ "error": "invalid_client", "error_description": "AADSTS7000215", "error_codes": [7_000_215] }),
            );
        }
        let Some(code) = state.codes.remove(&form["code"]) else {
            return json_answer(400, &json!({ "error": "invalid_grant", "error_description": "AADSTS54005: redeemed" }));
        };
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, form["code_verifier"].as_bytes()));
        if challenge != code.challenge || form["redirect_uri"] != code.redirect_uri || form["grant_type"] != "authorization_code" {
            return json_answer(400, &json!({ "error": "invalid_grant" }));
        }
        let now = self.clock.now().unix_timestamp();
        let payload = match &state.payload {
            Some(by_hand) => by_hand.replace("NONCE", &code.nonce),
            None => json_of(
                json!({
                    "ver": "2.0", "iss": format!("{LOGIN}/{HOME}/v2.0"), "aud": CLIENT_ID, "tid": HOME, "oid": OLIVIA,
                    "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "iat": now, "nbf": now, "exp": now + 3600,
                    "nonce": code.nonce, "acct": 0, "auth_time": now, "name": "Olivia Hart", "preferred_username": "olivia@northgate.example",
                    "uti": "fqiBqXLPj0eQa82S-IYFAA", "rh": "0.AUEA"
                }),
                &state.claims,
            ),
        };
        json_answer(200, &json!({ "token_type": "Bearer", "access_token": "unread", "id_token": signed(state, &payload) }))
    }
}

fn json_of(mut value: Value, changes: &Map<String, Value>) -> String {
    for (name, change) in changes {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            value[name.as_str()] = change.clone();
        }
    }
    value.to_string()
}

fn signed(state: &State, payload: &str) -> String {
    let alg = match state.signing {
        Signing::Rs256 | Signing::Stranger => "RS256",
        Signing::None => "none",
        Signing::Hs256 => "HS256",
    };
    let kid = state.kid.clone().unwrap_or_else(|| kid(state.current));
    let header = json_of(json!({ "typ": "JWT", "alg": alg, "kid": kid }), &state.header);
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = match state.signing {
        Signing::None => Vec::new(),
        Signing::Hs256 => {
            let public = keys()[state.current].public_key().as_ref();
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), text.as_bytes()).as_ref().to_vec()
        }
        Signing::Rs256 | Signing::Stranger => {
            let key = if state.signing == Signing::Stranger { &keys()[STRANGER] } else { &keys()[state.current] };
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
            signature
        }
    };
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The last of the keys is nobody's.
const STRANGER: usize = 2;

fn keys() -> &'static [KeyPair; 3] {
    static KEYS: OnceLock<[KeyPair; 3]> = OnceLock::new();
    KEYS.get_or_init(|| std::array::from_fn(|_| KeyPair::generate(KeySize::Rsa2048).unwrap()))
}

fn kid(number: usize) -> String {
    format!("key-{number}")
}

fn jwk(number: usize) -> Value {
    let public = keys()[number].public_key();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({
        "kty": "RSA", "use": "sig", "kid": kid(number), "x5t": kid(number), "x5c": ["unread"],
        "n": text(public.modulus().big_endian_without_leading_zero()),
        "e": text(public.exponent().big_endian_without_leading_zero()),
        "issuer": format!("{LOGIN}/{{tenantid}}/v2.0")
    })
}

pub fn discovery() -> Value {
    let at = |path: &str| format!("{LOGIN}/{HOME}/{path}");
    json!({
        "issuer": at("v2.0"), "authorization_endpoint": at("oauth2/v2.0/authorize"), "token_endpoint": at("oauth2/v2.0/token"),
        "jwks_uri": at("discovery/v2.0/keys"), "end_session_endpoint": at("oauth2/v2.0/logout"),
        "response_modes_supported": ["query", "fragment", "form_post"], "tenant_region_scope": null
    })
}

pub fn json_answer(status: u16, body: &Value) -> HttpResponse {
    response(status, &[("content-type", "application/json")], body.to_string())
}
