//! The page of the policy: what stands, and the forms to ask for another.

use std::collections::BTreeSet;

use super::{
    super::{Reader, stand_in},
    MAX_REASON, Returned, approvers, changeable, found, may_ask, performed,
    wanted::{FROM, ticked},
};
use crate::{
    gate::{
        Level, Policy, delegation,
        policy::{
            self, CHANGE_POLICY, SIGN_IN_AT_MOST,
            reach::{self, People},
        },
    },
    tenancy::{
        PersonId, TenantId,
        directory::{Grant, Person, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{
            AloneForm, Choice, Field, FieldError, FieldKind, GroupForm, GroupRow, LevelMark, Link, PolicyPage, PolicyRow, RuleForm,
            Section, paths,
        },
        reply,
    },
};

pub(super) async fn page(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, returned: Returned) -> Result<Reply, Problem> {
    let scope = reader.scope(grant);
    let store = scope.store(reader.app).await?;
    let found = found(reader, &scope).await?;
    let unsound = found.as_ref().err().map(|unsound| unsound.sentence());
    let policy = found.unwrap_or_default();
    let open = crate::gate::inbox::open(reader.app, grant, reader.correlation()).await?;
    let waits = open.iter().find(|mark| mark.kind == CHANGE_POLICY);
    let now = reader.app.now();
    let delegations = delegation::all(&store).await?;
    let people = People::of(&reader.roster, &reader.app.config, tenant.id, &delegations, now);
    let short = reach::shortfalls(&policy, &people, performed().map(|(kind, ..)| kind)).into_iter().filter(|_| unsound.is_none());
    let token = token(reader, tenant, policy.version);
    let standing_in = stand_in::shown(reader, tenant, grant, &delegations, (&token, policy.version));
    let names = |people: &BTreeSet<PersonId>| people.iter().map(|id| reader.roster.person_name(*id)).collect::<Vec<_>>();
    let status = match (&returned.moved, returned.errors.is_empty()) {
        (Some(_), _) => 409,
        (None, true) => 200,
        (None, false) => 422,
    };
    // What somebody typed stays, also where another change waits by now.
    let asks = may_ask(grant) && unsound.is_none() && (waits.is_none() || returned.is_one());
    let page = PolicyPage {
        frame: reader.frame(Section::Clients).await?,
        client: tenant.name.clone(),
        client_href: paths::client(tenant.id),
        short: short.map(|short| short.sentence()).collect(),
        unsound,
        version: policy.version,
        made_by: policy.made_by.map(|id| Link::new(paths::proposal(tenant.id, id), "as was decided")),
        waits: waits.map(|mark| Link::new(paths::proposal(tenant.id, mark.proposal), mark.question.clone())),
        rows: performed()
            .map(|(kind, floor, words)| row(&policy, (kind, words), (asks && floor >= Level::L2).then_some(tenant.id)))
            .collect(),
        groups: policy.groups.iter().map(|(name, people)| GroupRow { name: name.clone(), people: names(people) }).collect(),
        break_glass: names(&policy.break_glass),
        rule: asks.then(|| rule_form(reader, tenant, (&policy, &token), &returned.errors)),
        group: asks.then(|| group_form(reader, tenant, &token, &returned.errors)),
        alone: asks.then(|| alone_form(reader, tenant, (&policy, &token), &returned.errors)),
        stand_in: grant.has(Role::Approver).then(|| stand_in::form(reader, tenant, grant, token, &returned.errors)),
        standing_in,
        notice: stand_in::notice(reader),
        moved: returned.moved,
        errors: returned.errors.iter().map(|error| (error.field, error.message.clone())).collect(),
        dry_run: returned.dry_run,
    };
    Ok(reply::page(status, &page))
}

/// `asks`: the client, where the reader may ask for other terms of this kind.
fn row(policy: &Policy, (kind, words): (&str, &str), asks: Option<TenantId>) -> PolicyRow {
    let terms = policy.terms(kind);
    let level = terms.level();
    let span = |hours: u32| if hours.is_multiple_of(24) { days(hours / 24) } else { format!("{hours} hours") };
    // What no approval precedes has no first clock, and what Assay never does has no second.
    let clock = |applies: bool, hours| if applies { span(hours) } else { "\u{2013}".into() };
    PolicyRow {
        kind: words.into(),
        level: LevelMark { word: level.word().into(), meaning: level.meaning().into() },
        asks: terms.rule.words(),
        decide_within: clock(level >= Level::L2, terms.rule.decide_within),
        run_within: clock(level <= Level::L2, terms.rule.run_within),
        change: asks.map(|tenant| format!("{}?kind={kind}#change", paths::policy(tenant))),
    }
}

fn days(n: u32) -> String {
    if n == 1 { "1 day".into() } else { format!("{n} days") }
}

const SIGN_IN_APPROVES: &str = "How old the sign-in of who approves may be, in minutes";
const SIGN_IN_RECORDS: &str = "How old the sign-in of who records it may be, in minutes";

/// Of one kind of action, filled with what stands for it, so that what nobody touches stays.
fn rule_form(reader: &Reader<'_>, tenant: &Tenant, (policy, token): (&Policy, &str), errors: &[FieldError]) -> RuleForm {
    let chosen = Some(reader.field("kind")).filter(|kind| !kind.is_empty()).or_else(|| reader.request.query_value("kind"));
    let (kind, words) = changeable().find(|(kind, _)| Some(*kind) == chosen.as_deref()).unwrap_or(("mark_objective", "Mark an objective"));
    let rule = policy.terms(kind).rule;
    let choice = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
    let yes_or_no = |yes: &str, no: &str| FieldKind::OneOf(vec![choice("yes", yes), choice("no", no)]);
    let or = |name: &str, stands: String| reader.request.form_value(name).map_or(stands, |typed| typed.trim().to_owned());
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let hours = |hours: &[u32]| hours.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (is_approved, came_back) = (rule.level == Level::L2, reader.field("form") == "rule");
    let mut fields = Vec::new();
    if is_approved {
        let counts = (1..=5_u8).map(|n| choice(&n.to_string(), &n.to_string())).collect();
        let needed = or("needed", rule.approvals.to_string());
        fields
            .push(Field::new("needed", "How many approvals it takes", "By different people", FieldKind::OneOf(counts), needed).required());
    }
    if is_approved && !policy.groups.is_empty() {
        let hint = "Who stands in for a member and fills the group\u{2019}s place";
        let choices = yes_or_no("Also somebody from outside the group", "Only a member of the group");
        fields.push(Field::new("outside", "A stand-in may be", hint, choices, or("outside", word(rule.outside_stand_ins))));
    }
    let (great, fresh) = (policy::has_great_effect(kind) || rule.level == Level::L3, SIGN_IN_AT_MOST);
    let hint = if great { format!("5 to {fresh}: it has great effect") } else { "5 to 480; nothing for as long as it lasts".into() };
    let sign_in = or("sign_in_minutes", rule.sign_in_minutes.map_or_else(String::new, |minutes| minutes.to_string()));
    if is_approved {
        let (hint, choices) = ("A rejection always needs a comment", yes_or_no("A comment is needed", "A comment may be left out"));
        let comment = or("comment_needed", word(rule.comment_needed));
        fields.push(Field::new("comment_needed", "To approve it", hint, choices, comment));
    }
    let label = if is_approved { SIGN_IN_APPROVES } else { SIGN_IN_RECORDS };
    fields.push(Field::new("sign_in_minutes", label, hint, FieldKind::Text, sign_in));
    let (decide, run) = (or("decide_within", rule.decide_within.to_string()), or("run_within", rule.run_within.to_string()));
    fields.push(Field::new("decide_within", "Hours to decide", "Then it expires", FieldKind::Text, decide).required());
    if is_approved {
        fields.push(Field::new("run_within", "Hours to carry it out", "From the last approval on", FieldKind::Text, run).required());
    }
    fields.extend([
        Field::new(
            "remind_before",
            "Remind, hours before the deadline",
            "Such as 48, 4; three times at most",
            FieldKind::Text,
            or("remind_before", hours(&rule.remind_before)),
        ),
        Field::new(
            "escalate_before",
            "Tell all approvers and owners that it is not decided, hours before the deadline",
            "Such as 12; three times at most, nothing for never",
            FieldKind::Text,
            or("escalate_before", hours(&rule.escalate_before)),
        ),
        Field::new("why", "Why", "The approver reads this first. Not needed to try it.", FieldKind::Prose(MAX_REASON), reader.field("why")),
    ]);
    let group = |name: &String| {
        let typed = !reader.field(&format!("{FROM}{name}")).is_empty();
        (format!("{FROM}{name}"), name.clone(), if came_back { typed } else { rule.one_from_each.contains(name) })
    };
    RuleForm {
        action: paths::policy(tenant.id),
        token: token.into(),
        kind: Some((kind.into(), words.into())),
        groups: if is_approved { policy.groups.keys().map(group).collect() } else { vec![] },
        fields: fields.into_iter().map(|field| field.with_errors(errors)).collect(),
    }
}

fn group_form(reader: &Reader<'_>, tenant: &Tenant, token: &str, errors: &[FieldError]) -> GroupForm {
    let hint = "A name that stands already is changed; without anybody in it, it goes";
    let reason = Field::new("why-group", "Why", "The approver reads this first.", FieldKind::Prose(MAX_REASON), reader.field("why-group"));
    GroupForm {
        action: paths::policy(tenant.id),
        token: token.into(),
        name: Field::new("group", "Group", hint, FieldKind::Text, reader.field("group")).required().with_errors(errors),
        reason: reason.required().with_errors(errors),
        people: approvers(reader, tenant.id)
            .map(|person| (person.id.to_string(), person.name.clone(), ticked(reader, person.id)))
            .collect(),
    }
}

fn alone_form(reader: &Reader<'_>, tenant: &Tenant, (policy, token): (&Policy, &str), errors: &[FieldError]) -> AloneForm {
    let reason = Field::new("why-alone", "Why", "The approver reads this first.", FieldKind::Prose(MAX_REASON), reader.field("why-alone"));
    let came_back = reader.field("form") == "alone";
    let is_in = |person: &Person| {
        if came_back { !reader.field(&format!("alone-{}", person.id)).is_empty() } else { policy.break_glass.contains(&person.id) }
    };
    AloneForm {
        action: paths::policy(tenant.id),
        token: token.into(),
        reason: reason.required().with_errors(errors),
        people: approvers(reader, tenant.id).map(|person| (person.id.to_string(), person.name.clone(), is_in(person))).collect(),
    }
}

/// Of the page's forms: bound to the version of the policy that it shows.
fn token(reader: &Reader<'_>, tenant: &Tenant, version: u32) -> String {
    reader.token(&["policy", &tenant.id.to_string(), &version.to_string()])
}
