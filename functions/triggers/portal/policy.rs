//! The approval policy of a client: what stands, what a change would have meant, and asking for one.

use std::collections::BTreeSet;

use super::{Reader, stand_in};
use crate::{
    gate::{
        Level, Policy, Rule,
        amend::{self, AmendError},
        delegation, dry_run,
        policy::{
            self, ACCEPT_RULE, CHANGE_POLICY, KINDS, SIGN_IN_AT_MOST, SignedPolicy, Unsound,
            reach::{self, People},
            words,
        },
    },
    readiness,
    tenancy::{
        ClientPlace, PersonId, Scope, Store, TenantId,
        directory::{Grant, Person, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{
            AloneForm, Choice, DryRunRow, Field, FieldError, FieldKind, GroupForm, GroupRow, LevelMark, Link, Moved, PolicyPage, PolicyRow,
            RuleForm, Section, paths,
        },
        reply,
    },
};

const MAX_REASON: usize = 2000;
/// Proposals of one kind that a look back names.
const NAMED: usize = 20;

/// What a form came back with.
#[derive(Default)]
struct Returned {
    errors: Vec<FieldError>,
    dry_run: Option<Vec<DryRunRow>>,
    /// The version that the form was made for does not stand any more.
    moved: Option<Moved>,
}

impl Returned {
    fn wrong(field: &'static str, message: String) -> Self {
        Self { errors: vec![FieldError { field, message }], ..Self::default() }
    }
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    page(reader, &tenant, grant, Returned::default()).await
}

/// Tries a change on what was, or asks for it.
pub(super) async fn ask(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let seen = reader.field("version");
    reader.must_be_own_form(&["policy", &tenant.id.to_string(), &seen])?;
    let scope = reader.scope(grant);
    // Who stood in may have lost every other right, and ends it all the same.
    match reader.field("form").as_str() {
        stand_in::ASK => return stand_in::ask(reader, &tenant, grant, &scope).await,
        stand_in::ANSWER => return stand_in::answer(reader, &tenant, grant, &scope).await,
        _ => {}
    }
    if !may_ask(grant) {
        return Err(Problem::forbidden("Only an engineer or approver of this client can ask for another policy. Nothing was done."));
    }
    let today = match found(reader, &scope).await? {
        Ok(today) => today,
        Err(unsound) => return Err(Problem::conflict(unsound.sentence())),
    };
    // What is asked was thought out beside what the page showed; under anything else it may mean something else.
    if seen != today.version.to_string() {
        let moved = moved(reader, &scope, &tenant, &today, seen.parse().unwrap_or_default()).await?;
        return page(reader, &tenant, grant, Returned { moved: Some(moved), ..Returned::default() }).await;
    }
    let form = reader.field("form");
    let wanted = match form.as_str() {
        "group" => with_group(reader, &today, grant),
        "alone" => Ok(with_alone(reader, &today, grant)),
        _ => with_rule(reader, &today),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return page(reader, &tenant, grant, Returned { errors: vec![error], ..Returned::default() }).await,
    };
    if reader.field("step") == "try" {
        let rows = tried(reader, &scope, &today, &wanted).await?;
        return page(reader, &tenant, grant, Returned { dry_run: Some(rows), ..Returned::default() }).await;
    }
    let (field, subject) = match form.as_str() {
        "group" => ("why-group", "group"),
        "alone" => ("why-alone", "why-alone"),
        _ => ("why", "rule"),
    };
    let reason = reader.field(field);
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        let message = format!("Say why, in at most {MAX_REASON} characters: the approver decides on your reason.");
        return page(reader, &tenant, grant, Returned::wrong(field, message)).await;
    }
    match amend::propose_over(reader.app, &scope, &tenant.name, (wanted, Some(today.version)), &reason).await {
        Ok(id) | Err(AmendError::Waits(id)) => Ok(reply::redirect(&paths::proposal(tenant.id, id))),
        Err(AmendError::Fault(fault)) => page(reader, &tenant, grant, Returned::wrong(subject, fault.to_string())).await,
        Err(AmendError::Marked) => page(reader, &tenant, grant, Returned::wrong(field, amend::MARKED.into())).await,
        Err(AmendError::Moved) => match found(reader, &scope).await? {
            Ok(now) => {
                let moved = moved(reader, &scope, &tenant, &now, today.version).await?;
                page(reader, &tenant, grant, Returned { moved: Some(moved), ..Returned::default() }).await
            }
            Err(unsound) => Err(Problem::conflict(unsound.sentence())),
        },
        Err(AmendError::Unsound(unsound)) => Err(Problem::conflict(unsound.sentence())),
        Err(AmendError::Store(error)) => Err(error.into()),
    }
}

