//! Whether enough people approved: k of n, one from each named group, and nobody twice.
//!
//! Pure. An approval fills one seat: the giver's own, or that of the person for whom they stood. One human gives one
//! approval, whatever accounts they have, and each group needs an approval of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::{policy::Terms, state::Decision};
use crate::tenancy::PersonId;

/// How far the approvals of one version have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Approvals that count.
    pub given: usize,
    pub needed: usize,
    /// Groups that still want an approval of their own.
    pub groups_wanted: Vec<String>,
}

impl Progress {
    pub fn is_reached(&self) -> bool {
        self.given >= self.needed && self.groups_wanted.is_empty()
    }

    /// For people: `1 of 2`, with the groups that still want one.
    pub fn words(&self) -> String {
        let count = format!("{} of {}", self.given, self.needed);
        match &self.groups_wanted[..] {
            [] => count,
            groups => format!("{count}, still wanted: one from {}", groups.join(", one from ")),
        }
    }
}

/// Counts approvals in the order in which they were given; of two by one human, or for one seat, the first counts.
pub fn progress<'d>(terms: &Terms, approvals: impl IntoIterator<Item = &'d Decision>) -> Progress {
    let mut counted: Vec<&Decision> = Vec::new();
    for one in approvals {
        if counted.iter().all(|other| !is_same_voice(terms, one, other)) {
            counted.push(one);
        }
    }
    let groups: Vec<&String> = terms.rule.one_from_each.iter().collect();
    let fits: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| {
            let members = terms.groups.get(*group);
            let is_member = |one: &&Decision| members.is_some_and(|members| fills(terms, members, one));
            counted.iter().enumerate().filter(|(_, one)| is_member(one)).map(|(n, _)| n).collect()
        })
        .collect();
    let filled = matched(&fits, counted.len());
    let groups_wanted = groups.into_iter().zip(filled).filter(|(_, filled)| !filled).map(|(group, _)| group.clone()).collect();
    Progress { given: counted.len(), needed: usize::from(terms.rule.approvals), groups_wanted }
}

/// Whether an approval can stand for a group: whose seat it is belongs to it, and so does whoever answered, unless the
/// policy lets a stand-in from outside do.
fn fills(terms: &Terms, members: &BTreeSet<PersonId>, one: &Decision) -> bool {
    members.contains(&one.seat()) && (members.contains(&one.person) || terms.rule.outside_stand_ins)
}

/// A group that still wants an approval, whose member this stand-in from outside would have answered for.
pub fn not_of_group<'t>(terms: &'t Terms, before: &Progress, one: &Decision) -> Option<&'t str> {
    let is_it = |(name, members): &(&String, &BTreeSet<PersonId>)| {
        before.groups_wanted.contains(*name) && members.contains(&one.seat()) && !fills(terms, members, one)
    };
    terms.groups.iter().find(is_it).map(|(name, _)| name.as_str())
}

/// How far these accounts could bring it at most, each human with whichever of their accounts helps.
pub fn best(terms: &Terms, accounts: &BTreeSet<PersonId>) -> Progress {
    let mut humans: BTreeMap<PersonId, Vec<PersonId>> = BTreeMap::new();
    for account in accounts {
        humans.entry(terms.human(*account)).or_default().push(*account);
    }
    let groups: Vec<&String> = terms.rule.one_from_each.iter().collect();
    let belongs =
        |group: &String, own: &[PersonId]| terms.groups.get(group).is_some_and(|members| own.iter().any(|one| members.contains(one)));
    let fits: Vec<Vec<usize>> =
        groups.iter().map(|group| humans.values().enumerate().filter(|(_, own)| belongs(group, own)).map(|(n, _)| n).collect()).collect();
    let filled = matched(&fits, humans.len());
    let groups_wanted = groups.into_iter().zip(filled).filter(|(_, filled)| !filled).map(|(group, _)| group.clone()).collect();
    Progress { given: humans.len(), needed: usize::from(terms.rule.approvals), groups_wanted }
}

/// Whether two approvals are one human's, or fill one seat.
pub fn is_same_voice(terms: &Terms, one: &Decision, other: &Decision) -> bool {
    let humans = |decision: &Decision| [terms.human(decision.person), terms.human(decision.seat())];
    let [a, b] = [humans(one), humans(other)];
    a.iter().any(|human: &PersonId| b.contains(human))
}

/// Which groups get an approval of their own, when as many as possible do (augmenting paths: Kuhn's algorithm). `fits`:
/// for each group the approvals that could be its.
fn matched(fits: &[Vec<usize>], approvals: usize) -> Vec<bool> {
    let mut group_of: Vec<Option<usize>> = vec![None; approvals];
    let filled: Vec<bool> = (0..fits.len()).map(|group| find(fits, group, &mut group_of, &mut vec![false; approvals])).collect();
    debug_assert_eq!(filled.iter().filter(|filled| **filled).count(), group_of.iter().flatten().count());
    filled
}

