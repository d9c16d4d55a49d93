//! Following the items' numbers: whether every item that was written beside what it records came to the sequencer.
//!
//! Each place numbers its items and counts them in the batch that writes them (`tenancy::tail`); the log keeps, for each
//! place, up to which number it knows them, and moves that with its head. So an item that is deleted before it has its place
//! leaves a number that nobody has, or a count that nobody reaches, and it is an alarm, once. The chain is one for each
//! place and not for each process: a process that dies has no next item that would show what was taken from its end.
//!
//! It costs one small document more in a batch and no round trip. Two processes that write to one place at once cost the
//! slower one a look and another try. What it cannot show: an item and the count put back together, while the item waits and
//! other processes append more than is gone before the one that wrote it appends again; and later, count, items and the
//! log's own record put back together.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Item, entry::Follows};
use crate::tenancy::{
    Place, Record, Store, StoreError, Wanted,
    tail::{Appended as _, Link, TAIL, Tail},
};

/// For so long after the mark items come without numbers, of processes of the earlier release that still run.
pub const GRACE: Duration = Duration::hours(1);

/// Of a log that has entries and no head.
pub const HEAD_GONE: &str = "the log's head, which says how far the log goes and what was missing, was taken away: how far it goes is known from its entries, and what was missing stands in them";

/// Up to which item of a place the log knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    pub place: String,
    /// [`Follows::mark`].
    pub mark: Uuid,
    pub at: Tail,
}

impl Record for Followed {
    const KIND: &'static str = "followed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key_of(&self.place)
    }
}

pub fn key_of(place: &str) -> String {
    place.replace('/', ":")
}

/// What is wrong with the items of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// From one number to another, both included.
    Missing(u64, u64),
    Twice(u64),
    /// It does not continue the one before it.
    Other(u64),
    /// The place counts fewer than the log knows.
    PutBack {
        counts: u64,
        known: u64,
    },
    /// Without numbers, after the time when such items may come.
    Unnumbered(usize),
}

impl Fault {
    /// For people: what is wrong, where, and what it means.
    pub fn words(&self, place: &str) -> String {
        let place = place_in_words(place);
        match self {
            Self::Missing(from, to) if from == to => {
                format!("audit item {from} of {place} is gone: it was written with what it records, and taken out before it had its place")
            }
            Self::Missing(from, to) => format!(
                "audit items {from} to {to} of {place} are gone: they were written with what they record, and taken out before they had their places"
            ),
            Self::Twice(number) => format!("two audit items of {place} have the number {number}: what counts them was put back in between"),
            Self::Other(number) => {
                format!("audit item {number} of {place} does not continue the one before it: one of the two was exchanged")
            }
            Self::PutBack { counts, known } => {
                let items = if *counts == 1 { "item" } else { "items" };
                format!("{place} counts {counts} audit {items} and the log knows {known}: an earlier state of that place was put back")
            }
            Self::Unnumbered(1) => format!("1 audit item of {place} has no number, which only an earlier release writes"),
            Self::Unnumbered(count) => format!("{count} audit items of {place} have no number, which only an earlier release writes"),
        }
    }

    /// Without the numbers, which move while a place is in use.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing(..) => "missing",
            Self::Twice(_) => "twice",
            Self::Other(_) => "other",
            Self::PutBack { .. } => "put back",
            Self::Unnumbered(_) => "unnumbered",
        }
    }
}

/// Longest text in which a round says what it found, in bytes: it stands in the head, which every run reads.
const MAX_SAID_BYTES: usize = 2000;

/// What a round found, in one text: the first sentences, and how many more there are.
pub fn in_one(said: &[String]) -> String {
    let mut text = String::new();
    for (n, sentence) in said.iter().enumerate() {
        if n > 0 && text.len() + sentence.len() > MAX_SAID_BYTES {
            return format!("{text}; and {} more like these, which the program's own log names", said.len() - n);
        }
        if n > 0 {
            text.push_str("; ");
        }
        text.push_str(sentence);
    }
    text
}

