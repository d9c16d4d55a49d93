//! Tokens given as data. Line 1 of each file says the time, the keys and what is expected; nothing of it stands here.

use assay::gate::link::{
    token::Claims,
    verify::{Expected, LinkKey, verify},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use time::OffsetDateTime;

use super::cases::{Outcome, expects, files, id};

#[test]
fn security_cases_jws_vectors() {
    let Some(files) = files("jws_vectors") else { return };
    let mut outcome = Outcome::default();
    for (file, lines) in files {
        let (context, cases) = lines.split_first().unwrap();
        assert_eq!(context["kind"], "context", "line 1 of {file} is the context");
        let now = OffsetDateTime::from_unix_timestamp(context["now"].as_i64().unwrap()).unwrap();
        let keys: Vec<LinkKey> =
            context["keys_accepted"].as_array().unwrap().iter().map(|jwk| key(jwk).expect("a point of P-256")).collect();
        let said = |name: &str| context["expected"][name].as_str().unwrap_or_else(|| panic!("{file} expects no {name}"));
        let expected =
            Expected { iss: said("iss"), aud: said("aud"), tid: said("tid"), oid: said("oid"), sub: said("sub"), act: said("act") };
        for case in cases {
            let token = case["token"].as_str().unwrap();
            let verified = verify(token, &keys, now, &expected);
            let problem = match &verified {
                Ok(claims) if expects(case, "same-token") => twin(token, claims, cases),
                Ok(_) if expects(case, "accept") => None,
                Ok(_) => Some("accepted".into()),
                Err(_) if expects(case, "reject") => None,
                Err(refused) => Some(format!("refused: {refused}")),
            };
            println!(
                "{} {}: {}",
                if problem.is_none() { "ok  " } else { "FAIL" },
                id(case),
                verified.map_or_else(|e| e.to_string(), |_| "accepted".into())
            );
            outcome.add(&format!("{file} {}", id(case)), problem.map(|problem| format!("{problem} ({})", case["title"])));
        }
    }
    outcome.end("tokens");
}

/// Other bytes than a token that is accepted, and the same claims: whoever counts uses must see one and the same id.
fn twin(token: &str, claims: &Claims, cases: &[Value]) -> Option<String> {
    let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    let original = cases.iter().find(|case| {
        let other = case["token"].as_str().unwrap_or_default();
        expects(case, "accept") && other != token && signed(other) == signed(token)
    });
    let Some(original) = original else { return Some("no accepted token has the same signed part".into()) };
    let payload = original["token"].as_str()?.split('.').nth(1)?;
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (payload["jti"] != *claims.jti).then(|| format!("its jti is {}, the original's {}", claims.jti, payload["jti"]))
}

/// The public key of a JWK (RFC 7518 6.2.1); `None` when it is no point of P-256.
pub(super) fn key(jwk: &Value) -> Option<LinkKey> {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    assert_eq!((jwk["kty"].as_str(), jwk["crv"].as_str()), (Some("EC"), Some("P-256")));
    LinkKey::new(jwk["kid"].as_str().unwrap(), &[vec![4], coordinate("x"), coordinate("y")].concat())
}
