//! Whether a policy can be met by the people there are: as many different humans, and one from each named group, as it
//! asks for, after segregation of duties. What nobody could approve any more would lock the client out for good, most of
//! all the change of the policy itself, so [`super::super::amend`] refuses it and the pages say where access that ended
//! left too few.
//!
//! Judged kindly: by whoever may ask and leaves the most approvers. Evidence that somebody filed, and who breaks the glass,
//! are not looked at. Pure but for [`People::read`].

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        delegation::{self, Delegation},
        level::Level,
        quorum::{self, Progress},
    },
    CHANGE_POLICY, Fault, KINDS, Policy, Terms,
};
use crate::{
    app::App,
    config::Config,
    tenancy::{
        ClientPlace, DeploymentScope, PersonId, Roster, Store, StoreError, TenantId, directory::Role, keys::Owner, policy_mark::Need,
    },
};

/// Who could have a part in a client's decisions now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    pub approvers: BTreeSet<PersonId>,
    pub engineers: BTreeSet<PersonId>,
    /// Accounts of one human, together, as the directory says it.
    pub linked: Vec<BTreeSet<PersonId>>,
    /// Who lets whom stand in now: from, to.
    pub stand_ins: BTreeSet<(PersonId, PersonId)>,
}

impl People {
    pub fn of(roster: &Roster, config: &Config, tenant: TenantId, delegations: &[Delegation], now: time::OffsetDateTime) -> Self {
        let may_come: BTreeSet<PersonId> = roster.people_who_may_sign_in(config, now).map(|person| person.id).collect();
        let with = |role| -> BTreeSet<PersonId> {
            let grants = roster.grants_of(tenant, now).filter(|grant| grant.has(role) && may_come.contains(&grant.person));
            grants.map(|grant| grant.person).collect()
        };
        let (approvers, engineers) = (with(Role::Approver), with(Role::Engineer));
        let mut by_human: BTreeMap<PersonId, BTreeSet<PersonId>> = BTreeMap::new();
        for person in approvers.union(&engineers) {
            by_human.entry(roster.human(*person)).or_default().insert(*person);
        }
        let linked = by_human.into_values().filter(|accounts| accounts.len() > 1).collect();
        let stand_ins = delegations.iter().filter(|one| one.holds(now)).map(|one| (one.from, one.to)).collect();
        Self { approvers, engineers, linked, stand_ins }
    }

    /// As of now, with the roster that they were taken from.
    pub async fn read(app: &App, store: &Store<'_, ClientPlace>) -> Result<(std::sync::Arc<Roster>, Self), StoreError> {
        let roster = Roster::read(&DeploymentScope::of_function("policy", store.correlation()).store(app).await?).await?;
        let delegations = delegation::all(store).await?;
        let people = match store.owner() {
            Owner::Tenant(tenant) => Self::of(&roster, &app.config, tenant, &delegations, app.now()),
            Owner::Deployment => Self::default(),
        };
        Ok((roster, people))
    }

    /// Who may ask for this kind of action; `None`: rules ask too, so nobody has to be left out.
    fn askers(&self, kind: &str) -> Option<BTreeSet<PersonId>> {
        match kind {
            CHANGE_POLICY => Some(self.approvers.union(&self.engineers).copied().collect()),
            "roll_back_objective" => Some(self.engineers.clone()),
            _ => None,
        }
    }

    /// The approvers who are left when this one asks: not their own accounts, nor who stands in for them.
    fn besides(&self, asker: PersonId, terms: &Terms) -> BTreeSet<PersonId> {
        let stands_in = |person: PersonId| {
            self.stand_ins.iter().any(|(from, to)| terms.is_same_human(*from, asker) && terms.is_same_human(*to, person))
        };
        self.approvers.iter().copied().filter(|person| !terms.is_same_human(*person, asker) && !stands_in(*person)).collect()
    }
}

/// A kind of action that nobody could get approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The kind in words.
    pub what: String,
    pub needed: usize,
    /// Different humans who could approve it, when who has to be left out is.
    pub given: usize,
    /// Groups of which nobody is left.
    pub groups: Vec<String>,
}

