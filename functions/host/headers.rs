//! Headers at the border: what may leave, and what tells the host's calls apart from a stranger's.
//!
//! The host turns a reply with any byte above ASCII in a header into an empty 500 (measured on a running host), so
//! every reply of the handler passes through [`only_ascii`], and nothing else has to think of it.

use crate::web::Reply;

/// Headers whose value is an address: percent-encoding says the same thing in ASCII.
const ADDRESSES: [&str; 2] = ["location", "content-location"];

/// Percent-encodes what is not ASCII in addresses, and drops any other header that is not printable ASCII.
pub(super) fn only_ascii(reply: Reply) -> Reply {
    let headers = reply.headers.into_iter().filter_map(|(name, value)| Some((name, printable(name, value)?))).collect();
    Reply { headers, ..reply }
}

fn printable(name: &'static str, value: String) -> Option<String> {
    if value.bytes().all(is_printable) {
        return Some(value);
    }
    // A line break would let a value write headers of its own.
    if !ADDRESSES.contains(&name) || value.chars().any(char::is_control) {
        tracing::error!(header = name, "header dropped: not printable ASCII");
        return None;
    }
    Some(value.bytes().map(|b| if b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect())
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Only the proxy sets these, and it sets them always: an envelope that carries one came from outside (measured).
pub(super) fn came_through_the_proxy(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, _)| name == "x-ms-invocation-id" || name.starts_with("x-forwarded-"))
}

/// The host's id of the invocation; the host overwrites what a client sends by these names.
pub(super) fn invocation_id(headers: &[(String, String)]) -> Option<&str> {
    ["x-azure-functions-invocationid", "x-ms-invocation-id"]
        .iter()
        .find_map(|wanted| headers.iter().find(|(name, _)| name == wanted))
        .map(|(_, value)| value.as_str())
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}