fn find(fits: &[Vec<usize>], group: usize, group_of: &mut Vec<Option<usize>>, tried: &mut Vec<bool>) -> bool {
    for &approval in &fits[group] {
        if std::mem::replace(&mut tried[approval], true) {
            continue;
        }
        let is_free = group_of[approval].is_none_or(|other| find(fits, other, group_of, tried));
        if is_free {
            group_of[approval] = Some(group);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::gate::{
        policy::{Policy, Rule},
        state::{Seat, tests::approval},
    };

    fn person(n: u128) -> PersonId {
        PersonId(Uuid::from_u128(n))
    }

    fn terms(approvals: u8, groups: &[(&str, &[u128])], same: &[&[u128]]) -> Terms {
        let policy = Policy {
            rules: BTreeMap::from([(
                "mark".to_owned(),
                Rule { approvals, one_from_each: groups.iter().map(|(name, _)| (*name).to_owned()).collect(), ..Rule::of_kind("mark") },
            )]),
            groups: groups.iter().map(|(name, who)| ((*name).to_owned(), who.iter().map(|n| person(*n)).collect())).collect(),
            same_human: same.iter().map(|who| who.iter().map(|n| person(*n)).collect()).collect(),
            ..Policy::default()
        };
        policy.terms("mark")
    }

    #[test]
    fn one_human_under_two_accounts_and_two_who_stand_for_one_count_once() {
        let terms = terms(2, &[], &[&[1, 2]]);
        assert!(!progress(&terms, [&approval(1), &approval(2)]).is_reached());
        assert!(!progress(&terms, [&approval(1), &approval(1)]).is_reached());
        let stands_for = |who, seat| Decision { on_behalf_of: Some(Seat { person: person(seat), name: "Sam".into() }), ..approval(who) };
        assert!(!progress(&terms, [&stands_for(3, 5), &stands_for(4, 5)]).is_reached(), "one seat");
        assert!(!progress(&terms, [&approval(5), &stands_for(4, 5)]).is_reached(), "who was stood for has decided");
        assert!(!progress(&terms, [&approval(4), &stands_for(4, 5)]).is_reached(), "one human for two");
        assert!(progress(&terms, [&approval(1), &approval(3)]).is_reached());
    }

    #[test]
    fn each_group_gets_an_approval_of_its_own_if_there_is_any_way_to_do_it() {
        let terms = terms(2, &[("security", &[1, 2]), ("client", &[1])], &[]);
        let one = progress(&terms, [&approval(1)]);
        assert_eq!((one.given, one.groups_wanted.len()), (1, 1), "who is in both stands for one of them");
        assert_eq!(progress(&terms, [&approval(2), &approval(3)]).words(), "2 of 2, still wanted: one from client");
        assert!(progress(&terms, [&approval(1), &approval(2)]).is_reached());
        assert!(progress(&terms, [&approval(2), &approval(1)]).is_reached());
    }

    #[test]
    fn a_stand_in_from_outside_fills_no_groups_place_unless_the_policy_says_so() {
        let mut terms = terms(2, &[("client", &[5, 6])], &[]);
        let stands_for = |who, seat| Decision { on_behalf_of: Some(Seat { person: person(seat), name: "Sam".into() }), ..approval(who) };
        let (outside, inside) = (stands_for(3, 5), stands_for(6, 5));
        let before = progress(&terms, []);
        assert_eq!(progress(&terms, [&outside, &approval(4)]).words(), "2 of 2, still wanted: one from client");
        assert!(progress(&terms, [&inside, &approval(4)]).is_reached());
        assert_eq!((not_of_group(&terms, &before, &outside), not_of_group(&terms, &before, &inside)), (Some("client"), None));
        // Once the group has its own, a stand-in counts like anybody.
        let after = progress(&terms, [&approval(6)]);
        assert_eq!(not_of_group(&terms, &after, &outside), None);
        assert!(progress(&terms, [&approval(6), &outside]).is_reached());
        terms.rule.outside_stand_ins = true;
        assert!(progress(&terms, [&outside, &approval(4)]).is_reached() && not_of_group(&terms, &before, &outside).is_none());
    }

    /// Every way to give the groups different humans, tried one by one.
    fn can_fill(groups: &[(String, Vec<u128>)], free: &[PersonId], terms: &Terms) -> bool {
        let Some(((_, members), rest)) = groups.split_first() else { return true };
        let is_member = |human: &PersonId| members.iter().any(|n| terms.human(person(*n)) == *human);
        free.iter().filter(|human| is_member(human)).any(|taken| {
            let left: Vec<PersonId> = free.iter().filter(|human| *human != taken).copied().collect();
            can_fill(rest, &left, terms)
        })
    }

    proptest! {
        #[test]
        fn a_reached_quorum_has_that_many_humans_and_one_for_each_group_and_more_approvals_never_lose_it(
            needed in 1..4_u8,
            groups in prop::collection::vec(prop::collection::btree_set(0..5_u128, 0..4), 0..3),
            givers in prop::collection::vec(0..5_u128, 0..6),
            more in 0..5_u128,
        ) {
            let groups: Vec<(String, Vec<u128>)> =
                groups.into_iter().enumerate().map(|(n, who)| (format!("g{n}"), who.into_iter().collect())).collect();
            let named: Vec<(&str, &[u128])> = groups.iter().map(|(name, who)| (name.as_str(), who.as_slice())).collect();
            let terms = terms(needed, &named, &[&[0, 1]]);
            let mut decisions: Vec<Decision> = givers.iter().map(|n| approval(*n)).collect();
            let found = progress(&terms, &decisions);
            let humans: BTreeSet<PersonId> = decisions.iter().map(|one| terms.human(one.person)).collect();
            prop_assert_eq!(found.given, humans.len());
            let all: Vec<PersonId> = humans.iter().copied().collect();
            if found.is_reached() {
                prop_assert!(humans.len() >= usize::from(needed) && can_fill(&groups, &all, &terms));
            }
            decisions.push(approval(more));
            prop_assert!(!found.is_reached() || progress(&terms, &decisions).is_reached());
        }
    }
}
