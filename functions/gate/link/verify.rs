//! Verifies a link's token: pure, strict, and without any choice that a sender could make (RFC 8725).
//!
//! ES256 only, by a key of the given set whose id matches exactly; no header can bring a key, name an address or turn
//! checks off. The signature is checked before a claim is read. A signature has a twin that verifies too (ECDSA's other
//! s), so nothing may remember tokens by their bytes: use the `jti`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use time::OffsetDateTime;

use super::token::{ALGORITHM, Claims, Header, MAX_LIFE, TYPE};
use crate::tenancy::signing::VerifyingKey;

/// Ours have about 700 bytes.
pub const MAX_TOKEN_BYTES: usize = 2048;

/// How far two clocks may be apart, in seconds.
pub const SKEW: i64 = 60;

const SIGNATURE_BYTES: usize = 64;
const MAX_ID_BYTES: usize = 64;

/// Why a token counts for nothing. The sender hears one sentence, whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("longer than a token of ours")]
    TooLong,
    #[error("not three parts of base64url")]
    Form,
    #[error("the header is not exactly alg, typ and kid")]
    Header,
    #[error("not signed with ES256")]
    Algorithm,
    #[error("a token of another type")]
    Type,
    #[error("signed with a key that is not in the set")]
    UnknownKey,
    #[error("the signature does not hold")]
    Signature,
    #[error("the claims are not exactly those of a link")]
    Claims,
    #[error("of another deployment")]
    Issuer,
    #[error("for another use")]
    Audience,
    #[error("lives longer than a token may, or ends before it begins")]
    Life,
    #[error("not valid yet")]
    NotYet,
    #[error("expired")]
    Expired,
    #[error("of another client")]
    Client,
    #[error("for another person")]
    Person,
    #[error("of another proposal")]
    Proposal,
    #[error("of another action")]
    Action,
}

/// What a token must say, word for word.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub iss: &'a str,
    pub aud: &'a str,
    pub tid: &'a str,
    pub oid: &'a str,
    pub sub: &'a str,
    pub act: &'a str,
}

/// A public key that may have signed, under the id that tokens name it by.
pub struct LinkKey {
    kid: String,
    key: VerifyingKey,
}

impl LinkKey {
    /// `point`: uncompressed, 65 bytes (SEC 1 2.3.3). `None` when it is not a point of P-256.
    pub fn new(kid: impl Into<String>, point: &[u8]) -> Option<Self> {
        Some(Self { kid: kid.into(), key: VerifyingKey::from_point(point)? })
    }
}

impl From<VerifyingKey> for LinkKey {
    fn from(key: VerifyingKey) -> Self {
        Self { kid: key.kid().to_owned(), key }
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKey({})", self.kid)
    }
}

/// The claims of a token that is whole, signed by one of `keys`, in its time, and says exactly what is `expected`.
pub fn verify(token: &str, keys: &[LinkKey], now: OffsetDateTime, expected: &Expected<'_>) -> Result<Claims, Refused> {
    let claims = open(token, keys, now, expected.iss, expected.aud)?;
    for (said, expected, refused) in [
        (&claims.tid, expected.tid, Refused::Client),
        (&claims.sub, expected.sub, Refused::Proposal),
        (&claims.oid, expected.oid, Refused::Person),
        (&claims.act, expected.act, Refused::Action),
    ] {
        if said != expected {
            return Err(refused);
        }
    }
    Ok(claims)
}

/// The same for a reader who learns from the token which proposal it points to.
pub fn open(token: &str, keys: &[LinkKey], now: OffsetDateTime, iss: &str, aud: &str) -> Result<Claims, Refused> {
    let parts = Signed::parse(token)?;
    parts.check(keys)?;
    let claims: Claims = object(&parts.payload).ok_or(Refused::Claims)?;
    let id = !claims.jti.is_empty() && claims.jti.len() <= MAX_ID_BYTES;
    if !id || !claims.jti.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(Refused::Claims);
    }
    if claims.iss != iss {
        return Err(Refused::Issuer);
    }
    if claims.aud != aud {
        return Err(Refused::Audience);
    }
    in_time(&claims, now)?;
    Ok(claims)
}

