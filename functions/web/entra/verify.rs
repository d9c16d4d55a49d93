//! The ID token: parsed strictly, its signature and every claim checked, before anything in it is believed
//! (OpenID Connect Core 3.1.3.7, RFC 8725; Entra's claims as its token reference has them, version 2.0).
//!
//! RS256 only, by a key of the authority's own set: no header says where a key is, or which algorithm to take instead.
//! A member that stands twice is refused, because two readers could believe two different ones.

use std::{collections::BTreeSet, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::keys::Key;
use crate::{
    config::EntraSettings,
    tenancy::directory::Proof,
    web::{Problem, step_up::CLOCK_SKEW},
};

/// Far more than Entra sends.
const MAX_TOKEN_BYTES: usize = 32 * 1024;

/// In seconds.
const SKEW: i64 = CLOCK_SKEW.whole_seconds();

/// Header members by which a sender could choose the key or the meaning (RFC 7515 4.1, RFC 7516, RFC 7797).
const FORBIDDEN: &[&str] = &["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token has no form that is taken")]
    Form,
    #[error("the token is not signed with RS256")]
    Algorithm,
    #[error("the token's header names a key or an extension of its own")]
    Header,
    #[error("the token names a key that the authority does not have")]
    UnknownKey,
    #[error("the token's signature does not hold")]
    Signature,
    #[error("the token is for another app")]
    Audience,
    #[error("the token is of a directory that is not allowed")]
    Directory,
    #[error("the token was not made by the directory it names")]
    Issuer,
    #[error("the token is expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token belongs to another sign-in")]
    Nonce,
    #[error("the token is of an app, not of a person")]
    NoPerson,
    #[error("the token is of a guest")]
    Guest,
    /// The optional claim that the app registration must add (README, "In your own Azure").
    #[error("the token does not say whether it is of a guest: add the optional claim acct to the app registration's ID token")]
    NoAcct,
}

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    kid: String,
    signed: &'a [u8],
    signature: Vec<u8>,
    payload: Vec<u8>,
}

impl Unverified<'_> {
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }
}

/// What a verified token says about the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) tid: Uuid,
    pub(super) oid: Uuid,
    /// Of another organization, whose home is elsewhere.
    pub(super) is_guest: bool,
    /// As the directory writes them; they inform, and change.
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) sign_in_name: Option<String>,
    /// When and how they proved who they are.
    pub(super) proof: Proof,
    /// App roles, as the token's own directory gave them: any directory may give any.
    pub(super) roles: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
}

/// A list as `aud` has no place here, nor has a number that is none.
#[derive(Deserialize)]
struct Payload {
    ver: String,
    iss: String,
    aud: String,
    tid: String,
    oid: Option<String>,
    sub: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    idtyp: Option<String>,
    idp: Option<String>,
    acct: Option<i64>,
    name: Option<String>,
    email: Option<String>,
    preferred_username: Option<String>,
    auth_time: Option<i64>,
    #[serde(default)]
    acrs: OneOrMany,
    #[serde(default)]
    amr: OneOrMany,
    #[serde(default)]
    roles: OneOrMany,
}

/// Entra writes one as a text in some tokens and as a list in others.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// More than a person has; what is beyond is not kept.
const MOST_WORDS: usize = 32;

impl OneOrMany {
    /// Words as they may stand in the log: short, and of plain characters.
    fn words(self) -> Vec<String> {
        let all = match self {
            Self::One(word) => vec![word],
            Self::Many(words) => words,
        };
        let plain =
            |word: &String| word.len() <= 64 && !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        all.into_iter().filter(plain).take(MOST_WORDS).collect()
    }
}

pub(super) fn parse(token: &str) -> Result<Unverified<'_>, TokenError> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(TokenError::Form);
    };
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Form);
    }
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form);
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let names = names_once(&header)?;
    if FORBIDDEN.iter().any(|name| names.contains(*name)) {
        return Err(TokenError::Header);
    }
    let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Form)?;
    if header.alg != "RS256" {
        return Err(TokenError::Algorithm);
    }
    if header.typ.is_some_and(|typ| typ != "JWT") {
        return Err(TokenError::Form);
    }
    Ok(Unverified { kid: header.kid, signed, signature, payload })
}

