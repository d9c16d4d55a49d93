//! Standing in: an approver asks another one to answer in their place, who agrees or declines; either of them ends it.
//! On the page of the client's policy; who is asked finds it in their inbox.

use time::{Duration, OffsetDateTime};

use super::{Reader, policy};
use crate::{
    gate::{
        DecideError,
        delegation::{self, Delegation, Reply as Answer},
    },
    tenancy::{
        PersonId, Scope,
        directory::{Grant, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{Choice, Field, FieldError, FieldKind, PostForm, RuleForm, StandInRow, StandingIn, paths},
    },
};

/// The form that asks, and the one that answers or ends.
pub(super) const ASK: &str = "stand-in";
pub(super) const ANSWER: &str = "stand-in-answer";

/// An approver asks another to answer in their place for some days; none ends it.
pub(super) async fn ask(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, scope: &Scope) -> Result<Reply, Problem> {
    let who = reader.field("who").parse::<PersonId>().ok();
    let to = who.and_then(|person| reader.roster.grants_of(tenant.id, reader.app.now()).find(|other| other.person == person));
    let days = reader.field("for_days").parse::<i64>().ok().filter(|days| (0..=delegation::LONGEST.whole_days()).contains(days));
    // Who it is with may be no approver any more.
    if let (Some(who), Some(0)) = (who, days) {
        return match delegation::end(reader.app, scope, (grant.person, who)).await {
            Ok(_) => Ok(back(reader, tenant, "ended")),
            Err(DecideError::Store(error)) => Err(error.into()),
            Err(_) => {
                wrong(reader, tenant, grant, "who", "They do not stand in for you and are not asked to, so there is nothing to end.").await
            }
        };
    }
    let Some(to) = to else { return wrong(reader, tenant, grant, "who", "Choose who stands in for you.").await };
    let Some(days) = days else {
        return wrong(reader, tenant, grant, "for_days", "Say for how many days, 30 at most; 0 ends it.").await;
    };
    let now = reader.app.now();
    match delegation::ask(reader.app, scope, grant, to, now + Duration::days(days)).await {
        Ok(after) if after.offered(now).is_some() => Ok(back(reader, tenant, "asked")),
        Ok(_) => Ok(back(reader, tenant, "shorter")),
        Err(DecideError::Store(error)) => Err(error.into()),
        Err(_) => wrong(reader, tenant, grant, "who", "Only another approver of this client can stand in for you.").await,
    }
}

/// Who is asked agrees, declines, or lays down what they agreed to; who asked ends it.
pub(super) async fn answer(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, scope: &Scope) -> Result<Reply, Problem> {
    let missing = || Problem::bad_request("The form does not say what about standing in it is about. Nothing was done.");
    let from = reader.field("from").parse::<PersonId>().map_err(|_| missing())?;
    let (answered, done) = match reader.field("reply").as_str() {
        "agree" => (delegation::answer(reader.app, scope, grant, from, Answer::Agrees).await, "agreed"),
        "decline" => (delegation::answer(reader.app, scope, grant, from, Answer::Declines).await, "declined"),
        "end" => {
            let to = reader.field("to").parse::<PersonId>().map_err(|_| missing())?;
            (delegation::end(reader.app, scope, (from, to)).await, "ended")
        }
        _ => return Err(missing()),
    };
    match answered {
        Ok(_) => Ok(back(reader, tenant, done)),
        Err(DecideError::Store(error)) => Err(error.into()),
        Err(DecideError::Refused(refusal)) if refusal.is_about_the_person() => Err(Problem::forbidden(refusal.sentence())),
        Err(DecideError::Refused(refusal)) => Err(Problem::conflict(refusal.sentence())),
        Err(other) => Err(Problem::conflict(other.to_string())),
    }
}

fn back(reader: &Reader<'_>, tenant: &Tenant, done: &str) -> Reply {
    reader.back_to(&paths::policy(tenant.id), "stand-in", done)
}

async fn wrong(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, field: &'static str, message: &str) -> Result<Reply, Problem> {
    policy::came_back(reader, tenant, grant, FieldError { field, message: message.into() }).await
}

pub(super) fn notice(reader: &Reader<'_>) -> Option<String> {
    let words = match reader.done("stand-in")?.as_str() {
        "asked" => "Asked. They find it in their inbox; nobody stands in for you before they agree.",
        "shorter" => "Recorded: they stand in for you for that time still.",
        "agreed" => "You stand in for them from now on. What you answer in their place names you both.",
        "declined" => "Recorded: you do not stand in for them.",
        _ => "They do not stand in for you any more.",
    };
    Some(words.into())
}

/// What holds, what waits for an answer, and what of that is the reader's to answer or end. `token`: of the page's forms.
pub(super) fn shown(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, delegations: &[Delegation], token: (&str, u32)) -> StandingIn {
    let now = reader.app.now();
    let button = |one: &Delegation, reply: &str, label: &str| PostForm {
        action: paths::policy(tenant.id),
        token: token.0.into(),
        fields: [
            ("version", token.1.to_string()),
            ("form", ANSWER.into()),
            ("from", one.from.to_string()),
            ("to", one.to.to_string()),
            ("reply", reply.into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        label: label.into(),
    };
    let row = |one: &Delegation, (begins, until): (OffsetDateTime, OffsetDateTime), buttons: &[(&str, &str)]| StandInRow {
        from: reader.roster.person_name(one.from),
        to: reader.roster.person_name(one.to),
        begins: (now < begins).then_some(begins),
        until,
        is_you: one.to == grant.person,
        other: reader.roster.person_name(if one.to == grant.person { one.from } else { one.to }),
        answers: match grant.person {
            // To agree takes an approver, and to end it nothing.
            you if you == one.to => {
                let may = |reply: &str| reply != "agree" || grant.has(Role::Approver);
                buttons.iter().filter(|(reply, _)| may(reply)).map(|(reply, label)| button(one, reply, label)).collect()
            }
            you if you == one.from => vec![button(one, "end", "End it")],
            _ => vec![],
        },
    };
    let holds = |one: &Delegation| Some(row(one, one.lasts(now)?, &[("decline", "Stand in no longer")]));
    let asked = |one: &Delegation| Some(row(one, (now, one.offered(now)?.until), &[("agree", "Agree"), ("decline", "Decline")]));
    StandingIn { holds: delegations.iter().filter_map(holds).collect(), asked: delegations.iter().filter_map(asked).collect() }
}

pub(super) fn form(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, token: String, errors: &[FieldError]) -> RuleForm {
    let others = policy::approvers(reader, tenant.id).filter(|person| person.id != grant.person);
    let people = others.map(|person| Choice { value: person.id.to_string(), label: person.name.clone() }).collect();
    let days = Some(reader.field("for_days")).filter(|typed| !typed.is_empty()).unwrap_or_else(|| "7".into());
    let fields = vec![
        Field::new("who", "Who is to stand in for you", "Another approver of this client", FieldKind::OneOf(people), reader.field("who"))
            .required(),
        Field::new("for_days", "For how many days", "30 at most; 0 ends it now", FieldKind::Text, days).required(),
    ];
    RuleForm {
        action: paths::policy(tenant.id),
        token,
        kind: None,
        groups: vec![],
        fields: fields.into_iter().map(|field| field.with_errors(errors)).collect(),
    }
}
