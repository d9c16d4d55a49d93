//! What in a package looks like a secret of somebody's: a key or a token has a shape that nothing else in it has.
//!
//! Whatever lay in the environment, in a file or in a source when the program was built could be in it. A password has no shape
//! and is not seen here.

/// What it looks like.
pub(super) fn seen(content: &[u8]) -> impl Iterator<Item = &'static str> {
    let private_key = content.windows(64).any(is_private_key);
    let account_key = runs(content, b"+/=").any(is_account_key);
    let token = runs(content, b"-_.").any(is_token);
    [(private_key, "a private key"), (account_key, "an account's key"), (token, "a token")]
        .into_iter()
        .filter_map(|(is_there, what)| is_there.then_some(what))
}

/// RFC 7468 2: the line that says so, and one of base64 after it. The line alone stands in this very file.
fn is_private_key(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"PRIVATE KEY-----") else { return false };
    let Some(body) = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\r\n")) else { return false };
    body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
}

/// Of storage, Cosmos DB and Service Bus: 64 bytes in base64 (RFC 4648 4), alone or behind `AccountKey=`.
fn is_account_key(run: &[u8]) -> bool {
    run.strip_suffix(b"==").and_then(|key| key.rsplit(|byte| *byte == b'=').next()).is_some_and(|key| key.len() == 86)
}

/// RFC 7519: header and claims are objects, and `{"` is `eyJ` in base64.
fn is_token(run: &[u8]) -> bool {
    run.windows(3).position(|bytes| bytes == b"eyJ").is_some_and(|at| run[at..].windows(4).any(|bytes| bytes == b".eyJ"))
}

/// Runs of letters, digits and these.
fn runs<'c>(content: &'c [u8], others: &'c [u8]) -> impl Iterator<Item = &'c [u8]> {
    content.split(|byte| !byte.is_ascii_alphanumeric() && !others.contains(byte))
}