/// `keys` are the authority's of this token's `kid`.
pub(super) fn verify(
    token: &Unverified<'_>,
    keys: &[Key],
    settings: &EntraSettings,
    nonce: &str,
    now: OffsetDateTime,
) -> Result<Claims, TokenError> {
    let signers: Vec<&Key> = keys.iter().filter(|key| key.signed(token.signed, &token.signature)).collect();
    if signers.is_empty() {
        return Err(TokenError::Signature);
    }
    names_once(&token.payload)?;
    let payload: Payload = serde_json::from_slice(&token.payload).map_err(|_| TokenError::Form)?;
    if payload.ver != "2.0" {
        return Err(TokenError::Form);
    }
    if payload.aud != settings.client_id.to_string() {
        return Err(TokenError::Audience);
    }
    let tid = guid(&payload.tid).filter(|tid| settings.directories.contains(tid)).ok_or(TokenError::Directory)?;
    let issuer = settings.issuer(&payload.tid);
    if payload.iss != issuer || !signers.iter().any(|key| key.is_of(&issuer, &payload.tid)) {
        return Err(TokenError::Issuer);
    }
    let now = now.unix_timestamp();
    if payload.exp <= now.saturating_sub(SKEW) {
        return Err(TokenError::Expired);
    }
    if payload.iat.max(payload.nbf.unwrap_or(i64::MIN)) > now.saturating_add(SKEW) {
        return Err(TokenError::NotYet);
    }
    if payload.nonce.as_deref() != Some(nonce) {
        return Err(TokenError::Nonce);
    }
    // A token that an app got for itself has no person, or the app stands in the person's place.
    let oid = payload.oid.as_deref().and_then(guid).ok_or(TokenError::NoPerson)?;
    let of_app = payload.idtyp.is_some_and(|kind| kind != "user");
    if of_app || payload.sub.is_none_or(|sub| sub.is_empty() || Some(sub) == payload.oid) {
        return Err(TokenError::NoPerson);
    }
    // A home account has no `idp`, and a guest need not have one: `acct` alone tells them apart.
    let is_guest = payload.idp.is_some_and(|idp| idp != issuer) || payload.acct.is_some_and(|acct| acct != 0);
    if !settings.guests {
        if is_guest {
            return Err(TokenError::Guest);
        }
        payload.acct.ok_or(TokenError::NoAcct)?;
    }
    // A time to come proves nothing; it is as if none had been said.
    let proved_at =
        payload.auth_time.filter(|at| *at <= now.saturating_add(SKEW)).and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let sign_in_name = payload.preferred_username;
    Ok(Claims {
        tid,
        oid,
        is_guest,
        name: payload.name,
        email: payload.email.or_else(|| sign_in_name.clone()),
        sign_in_name,
        proof: Proof { at: proved_at, contexts: payload.acrs.words(), methods: payload.amr.words() },
        roles: payload.roles.words(),
    })
}

/// In the one form that Entra writes, so that one identity has one spelling.
fn guid(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok().filter(|id| id.to_string() == text)
}

/// The names of an object's members, each of which stands there once.
fn names_once(json: &[u8]) -> Result<BTreeSet<String>, TokenError> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = BTreeSet<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = BTreeSet::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if !names.insert(name) {
                    return Err(serde::de::Error::custom("a member stands twice"));
                }
            }
            Ok(names)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(json);
    let names = json.deserialize_map(Names).map_err(|_| TokenError::Form)?;
    json.end().map_err(|_| TokenError::Form)?;
    Ok(names)
}