fn in_time(claims: &Claims, now: OffsetDateTime) -> Result<(), Refused> {
    let seconds = |at: u64| i64::try_from(at).map_err(|_| Refused::Claims);
    let (issued, from, until) = (seconds(claims.iat)?, seconds(claims.nbf)?, seconds(claims.exp)?);
    let now = now.unix_timestamp();
    if now >= until.saturating_add(SKEW) {
        return Err(Refused::Expired);
    }
    if issued.max(from) > now.saturating_add(SKEW) {
        return Err(Refused::NotYet);
    }
    if until <= issued.max(from) || until.saturating_sub(issued.min(from)) > MAX_LIFE.whole_seconds() {
        return Err(Refused::Life);
    }
    Ok(())
}

/// The parts of a token in compact form, nothing believed yet.
pub struct Signed<'a> {
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    /// What was signed.
    pub text: &'a [u8],
    pub signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    pub fn parse(token: &'a str) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Refused::Form);
        };
        // This engine takes neither padding nor other alphabets nor stray bits at the end.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Form);
        let text = &token.as_bytes()[..header.len() + 1 + payload.len()];
        Ok(Self { header: decode(header)?, payload: decode(payload)?, text, signature: decode(signature)? })
    }

    /// The key that the header names, if it is a header of ours.
    pub fn kid(&self) -> Option<String> {
        object(&self.header).map(|header: Header| header.kid)
    }

    /// Header and signature.
    fn check(&self, keys: &[LinkKey]) -> Result<(), Refused> {
        let header: Header = object(&self.header).ok_or(Refused::Header)?;
        if header.alg != ALGORITHM {
            return Err(Refused::Algorithm);
        }
        if header.typ != TYPE {
            return Err(Refused::Type);
        }
        let mut named = keys.iter().filter(|key| key.kid == header.kid);
        // Two keys of one id: nobody could say which one is meant.
        let (Some(key), None) = (named.next(), named.next()) else { return Err(Refused::UnknownKey) };
        if self.holds_under(key) { Ok(()) } else { Err(Refused::Signature) }
    }

    /// Whether this key signed it; says nothing about what it says.
    pub fn holds_under(&self, key: &LinkKey) -> bool {
        self.signature.len() == SIGNATURE_BYTES && key.key.verifies(self.text, &self.signature)
    }
}

