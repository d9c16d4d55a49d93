//! Pages as every adapter gives them: how long they are, and a continuation that only its own query takes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::{
    limits::invalid,
    ports::{Continuation, MAX_PREFIXES, PortError, Query},
};

/// Documents of a page that asks for no number, and the most that one may ask for.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Sorts after every character that an id may hold.
const AFTER_IDS: char = '\u{7f}';

pub(super) fn page_size(limit: usize) -> usize {
    if limit == 0 { DEFAULT_PAGE } else { limit.min(MAX_PAGE) }
}

/// Ids from `from` (which belongs to it or not) to `to` (which never does).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: String,
    pub(super) with_from: bool,
    pub(super) to: String,
}

/// What is left of a query after the pages before: ranges that do not meet, in the order of ids.
pub(super) fn ranges(query: &Query) -> Result<Vec<Range>, PortError> {
    if query.prefixes.len() > MAX_PREFIXES {
        return Err(invalid(format!("query of {} prefixes (at most {MAX_PREFIXES})", query.prefixes.len())));
    }
    let mut prefixes: Vec<&str> = query.prefixes.iter().map(String::as_str).collect();
    prefixes.sort_unstable();
    // Sorted, whatever begins with a prefix follows it.
    prefixes.dedup_by(|later, earlier| later.starts_with(*earlier));
    let after = query.after.as_ref().map(place_of).transpose()?;
    if after.as_ref().is_some_and(|id| !prefixes.iter().any(|prefix| id.starts_with(prefix))) {
        return Err(of_another_query());
    }
    let whole = |prefix: &&str| Range { from: (*prefix).to_owned(), with_from: true, to: format!("{prefix}{AFTER_IDS}") };
    let left = |range: Range| match &after {
        None => Some(range),
        Some(id) if query.descending => (range.from < *id).then(|| Range { to: id.clone().min(range.to), ..range }),
        Some(id) if range.from <= *id => (*id < range.to).then(|| Range { from: id.clone(), with_from: false, ..range }),
        Some(_) => Some(range),
    };
    Ok(prefixes.iter().map(whole).filter_map(left).collect())
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

pub(super) fn of_another_query() -> PortError {
    invalid("continuation of another query")
}
