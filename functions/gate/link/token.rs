//! A link's token: ES256 over exactly these members, in the compact form of RFC 7515 3.1.
//!
//! Header and claims are closed: what is not named here is refused, so no reader can be led to believe in a member that
//! another reader skips. A token names ids and a hash, never a person's name, an address, or what is to be decided.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::Duration;

/// The only algorithm (RFC 7518 3.4).
pub const ALGORITHM: &str = "ES256";

/// Says that this is no token of another kind (RFC 8725 3.11).
pub const TYPE: &str = "approval+jwt";

/// A link in a mail or card: it shows the way.
pub const AUDIENCE_VIEW: &str = "urn:assay:gate:view";

/// The token of a decision form: made after sign-in, used up by one decision.
pub const AUDIENCE_DECIDE: &str = "urn:assay:gate:decide";

/// The longest life of a token.
pub const MAX_LIFE: Duration = Duration::hours(72);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: String,
}

/// All claims; none may be missing. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The deployment: the origin of its links.
    pub iss: String,
    /// One audience, as text; a list is refused.
    pub aud: String,
    /// The client.
    pub tid: String,
    /// The proposal.
    pub sub: String,
    /// The approver.
    pub oid: String,
    /// The hash of the action.
    pub act: String,
    /// By which a row is found and a token used up; the same for every signature over the same claims.
    pub jti: String,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
}

impl Claims {
    /// What the key of this id signs.
    pub fn to_sign(&self, kid: &str) -> String {
        let header = Header { alg: ALGORITHM.into(), typ: TYPE.into(), kid: kid.into() };
        format!("{}.{}", encoded(&header), encoded(self))
    }
}

/// The token, with the signature (r and s, 32 bytes each) over what [`Claims::to_sign`] gave.
pub fn signed(text: &str, signature: &[u8; 64]) -> String {
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encoded(part: &impl Serialize) -> String {
    // Structs of text and numbers always serialize.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}
