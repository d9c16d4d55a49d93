//! How long an answer asks to wait: seconds, or a date (RFC 9110 10.2.3).

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// What a `Retry-After` says, counted from `now`; a date that has passed is no wait. `None` when it says neither.
pub fn wait(text: &str, now: Option<OffsetDateTime>) -> Option<Duration> {
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(Duration::try_from(date(text)? - now?).unwrap_or_default()))
}

/// A date as HTTP writes it (RFC 9110 5.6.7).
pub fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.trim().replace("GMT", "+0000"), &Rfc2822).ok()
}