/// A JSON object and nothing else: serde would take a list for a struct too. Members that are unknown or stand twice,
/// also behind an escape, are refused by the struct's own `Deserialize`.
fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::{
        super::token::{AUDIENCE_DECIDE, AUDIENCE_VIEW, signed},
        *,
    };

    const NOW: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

    type Change = fn(&mut Claims);

    fn at(seconds: i64) -> u64 {
        u64::try_from(NOW.unix_timestamp() + seconds).expect("after 1970")
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://assay.example.net".into(),
            aud: AUDIENCE_DECIDE.into(),
            tid: "11111111-aaaa-4aaa-8aaa-000000000001".into(),
            sub: "0192f3a0-0000-7000-8000-000000000002".into(),
            oid: "33333333-cccc-4ccc-8ccc-000000000003".into(),
            act: "5".repeat(64),
            jti: "0192f3a0-0000-7000-8000-000000000009".into(),
            iat: at(0),
            nbf: at(0),
            exp: at(3600),
        }
    }

    fn expected(claims: &Claims) -> Expected<'_> {
        Expected { iss: &claims.iss, aud: &claims.aud, tid: &claims.tid, oid: &claims.oid, sub: &claims.sub, act: &claims.act }
    }

    struct Signer {
        pair: EcdsaKeyPair,
        keys: [LinkKey; 1],
    }

    impl Signer {
        fn new() -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
            let keys = [LinkKey::new("k1", pair.public_key().as_ref()).expect("a point")];
            Self { pair, keys }
        }

        fn sign(&self, text: &str) -> String {
            let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).expect("signs");
            signed(text, signature.as_ref().try_into().expect("64 bytes"))
        }

        fn token(&self, claims: &Claims) -> String {
            self.sign(&claims.to_sign("k1"))
        }

        /// Any header and payload, signed by the right key.
        fn raw(&self, header: &str, payload: &str) -> String {
            self.sign(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)))
        }

        fn verify(&self, token: &str) -> Result<Claims, Refused> {
            verify(token, &self.keys, NOW, &expected(&claims()))
        }
    }

    #[test]
    fn a_token_says_what_was_signed_and_each_claim_counts() {
        let signer = Signer::new();
        assert_eq!(signer.verify(&signer.token(&claims())), Ok(claims()));
        assert_eq!(Signed::parse(&signer.token(&claims())).ok().and_then(|signed| signed.kid()), Some("k1".into()));
        let of = |bytes: usize| format!("{}.e.c", "a".repeat(bytes - 4));
        assert!(matches!(Signed::parse(&of(MAX_TOKEN_BYTES + 1)), Err(Refused::TooLong)));
        assert!(!matches!(Signed::parse(&of(MAX_TOKEN_BYTES)), Err(Refused::TooLong)));
        let cases: &[(Change, Refused)] = &[
            (|c| c.iss.push('x'), Refused::Issuer),
            (|c| c.aud = AUDIENCE_VIEW.into(), Refused::Audience),
            (|c| c.tid.make_ascii_uppercase(), Refused::Client),
            (|c| c.sub.clear(), Refused::Proposal),
            (|c| c.oid.insert(0, ' '), Refused::Person),
            (|c| c.act = "0".repeat(64), Refused::Action),
            (|c| c.jti.clear(), Refused::Claims),
            (|c| c.jti = "a/../b".into(), Refused::Claims),
            (|c| c.jti = "j".repeat(65), Refused::Claims),
            (|c| c.iat = at(61), Refused::NotYet),
            (|c| c.nbf = at(61), Refused::NotYet),
            (|c| (c.iat, c.nbf, c.exp) = (at(-600), at(-600), at(-60)), Refused::Expired),
            (|c| c.exp = at(72 * 3600 + 1), Refused::Life),
            (|c| c.nbf = at(-1000), Refused::Life),
            (|c| (c.nbf, c.exp) = (at(50), at(40)), Refused::Life),
            (|c| c.exp = u64::MAX, Refused::Claims),
        ];
        for (n, (change, refused)) in cases.iter().enumerate() {
            let mut changed = claims();
            if *refused == Refused::Life && n == 13 {
                changed.exp = at(72 * 3600);
            }
            change(&mut changed);
            assert_eq!(signer.verify(&signer.token(&changed)), Err(*refused), "case {n}");
        }
        let at_the_edges = Claims { iat: at(60), nbf: at(60), exp: at(60 + 72 * 3600), ..claims() };
        assert!(signer.verify(&signer.token(&at_the_edges)).is_ok());
        let nearly_over = Claims { iat: at(-600), nbf: at(-600), exp: at(-59), ..claims() };
        assert!(signer.verify(&signer.token(&nearly_over)).is_ok());
    }

    #[test]
    fn a_signed_token_of_another_form_is_refused_all_the_same() {
        let signer = Signer::new();
        let (header, payload) = (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k1"}"#, serde_json::to_string(&claims()).expect("json"));
        assert!(signer.verify(&signer.raw(header, &payload)).is_ok());
        let headers = [
            (r#"{"alg":"ES384","typ":"approval+jwt","kid":"k1"}"#, Refused::Algorithm),
            (r#"{"alg":"es256","typ":"approval+jwt","kid":"k1"}"#, Refused::Algorithm),
            (r#"{"alg":"none","typ":"approval+jwt","kid":"k1"}"#, Refused::Algorithm),
            (r#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#, Refused::Type),
            (r#"{"alg":"ES256","typ":"application/approval+jwt","kid":"k1"}"#, Refused::Type),
            (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k2"}"#, Refused::UnknownKey),
            (r#"{"alg":"ES256","typ":"approval+jwt"}"#, Refused::Header),
            (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k1","jku":"https://x"}"#, Refused::Header),
            (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k1","crit":["b64"],"b64":false}"#, Refused::Header),
            (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k1","kid":"k1"}"#, Refused::Header),
            (r#"{"alg":"ES256","\u0061lg":"none","typ":"approval+jwt","kid":"k1"}"#, Refused::Header),
            (r#"["ES256","approval+jwt","k1"]"#, Refused::Header),
            (r#"{"alg":"ES256","typ":"approval+jwt","kid":"k1"}{}"#, Refused::Header),
            ("\u{feff}{}", Refused::Header),
        ];
        for (header, refused) in headers {
            assert_eq!(signer.verify(&signer.raw(header, &payload)), Err(refused), "{header}");
        }
        let payloads = [
            payload.replacen("\"aud\":\"urn:assay:gate:decide\"", "\"aud\":[\"urn:assay:gate:decide\"]", 1),
            payload.replacen('}', ",\"admin\":true}", 1),
            payload.replacen('}', ",\"\\u0061ct\":\"x\"}", 1),
            payload.replacen(&format!("\"iat\":{}", at(0)), &format!("\"iat\":{}.0", at(0)), 1),
            payload.replacen(&format!("\"exp\":{}", at(3600)), "\"exp\":1e400", 1),
            payload.replacen(&format!("\"exp\":{}", at(3600)), "\"exp\":\"never\"", 1),
            payload.replacen(&format!("\"nbf\":{}", at(0)), "\"nbf\":-1", 1),
            payload.replacen(&format!(",\"nbf\":{}", at(0)), "", 1),
            "null".into(),
            format!("[{payload}]"),
            String::new(),
        ];
        for changed in payloads {
            assert_eq!(signer.verify(&signer.raw(header, &changed)), Err(Refused::Claims), "{changed}");
        }
        let two = [
            LinkKey::new("k1", signer.pair.public_key().as_ref()).expect("a point"),
            LinkKey::new("k1", signer.pair.public_key().as_ref()).expect("a point"),
        ];
        assert_eq!(verify(&signer.token(&claims()), &two, NOW, &expected(&claims())).err(), Some(Refused::UnknownKey), "one id, two keys");
        assert!(LinkKey::new("k1", &[4; 65]).is_none() && LinkKey::new("k1", &[]).is_none());
    }

    /// Every byte of a token, changed in each of several ways: it never verifies as something else.
    #[test]
    fn no_byte_can_be_changed() {
        let signer = Signer::new();
        let token = signer.token(&claims());
        for at in 0..token.len() {
            for new in [b'A', b'_', b'-', b'.', b'=', b'+', b' ', b'~', token.as_bytes()[at] ^ 1, token.as_bytes()[at] ^ 0x20] {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = new;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(changed == token || signer.verify(&changed).is_err(), "byte {at} as {new}");
            }
            let (mut longer, mut shorter) = (token.clone(), token.clone());
            longer.insert(at, 'A');
            shorter.remove(at);
            assert!(signer.verify(&longer).is_err() && signer.verify(&shorter).is_err(), "byte {at} more or less");
        }
        assert_eq!(signer.verify(&token.repeat(4)), Err(Refused::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_is_signed_is_read_back_as_it_was(
            jti in "[A-Za-z0-9_-]{1,64}", act in "\\PC{0,80}", life in 1_i64..=72 * 3600, ago in 0_i64..=60,
        ) {
            let signer = Signer::new();
            let given = Claims { jti, act, iat: at(-ago), nbf: at(-ago), exp: at(life - ago), ..claims() };
            prop_assert_eq!(verify(&signer.token(&given), &signer.keys, NOW, &expected(&given)), Ok(given.clone()));
            prop_assert_eq!(verify(&Signer::new().token(&given), &signer.keys, NOW, &expected(&given)), Err(Refused::Signature));
        }

        #[test]
        fn nothing_that_was_not_signed_verifies(text in prop_oneof![".{0,200}", "[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}"]) {
            prop_assert!(Signer::new().verify(&text).is_err());
        }
    }
}
