//! Pages as every adapter gives them: how long they are, and a continuation that only its own query takes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::{
    limits::invalid,
    ports::{Continuation, PortError, Query},
};

/// Documents of a page that asks for no number, and the most that one may ask for.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Sorts after every character that an id may hold.
const AFTER_IDS: char = '\u{7f}';

pub(super) fn page_size(limit: usize) -> usize {
    if limit == 0 { DEFAULT_PAGE } else { limit.min(MAX_PAGE) }
}

/// The first id that is behind all with this prefix.
pub(super) fn end_of(prefix: &str) -> String {
    format!("{prefix}{AFTER_IDS}")
}

/// Where the next page of a list starts, in a form that may be handed to a browser and back.
pub(super) fn continuation(place: impl AsRef<[u8]>) -> Continuation {
    Continuation(BASE64URL.encode(place))
}

/// The place that [`continuation`] was made of.
pub(super) fn place_of(continuation: &Continuation) -> Result<String, PortError> {
    BASE64URL.decode(&continuation.0).ok().and_then(|place| String::from_utf8(place).ok()).ok_or_else(|| invalid("continuation"))
}

/// The same for a list by prefix, which it must belong to.
pub(super) fn place_below(prefix: &str, continuation: &Continuation) -> Result<String, PortError> {
    let place = place_of(continuation)?;
    if place.starts_with(prefix) { Ok(place) } else { Err(of_another_query()) }
}

/// The id after which a query goes on.
pub(super) fn after(query: &Query) -> Result<Option<String>, PortError> {
    query.after.as_ref().map(|after| place_below(&query.prefix, after)).transpose()
}

pub(super) fn of_another_query() -> PortError {
    invalid("continuation of another query")
}