/// The page with what is wrong with a form of it.
pub(super) async fn came_back(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, error: FieldError) -> Result<Reply, Problem> {
    page(reader, tenant, grant, Returned { errors: vec![error], ..Returned::default() }).await
}

/// What changed since the page was shown, as far as the decisions that changed it are there to be read.
async fn moved(reader: &Reader<'_>, scope: &Scope, tenant: &Tenant, today: &Policy, seen: u32) -> Result<Moved, Problem> {
    let store: Store<'_, ClientPlace> = scope.store(reader.app).await?;
    let was = amend::as_of(&store, today, seen).await?;
    let changes = was.map(|was| words::changes(&was, today, &|person| reader.roster.person_name(person)));
    Ok(Moved {
        seen,
        stands: today.version,
        changes: changes.map(|changes| changes.iter().map(ToString::to_string).collect()),
        anew: Link::new(paths::policy(tenant.id), "Open the page anew, without what you typed"),
    })
}

/// The policy as a page shows it, held against its signature and its mark.
async fn found(reader: &Reader<'_>, scope: &Scope) -> Result<Result<Policy, Unsound>, Problem> {
    let store = scope.store(reader.app).await?;
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, policy::KEY).await?;
    Ok(policy::shown(&store, &reader.roster, found.as_ref()).await?)
}

fn may_ask(grant: &Grant) -> bool {
    grant.has(Role::Engineer) || grant.has(Role::Approver)
}

async fn tried(reader: &Reader<'_>, scope: &Scope, today: &Policy, wanted: &Policy) -> Result<Vec<DryRunRow>, Problem> {
    let (store, tenant) = (scope.store(reader.app).await?, scope.tenant());
    let lately = dry_run::lately(&store, reader.app.now()).await?;
    let rows = dry_run::weigh(&lately, today, wanted, reader.app.now()).into_iter();
    Ok(rows
        .map(|line| {
            let named = line.otherwise.iter().take(NAMED).map(|one| {
                let link = Link::new(paths::proposal(tenant, one.proposal), one.question.clone());
                (link, one.why.join(" "))
            });
            DryRunRow {
                kind: line.kind.into(),
                staged: line.staged,
                decided: line.decided,
                otherwise: line.otherwise.len(),
                named: named.collect(),
            }
        })
        .collect())
}

/// The policy with the rule that was typed. What the form does not have stays as it stands; the level does.
fn with_rule(reader: &Reader<'_>, today: &Policy) -> Result<Policy, FieldError> {
    let wrong = |field, message: &str| FieldError { field, message: message.into() };
    let kind = reader.field("kind");
    if !changeable().any(|(known, _)| known == kind) {
        return Err(wrong("kind", "Choose which kind of action it is about."));
    }
    let stands = today.terms(&kind).rule;
    let given = |field: &str| reader.request.form_value(field).is_some();
    let number = |field: &'static str, stands: u32, message: &str| {
        if given(field) { reader.field(field).parse::<u32>().map_err(|_| wrong(field, message)) } else { Ok(stands) }
    };
    let needed = number("needed", stands.approvals.into(), "Choose how many approvals it takes.")?;
    let is_from = |group: &&String| !reader.field(&format!("{FROM}{group}")).is_empty();
    let rule = Rule {
        approvals: u8::try_from(needed).unwrap_or(u8::MAX),
        one_from_each: if stands.level == Level::L2 { today.groups.keys().filter(is_from).cloned().collect() } else { vec![] },
        decide_within: number("decide_within", stands.decide_within, "Say in hours how long it may wait, such as 168.")?,
        run_within: number("run_within", stands.run_within, "Say in hours how long an approval holds, such as 48.")?,
        outside_stand_ins: if given("outside") { reader.field("outside") == "yes" } else { stands.outside_stand_ins },
        comment_needed: if given("comment_needed") { reader.field("comment_needed") == "yes" } else { stands.comment_needed },
        sign_in_minutes: match reader.field("sign_in_minutes").as_str() {
            "" if given("sign_in_minutes") => Rule::of_kind(&kind).sign_in_minutes,
            "" => stands.sign_in_minutes,
            _ => {
                let message = "Say in minutes how old a sign-in may be, such as 10; nothing for as long as it lasts.";
                Some(number("sign_in_minutes", 0, message)?)
            }
        },
        remind_before: hours(reader, "remind_before", &stands.remind_before)?,
        escalate_before: hours(reader, "escalate_before", &stands.escalate_before)?,
        ..stands
    };
    let mut wanted = today.clone();
    wanted.rules.insert(kind, rule);
    wanted.check().map_err(|fault| wrong("rule", &fault.to_string()))?;
    Ok(wanted)
}