impl Shortfall {
    fn of(what: &str, best: Progress) -> Option<Self> {
        let Progress { given, needed, groups_wanted: groups } = best;
        (given < needed || !groups.is_empty()).then(|| Self { what: what.into(), needed, given, groups })
    }

    /// How many there are, in a sentence without its beginning.
    fn count(&self) -> String {
        let people = |n: usize| if n == 1 { "1 person".to_owned() } else { format!("{n} people") };
        let mut text = format!("it takes {} by different people, and {} can give one now", approvals(self.needed), people(self.given));
        if !self.groups.is_empty() {
            text = format!("{text}; nobody is left for a place of its own from {}", self.groups.join(" and "));
        }
        text
    }

    /// For the pages, where access that ended left too few.
    pub fn sentence(&self) -> String {
        format!(
            "Nobody could get \u{201c}{}\u{201d} approved any more: {}. Let more people approve for this client, or ask for a policy that fewer can meet while that can still be approved.",
            self.what,
            self.count()
        )
    }

    /// For who asked for it.
    fn refusal(&self) -> Fault {
        Fault(format!(
            "\u{201c}{}\u{201d} could then never be approved: {}, since who asks and who stands in for them do not decide. Let more people approve for this client first, or ask for less.",
            self.what,
            self.count()
        ))
    }
}

fn approvals(n: usize) -> String {
    if n == 1 { "1 approval".into() } else { format!("{n} approvals") }
}

/// Why nobody could get this kind of action approved; `None` when people can.
pub fn shortfall(policy: &Policy, kind: &str, people: &People) -> Option<Shortfall> {
    let terms = Terms { linked: people.linked.clone(), ..policy.terms(kind) };
    if terms.level() != Level::L2 {
        return None;
    }
    let words = KINDS.iter().find(|(known, ..)| *known == kind).map_or(kind, |(.., words)| words);
    let best = match people.askers(kind).filter(|askers| !askers.is_empty()) {
        None => quorum::best(&terms, &people.approvers),
        Some(askers) => {
            let with = |asker: &PersonId| quorum::best(&terms, &people.besides(*asker, &terms));
            let score = |best: &Progress| (best.is_reached(), best.given, std::cmp::Reverse(best.groups_wanted.len()));
            askers.iter().map(with).max_by_key(score)?
        }
    };
    Shortfall::of(words, best)
}

/// The kinds that nobody could get approved, in the order in which they are listed.
pub fn shortfalls<'k>(policy: &Policy, people: &People, kinds: impl IntoIterator<Item = &'k str>) -> Vec<Shortfall> {
    kinds.into_iter().filter_map(|kind| shortfall(policy, kind, people)).collect()
}

/// Whether the people there are could live with the change: what it does not touch may be short already, and is not held
/// against it.
pub fn check(now: &Policy, to: &Policy, people: &People) -> Result<(), Fault> {
    let changed = |kind: &&str| !now.terms(kind).is_as(&to.terms(kind)) || **kind == *CHANGE_POLICY;
    let short = KINDS.iter().map(|(kind, ..)| *kind).filter(changed).find_map(|kind| shortfall(to, kind, people));
    short.map_or(Ok(()), |short| Err(short.refusal()))
}

/// What the policy asks of people, for who looks over access without a grant for the client.
pub fn needs(policy: &Policy) -> Vec<Need> {
    let of_kind = |(kind, _, words): &(&str, Level, &str)| {
        let terms = policy.terms(kind);
        let groups = terms.rule.one_from_each.iter().map(|name| (name.clone(), terms.groups.get(name).cloned().unwrap_or_default()));
        (terms.level() == Level::L2 && policy.rules.contains_key(*kind)).then(|| Need {
            kind: (*kind).into(),
            what: (*words).into(),
            approvals: terms.rule.approvals,
            groups: groups.collect(),
        })
    };
    KINDS.iter().filter_map(of_kind).collect()
}