/// `evidence/03` and the like, which nobody knows who reads it.
fn place_in_words(place: &str) -> String {
    let part = |number: &str| number.parse::<u8>().map(|number| number + 1);
    match place.split('/').collect::<Vec<_>>()[..] {
        ["assessment"] => "the client's assessment".into(),
        ["evidence", number] => part(number).map_or_else(|_| place.into(), |part| format!("the client's evidence (part {part} of 16)")),
        ["directory"] => "the directory".into(),
        ["operations"] => "operations".into(),
        ["log", _] => "the log itself".into(),
        ["connection", id, "mapping"] => format!("connection {id}"),
        ["connection", id, number] => {
            part(number).map_or_else(|_| place.into(), |part| format!("the deliveries of connection {id} (part {part} of 16)"))
        }
        _ => place.into(),
    }
}

/// A numbered item as the comparison needs it.
#[derive(Clone, Debug)]
pub struct Numbered {
    pub link: Link,
    pub digest: String,
}

impl Numbered {
    pub fn of(item: &Item) -> Option<Self> {
        item.link().map(|link| Self { link: link.clone(), digest: link.digest(&item.mark()) })
    }
}

/// What is wrong, and from where on the items are followed again once that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub faults: Vec<Fault>,
    pub resume: Option<Tail>,
}

/// `known`: up to where the log knows them. `items`: those that wait, by number. `tail`: what the place counts; compared only
/// when `whole`, that is when no more items wait than these.
pub fn compare(known: &Tail, items: &[Numbered], tail: Option<&Tail>, whole: bool) -> Compared {
    let mut found = Compared::default();
    let mut at = known.clone();
    for Numbered { link, digest } in items.iter().filter(|item| item.link.number > known.number) {
        let before = Tail { number: link.number - 1, digest: link.previous.clone() };
        if link.number <= at.number {
            found.faults.push(Fault::Twice(link.number));
            continue;
        }
        if before.number > at.number {
            found.faults.push(Fault::Missing(at.number + 1, before.number));
            found.resume = Some(before);
        } else if before != at {
            found.faults.push(Fault::Other(link.number));
            found.resume = Some(before);
        }
        at = Tail { number: link.number, digest: digest.clone() };
    }
    let counted = tail.map_or(0, |tail| tail.number);
    match tail {
        _ if !whole => {}
        Some(tail) if tail.number > at.number => {
            found.faults.push(Fault::Missing(at.number + 1, tail.number));
            found.resume = Some(tail.clone());
        }
        Some(tail) if tail.number == at.number && tail.digest != at.digest => {
            found.faults.push(Fault::Other(at.number));
            found.resume = Some(tail.clone());
        }
        _ if counted < known.number => {
            found.faults.push(Fault::PutBack { counts: counted, known: known.number });
            found.resume = tail.cloned();
        }
        _ => {}
    }
    found
}

/// Up to where the log knows a place's items: as its record says, or from the first item on. After an earlier release had
/// the log, which took items and followed none, from what is there now.
pub fn begin(
    record: Option<&Followed>,
    follows: Follows,
    start: Tail,
    first: Option<&Numbered>,
    tail: Option<&Tail>,
    now: OffsetDateTime,
) -> Tail {
    match record {
        // Followed from the first entry on there was no earlier release: another mark is of a head that was taken away.
        Some(record) if record.mark == follows.mark || follows.from_start => return record.at.clone(),
        None if follows.from_start || now > follows.since + GRACE => return start,
        _ => {}
    }
    match first {
        Some(Numbered { link, .. }) => Tail { number: link.number - 1, digest: link.previous.clone() },
        None => tail.cloned().unwrap_or(start),
    }
}