/// How the names of the fields begin that say which groups give an approval of their own.
const FROM: &str = "from-";

/// Hours as they are typed, `48, 4`; nothing is never. A form without the field leaves what stands.
fn hours(reader: &Reader<'_>, field: &'static str, stands: &[u32]) -> Result<Vec<u32>, FieldError> {
    if reader.request.form_value(field).is_none() {
        return Ok(stands.to_vec());
    }
    let typed = reader.field(field);
    let parts = typed.split(',').map(str::trim).filter(|part| !part.is_empty());
    let hours: Result<Vec<u32>, _> = parts.map(str::parse).collect();
    hours.map_err(|_| FieldError { field, message: "Give hours with commas between them, such as 48, 4; nothing for never.".into() })
}

/// The policy with those who were ticked as the ones who may approve alone.
fn with_alone(reader: &Reader<'_>, today: &Policy, grant: &Grant) -> Policy {
    let ticked = |person: &&Person| !reader.field(&format!("alone-{}", person.id)).is_empty();
    let break_glass = approvers(reader, grant.tenant).filter(ticked).map(|person| person.id).collect();
    Policy { break_glass, ..today.clone() }
}

/// The policy with the group that was typed; without anybody in it, it is no group.
fn with_group(reader: &Reader<'_>, today: &Policy, grant: &Grant) -> Result<Policy, FieldError> {
    let name = reader.field("group");
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.');
    if name.is_empty() || name.chars().count() > 40 || !name.chars().all(is_plain) {
        let message = "Name it with letters, digits, blanks, hyphens and dots, at most 40.".into();
        return Err(FieldError { field: "group", message });
    }
    let members: BTreeSet<PersonId> =
        approvers(reader, grant.tenant).filter(|person| ticked(reader, person.id)).map(|person| person.id).collect();
    let mut wanted = today.clone();
    if members.is_empty() {
        wanted.groups.remove(&name);
    } else {
        wanted.groups.insert(name, members);
    }
    wanted.check().map_err(|fault| FieldError { field: "group", message: fault.to_string() })?;
    Ok(wanted)
}

fn ticked(reader: &Reader<'_>, person: PersonId) -> bool {
    !reader.field(&format!("member-{person}")).is_empty()
}

pub(super) fn approvers<'r>(reader: &'r Reader<'_>, tenant: TenantId) -> impl Iterator<Item = &'r Person> {
    let is_one = move |person: &&Person| {
        reader.roster.grants_of(tenant, reader.app.now()).any(|grant| grant.person == person.id && grant.has(Role::Approver))
    };
    reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now()).filter(is_one)
}

/// Kinds that this release carries out, or records as done; of the others the policy has the floors, and nothing is asked yet.
fn performed() -> impl Iterator<Item = (&'static str, Level, &'static str)> {
    let is_done =
        |kind: &str| kind == CHANGE_POLICY || kind == ACCEPT_RULE || kind == readiness::submission::KIND || readiness::mark::performs(kind);
    KINDS.iter().copied().filter(move |(kind, ..)| is_done(kind))
}

/// Kinds whose terms people can choose: those that people approve, or do and record.
fn changeable() -> impl Iterator<Item = (&'static str, &'static str)> {
    performed().filter(|(_, floor, _)| *floor >= Level::L2).map(|(kind, _, words)| (kind, words))
}

/// What nobody could get approved with the access there is. Who stands in for whom is the client's, and not looked at here.
pub(super) fn short_of(reader: &Reader<'_>, id: TenantId) -> Vec<String> {
    let people = People::of(&reader.roster, &reader.app.config, id, &[], reader.app.now());
    let needs = reader.roster.policy_mark(id).map(|mark| mark.needs.clone()).unwrap_or_default();
    reach::short_of_needs(&needs, &people).iter().map(reach::Shortfall::sentence).collect()
}

async fn page(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, returned: Returned) -> Result<Reply, Problem> {
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
    let asks = may_ask(grant) && unsound.is_none() && (waits.is_none() || returned.moved.is_some());
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
            "Tell all approvers and owners that nobody decided, hours before the deadline",
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