/// The same judgement on what [`needs`] wrote down; a client whose policy nobody changed needs one approval.
pub fn short_of_needs(needs: &[Need], people: &People) -> Vec<Shortfall> {
    let mut policy = Policy::default();
    for Need { kind, approvals, groups, .. } in needs {
        let one_from_each = groups.keys().cloned().collect();
        policy
            .rules
            .insert(kind.clone(), super::Rule { level: Level::L2, approvals: *approvals, one_from_each, ..super::Rule::of_kind(kind) });
        policy.groups.extend(groups.clone());
    }
    let changed = needs.iter().map(|need| need.kind.as_str()).filter(|kind| *kind != CHANGE_POLICY);
    shortfalls(&policy, people, std::iter::once(CHANGE_POLICY).chain(changed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{super::Rule, *};
    use crate::gate::state::{Decision, tests::approval};

    fn person(n: u128) -> PersonId {
        PersonId(Uuid::from_u128(n))
    }

    fn set(people: &[u128]) -> BTreeSet<PersonId> {
        people.iter().map(|n| person(*n)).collect()
    }

    fn policy(kind: &str, approvals: u8, groups: &[(&str, &[u128])]) -> Policy {
        let names = groups.iter().map(|(name, _)| (*name).to_owned()).collect();
        Policy {
            rules: BTreeMap::from([(kind.to_owned(), Rule { approvals, one_from_each: names, ..Rule::of_kind(kind) })]),
            groups: groups.iter().map(|(name, who)| ((*name).to_owned(), set(who))).collect(),
            ..Policy::default()
        }
    }

    fn people(approvers: &[u128], engineers: &[u128]) -> People {
        People { approvers: set(approvers), engineers: set(engineers), ..People::default() }
    }

    type Case = (Policy, People, Result<(), &'static str>);

    #[test]
    fn what_more_people_must_approve_than_there_are_is_refused_with_how_many_there_are() {
        let mark = "mark_objective";
        let stands_in = |pairs: &[(u128, u128)], who: People| People {
            stand_ins: pairs.iter().map(|(from, to)| (person(*from), person(*to))).collect(),
            ..who
        };
        let linked = |who: People| People { linked: vec![set(&[1, 2])], ..who };
        let cases: Vec<Case> = vec![
            // An engineer asks: both are left. Without one, one of the two asks.
            (policy(CHANGE_POLICY, 2, &[]), people(&[1, 2], &[9]), Ok(())),
            (policy(CHANGE_POLICY, 2, &[]), people(&[1, 2], &[]), Err("1 person can give one now")),
            (policy(CHANGE_POLICY, 2, &[]), people(&[1, 2], &[1]), Err("1 person can give one now")),
            (policy(CHANGE_POLICY, 1, &[]), people(&[1], &[]), Err("0 people can give one now")),
            (policy(CHANGE_POLICY, 3, &[]), people(&[1, 2], &[9]), Err("takes 3 approvals")),
            // Rules ask for a mark, so nobody is left out; an engineer takes one back.
            (policy(mark, 2, &[]), people(&[1, 2], &[]), Ok(())),
            (policy(mark, 3, &[]), people(&[1, 2], &[9]), Err("2 people can give one now")),
            (policy("roll_back_objective", 2, &[]), people(&[1, 2], &[2]), Err("1 person")),
            // One human with two accounts.
            (policy(mark, 2, &[]), linked(people(&[1, 2], &[9])), Err("1 person")),
            (policy(mark, 2, &[]), linked(people(&[1, 2, 3], &[9])), Ok(())),
            // Groups: of nobody who approves, of one who is needed twice.
            (policy(mark, 2, &[("client", &[7])]), people(&[1, 2], &[9]), Err("from client")),
            (policy(mark, 2, &[("client", &[1]), ("security", &[1])]), people(&[1, 2], &[9]), Err("a place of its own")),
            (policy(mark, 2, &[("client", &[1]), ("security", &[1, 2])]), people(&[1, 2], &[9]), Ok(())),
            (policy(CHANGE_POLICY, 1, &[("client", &[1])]), people(&[1, 2], &[]), Ok(())),
            // Who stands in for the one who asks is left out with them.
            (policy(CHANGE_POLICY, 1, &[]), stands_in(&[(1, 2), (2, 1)], people(&[1, 2], &[])), Err("0 people")),
            (policy(CHANGE_POLICY, 1, &[]), stands_in(&[(1, 2)], people(&[1, 2], &[])), Ok(())),
        ];
        for (n, (to, who, expected)) in cases.into_iter().enumerate() {
            let found = check(&Policy::default(), &to, &who);
            match expected {
                Ok(()) => assert_eq!(found, Ok(()), "case {n}"),
                Err(why) => {
                    let fault = found.expect_err(why).to_string();
                    assert!(fault.contains(why) && fault.contains("Let more people approve"), "case {n}: {fault}");
                }
            }
        }
    }

    #[test]
    fn what_is_short_already_and_not_touched_is_no_reason_to_refuse_a_change() {
        let now = policy("mark_objective", 3, &[]);
        let few = people(&[1, 2], &[9]);
        let mut to = now.clone();
        to.rules.insert("roll_back_objective".into(), Rule { approvals: 2, ..Rule::of_kind("roll_back_objective") });
        assert_eq!(check(&now, &to, &few), Ok(()));
        let short = shortfalls(&now, &few, KINDS.iter().map(|(kind, ..)| *kind));
        assert_eq!(short.len(), 1);
        assert!(short[0].sentence().starts_with("Nobody could get \u{201c}Mark an objective\u{201d} approved any more"));
        assert_eq!(short_of_needs(&needs(&now), &few), short);
    }

    /// Every way in which these people, each with one of their accounts, can approve.
    fn some_way(terms: &Terms, accounts: &[PersonId]) -> bool {
        (0..1_u32 << accounts.len()).any(|chosen| {
            let given: Vec<Decision> = accounts
                .iter()
                .enumerate()
                .filter(|(n, _)| chosen & (1 << n) != 0)
                .map(|(_, who)| Decision { person: *who, ..approval(0) })
                .collect();
            quorum::progress(terms, &given).is_reached()
        })
    }

    proptest! {
        /// The judgement against the machine's own count, over every way in which people could answer.
        #[test]
        fn a_policy_stands_exactly_when_some_people_could_really_get_it_approved(
            needed in 1..4_u8,
            groups in prop::collection::vec(prop::collection::btree_set(0..5_u128, 0..4), 0..3),
            approvers in prop::collection::btree_set(0..5_u128, 0..5),
            asker in prop::option::of(0..5_u128),
            is_linked: bool,
        ) {
            let groups: Vec<(String, Vec<u128>)> =
                groups.into_iter().enumerate().map(|(n, who)| (format!("g{n}"), who.into_iter().collect())).collect();
            let named: Vec<(&str, &[u128])> = groups.iter().map(|(name, who)| (name.as_str(), who.as_slice())).collect();
            let approvers: Vec<u128> = approvers.into_iter().collect();
            let engineers: Vec<u128> = asker.into_iter().collect();
            let linked = if is_linked { vec![set(&[0, 1])] } else { vec![] };
            let who = People { linked, ..people(&approvers, &engineers) };
            for kind in [CHANGE_POLICY, "mark_objective"] {
                let to = policy(kind, needed, &named);
                let terms = Terms { linked: who.linked.clone(), ..to.terms(kind) };
                let askers: Vec<PersonId> = who.approvers.union(&who.engineers).copied().collect();
                let left = |asker: PersonId| -> Vec<PersonId> {
                    who.approvers.iter().copied().filter(|one| !terms.is_same_human(*one, asker)).collect()
                };
                let all: Vec<PersonId> = who.approvers.iter().copied().collect();
                let can = if kind == CHANGE_POLICY {
                    askers.iter().any(|asker| some_way(&terms, &left(*asker)))
                } else {
                    some_way(&terms, &all)
                };
                prop_assert_eq!(shortfall(&to, kind, &who).is_none(), can, "{} {:?}", kind, to);
            }
        }
    }
}