/// What is wrong with a place when it is looked at in order: first what it counts, then its items, so that every item that
/// is counted is there to be seen.
pub async fn look_again<P: Place>(store: &Store<'_, P>, place: P, known: &Tail) -> Result<Compared, StoreError> {
    /// More than wait behind a sequencer that was away for a day.
    const MOST: usize = 1000;
    let tail = store.read::<Tail>(place, TAIL).await?.map(|held| held.value);
    let (found, more) = store.gather_page(place, vec![Wanted::all::<Item>("")], MOST).await?;
    let items: Vec<Numbered> = found.all::<Item>("").await?.iter().filter_map(|held| Numbered::of(&held.value)).collect();
    Ok(compare(known, &items, tail.as_ref(), !more))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(count: u64) -> (Tail, Vec<Numbered>, Tail) {
        let start = Tail { number: 0, digest: "start".into() };
        let mut at = start.clone();
        let items = (0..count)
            .map(|n| {
                let link = at.next();
                at = Tail::of(&link, &n.to_be_bytes());
                Numbered { digest: at.digest.clone(), link }
            })
            .collect();
        (start, items, at)
    }

    proptest! {
        #[test]
        fn exactly_the_items_that_were_taken_out_are_missing(count in 1..40_u64, taken in proptest::collection::btree_set(1..40_u64, 0..12), known in 0..40_u64) {
            let (start, mut items, tail) = written(count);
            let known = known.min(count);
            let from = items.iter().find(|item| item.link.number == known).map_or(start, |item| Tail { number: known, digest: item.digest.clone() });
            items.retain(|item| !taken.contains(&item.link.number));
            let Compared { faults, resume } = compare(&from, &items, Some(&tail), true);
            let missing: Vec<u64> = faults.iter().flat_map(|fault| match fault {
                Fault::Missing(from, to) => *from..=*to,
                other => panic!("{other:?}"),
            }).collect();
            let expected: Vec<u64> = taken.into_iter().filter(|number| (known + 1..=count).contains(number)).collect();
            prop_assert_eq!(&missing, &expected);
            prop_assert_eq!(resume.is_some(), !expected.is_empty());
            if let Some(resume) = resume {
                prop_assert_eq!(compare(&resume, &items, Some(&tail), true), Compared::default(), "it is said once");
            }
            prop_assert_eq!(compare(&from, &items, Some(&tail), false).faults.len() <= faults.len(), true);
        }
    }

    #[test]
    fn another_item_in_a_place_of_the_chain_and_a_count_that_was_put_back_are_found() {
        let (start, items, tail) = written(5);
        let mut other = items.clone();
        other[2].digest = "other".into();
        assert_eq!(compare(&start, &other, Some(&tail), true).faults, [Fault::Other(4)]);
        other[2] = Numbered { digest: items[1].digest.clone(), link: items[1].link.clone() };
        assert_eq!(compare(&start, &other, Some(&tail), true).faults, [Fault::Twice(2), Fault::Missing(3, 3)]);
        let known = tail.clone();
        let earlier = Tail { number: 3, digest: items[2].digest.clone() };
        let put_back = compare(&known, &[], Some(&earlier), true);
        assert_eq!((put_back.faults, put_back.resume), (vec![Fault::PutBack { counts: 3, known: 5 }], Some(earlier)));
        assert_eq!(compare(&known, &[], None, true).faults, [Fault::PutBack { counts: 0, known: 5 }]);
        assert_eq!(compare(&known, &[], Some(&Tail { digest: "forged".into(), ..tail }), true).faults, [Fault::Other(5)]);
    }

    #[test]
    fn words_name_the_place_as_people_know_it() {
        for (place, words) in [
            ("assessment", "audit item 4 of the client's assessment is gone"),
            ("evidence/03", "audit item 4 of the client's evidence (part 4 of 16) is gone"),
            ("log/head", "audit item 4 of the log itself is gone"),
        ] {
            let said = Fault::Missing(4, 4).words(place);
            assert!(said.starts_with(words), "{said}");
        }
        for (fault, words) in [
            (Fault::Unnumbered(1), "1 audit item of operations has no number"),
            (Fault::Unnumbered(2), "2 audit items of operations have no number"),
            (Fault::PutBack { counts: 1, known: 3 }, "operations counts 1 audit item and the log knows 3"),
        ] {
            let said = fault.words("operations");
            assert!(said.starts_with(words), "{said}");
        }
    }

    #[test]
    fn what_a_round_found_is_one_text_that_does_not_grow_with_the_places() {
        let said: Vec<String> = (0..120).map(|n| Fault::Missing(1, 1).words(&format!("evidence/{n}"))).collect();
        assert_eq!(in_one(&said[..1]), said[0]);
        assert_eq!(in_one(&said[..2]), format!("{}; {}", said[0], said[1]));
        let text = in_one(&said);
        assert!(text.len() < MAX_SAID_BYTES + 100 && text.starts_with(&said[0]), "{text}");
        let named = text.matches(" is gone: ").count();
        assert!(named > 5 && text.contains(&format!("; and {} more like these", 120 - named)), "{text}");
    }
}