impl TokenError {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Form => "token-malformed",
            Self::Algorithm => "token-algorithm",
            Self::Header => "token-header",
            Self::UnknownKey => "token-unknown-key",
            Self::Signature => "token-signature",
            Self::Audience => "token-audience",
            Self::Directory => "token-directory",
            Self::Issuer => "token-issuer",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet-valid",
            Self::Nonce => "token-nonce",
            Self::NoPerson => "token-of-an-app",
            Self::Guest => "token-of-a-guest",
            Self::NoAcct => "token-without-acct",
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let refused = |detail: &str| Self::new(403, "sign-in-refused", "You are not signed in", detail);
        match error {
            TokenError::Directory => refused(
                "Your account belongs to an organization that may not sign in here. Sign in with the account of yours that the MSP knows, or ask them.",
            ),
            TokenError::Guest => refused(
                "You are a guest in that directory, and guests may not sign in here. Sign in with an account of the organization itself, or ask whoever runs Assay.",
            ),
            TokenError::NoAcct => refused(
                "Your sign-in does not say whether you are a guest there, and guests may not sign in here. Nobody can sign in until whoever runs Assay adds the optional claim \u{201c}acct\u{201d} to the ID token of the app registration.",
            ),
            TokenError::NoPerson => refused("This was an app's sign-in. Only people can sign in here."),
            TokenError::Expired | TokenError::NotYet => Self::new(
                401,
                "not-signed-in",
                "You are not signed in",
                "By Assay's clock your sign-in is not valid now. Sign in again; if it goes on, tell whoever runs Assay that a clock is wrong.",
            ),
            _ => Self::new(
                401,
                "not-signed-in",
                "You are not signed in",
                "What came back from the sign-in service does not hold, so nobody was signed in. Sign in again; if it goes on, tell whoever runs Assay the reference below.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of a token as they may come, good and bad.
    fn part() -> impl Strategy<Value = String> {
        let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
        prop_oneof![
            ".{0,40}".prop_map(|text| text),
            proptest::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
            Just(text(r#"{"alg":"RS256","kid":"a"}"#)),
            Just(text(r#"{"alg":"none","kid":"a"}"#)),
            Just(format!("{}=", text(r#"{"alg":"RS256","kid":"ab"}"#))),
            r#"\{"alg":"RS256","kid":"[a-z\\]{0,5}"(,"[a-z0-9]{1,4}":(1|null|"x"|\[\])){0,3}\}"#
                .prop_map(|json| URL_SAFE_NO_PAD.encode(json)),
        ]
    }

    proptest! {
        /// It never fails otherwise than in words, and what it takes says RS256, names a key and brings none.
        #[test]
        fn whatever_comes_is_taken_as_rs256_or_not_at_all(parts in proptest::collection::vec(part(), 0..5), signature in ".{0,12}") {
            let token = format!("{}.{signature}", parts.join("."));
            if let Ok(taken) = parse(&token) {
                let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default()).expect("base64url");
                let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
                prop_assert_eq!(&header["alg"], "RS256");
                prop_assert_eq!(&header["kid"], taken.kid());
                prop_assert!(FORBIDDEN.iter().all(|name| header.get(name).is_none()));
                prop_assert_eq!(token.matches('.').count(), 2);
            }
        }

        /// However a name is written: twice is once too often, at any place.
        #[test]
        fn a_name_stands_once(mut names in proptest::collection::btree_set("[a-z]{1,6}", 1..8), at in any::<prop::sample::Index>(), escaped: bool) {
            let object = |names: &[String]| format!("{{{}}}", names.iter().map(|name| format!("\"{name}\":[1]")).collect::<Vec<_>>().join(","));
            let mut once: Vec<String> = std::mem::take(&mut names).into_iter().collect();
            prop_assert_eq!(names_once(object(&once).as_bytes()).expect("each once").len(), once.len());
            let again = at.get(&once).clone();
            once.push(if escaped { format!("\\u{:04x}{}", u32::from(again.as_bytes()[0]), &again[1..]) } else { again });
            prop_assert_eq!(names_once(object(&once).as_bytes()), Err(TokenError::Form));
        }
    }

    #[test]
    fn a_token_that_is_too_long_is_not_read() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"a"}"#);
        assert!(parse(&format!("{header}.e30.e30")).is_ok());
        assert_eq!(parse(&format!("{header}.{}.e30", "e".repeat(MAX_TOKEN_BYTES))).err(), Some(TokenError::Form));
    }
}
