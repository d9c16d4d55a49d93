//! Pages as every adapter gives them: how long they are, and a continuation that only its own query takes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::{
    limits::invalid,
    ports::{Continuation, IdMatch, MAX_MATCHES, PortError, Query},
};

/// Documents of a page that asks for no number, and the most that one may ask for.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Sort before and after every character that an id may hold.
const BEFORE_IDS: char = ' ';
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

/// What is left of a query after the pages before.
pub(super) fn ranges(query: &Query) -> Result<Vec<Range>, PortError> {
    let count = query.matching.len();
    if count > MAX_MATCHES {
        return Err(invalid(format!("query of {count} matches (at most {MAX_MATCHES})")));
    }
    let ranges = ranges_of(&query.matching);
    let after = query.after.as_ref().map(place_of).transpose()?;
    if after.as_ref().is_some_and(|id| !ranges.iter().any(|range| range.from <= *id && *id < range.to)) {
        return Err(of_another_query());
    }
    let left = |range: Range| match &after {
        Some(id) if query.descending => (range.from < *id).then(|| Range { to: id.clone().min(range.to), ..range }),
        Some(id) if range.from <= *id => (*id < range.to).then(|| Range { from: id.clone(), with_from: false, ..range }),
        _ => Some(range),
    };
    Ok(ranges.into_iter().filter_map(left).collect())
}

/// Ranges that do not meet, in the order of ids.
pub(super) fn ranges_of(matching: &[IdMatch]) -> Vec<Range> {
    let whole = |one: &IdMatch| match one {
        IdMatch::Exact(id) => Range { from: id.clone(), with_from: true, to: format!("{id}{BEFORE_IDS}") },
        IdMatch::Prefix(prefix) => Range { from: prefix.clone(), with_from: true, to: format!("{prefix}{AFTER_IDS}") },
    };
    let mut ranges: Vec<Range> = matching.iter().map(whole).collect();
    // The widest of those that begin alike first: of two that meet, one lies within the other.
    ranges.sort_unstable_by(|one, other| one.from.cmp(&other.from).then(other.to.cmp(&one.to)));
    ranges.dedup_by(|later, earlier| later.from < earlier.to);
    ranges
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_wanted(one: &IdMatch, id: &str) -> bool {
        match one {
            IdMatch::Exact(exact) => id == exact,
            IdMatch::Prefix(prefix) => id.starts_with(prefix.as_str()),
        }
    }

    proptest! {
        /// Whatever is asked for, page by page: each id that matches lies in exactly one range, in order, and no other does.
        #[test]
        fn every_id_that_matches_lies_in_one_range(
            matching in prop::collection::vec(prop_oneof!["[!~ab]{0,3}".prop_map(IdMatch::Prefix), "[!~ab]{1,3}".prop_map(IdMatch::Exact)], 0..5),
            ids in prop::collection::btree_set("[!~ab]{1,4}", 0..30),
            after in any::<prop::sample::Index>(),
            descending: bool,
        ) {
            let wanted: Vec<&String> = ids.iter().filter(|id| matching.iter().any(|one| is_wanted(one, id))).collect();
            let seen = (!wanted.is_empty()).then(|| wanted[after.index(wanted.len())].clone());
            for seen in [None, seen] {
                let query = Query { matching: matching.clone(), after: seen.as_ref().map(continuation), descending, limit: 0 };
                let ranges = ranges(&query).expect("a query of ours");
                prop_assert!(ranges.windows(2).all(|pair| pair[0].to <= pair[1].from));
                for id in &ids {
                    let lies_in = |range: &&Range| (range.from < *id || range.with_from && range.from == *id) && *id < range.to;
                    let is_left = seen.as_ref().is_none_or(|seen| if descending { id < seen } else { id > seen });
                    let expected = usize::from(wanted.contains(&id) && is_left);
                    prop_assert_eq!(ranges.iter().filter(lies_in).count(), expected, "{} after {:?} in {:?}", id, &seen, &ranges);
                }
            }
        }
    }
}
