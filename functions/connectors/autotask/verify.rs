//! Who sent a webhook: `X-Hook-Signature` = `sha1=` base64(HMAC-SHA1(secret key, raw body)).
//!
//! Never over re-serialized JSON: the sender escapes many characters as `\uXXXX` before it signs. SHA-1 is the vendor's
//! choice; in HMAC it still holds, but it is being phased out, so what the body says stays a hint until it is read.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use time::OffsetDateTime;

use crate::{
    connectors::{Secret, accept::Verdict, connection::PreviousSecret},
    web::Request,
};

const HEADER: &str = "x-hook-signature";

pub fn verify(secret: &Secret, previous: Option<&PreviousSecret>, now: OffsetDateTime, request: &Request) -> Verdict {
    let Some(header) = request.header(HEADER) else { return Verdict::unverified("missing_signature") };
    let Some(signature) = header.trim().strip_prefix("sha1=").and_then(|text| BASE64.decode(text).ok()) else {
        return Verdict::unverified("bad_signature");
    };
    let earlier = previous.filter(|previous| now < previous.until).map(|previous| &previous.secret);
    if holds(secret, &request.body, &signature) || earlier.is_some_and(|secret| holds(secret, &request.body, &signature)) {
        Verdict::Verified
    } else {
        Verdict::unverified("bad_signature")
    }
}

fn holds(secret: &Secret, body: &[u8], signature: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.bytes()), body, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Method;
    use time::Duration;

    fn signed(secret: &str, body: &'static [u8]) -> Request {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()), body);
        Request {
            method: Method::Post,
            path: String::new(),
            query: String::new(),
            headers: vec![(HEADER.into(), format!("sha1={}", BASE64.encode(tag)))],
            body: body.into(),
            invocation_id: String::new(),
        }
    }

    #[test]
    fn the_old_secret_holds_until_its_time_is_over() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let new = Secret("the new secret of the hook".into());
        let old = PreviousSecret { secret: Secret("the old secret of the hook".into()), until: now + Duration::minutes(10) };
        let request = signed(&old.secret.0, b"{}");
        assert_eq!(verify(&new, Some(&old), now, &request), Verdict::Verified);
        assert_eq!(verify(&new, Some(&old), now + Duration::minutes(10), &request), Verdict::unverified("bad_signature"));
        assert_eq!(verify(&new, None, now, &signed(&new.0, b"{}")), Verdict::Verified);
    }

    #[test]
    fn another_form_of_the_header_is_refused() {
        let secret = Secret("the new secret of the hook".into());
        let mut request = signed(&secret.0, b"{}");
        request.headers[0].1 = request.headers[0].1.replace("sha1=", "sha256=");
        assert_eq!(verify(&secret, None, OffsetDateTime::UNIX_EPOCH, &request), Verdict::unverified("bad_signature"));
        request.headers.clear();
        assert_eq!(verify(&secret, None, OffsetDateTime::UNIX_EPOCH, &request), Verdict::unverified("missing_signature"));
    }
}
