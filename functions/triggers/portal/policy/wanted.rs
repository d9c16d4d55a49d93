//! The policy that somebody asks for, read from what they typed.

use std::collections::BTreeSet;

use super::{super::Reader, approvers, changeable};
use crate::{
    gate::{Level, Policy, Rule},
    tenancy::{
        PersonId,
        directory::{Grant, Person},
    },
    web::pages::FieldError,
};

/// The policy with the rule that was typed. What the form does not have stays as it stands; the level does.
pub(super) fn with_rule(reader: &Reader<'_>, today: &Policy) -> Result<Policy, FieldError> {
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
pub(super) const FROM: &str = "from-";

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
pub(super) fn with_alone(reader: &Reader<'_>, today: &Policy, grant: &Grant) -> Policy {
    let ticked = |person: &&Person| !reader.field(&format!("alone-{}", person.id)).is_empty();
    let break_glass = approvers(reader, grant.tenant()).filter(ticked).map(|person| person.id).collect();
    Policy { break_glass, ..today.clone() }
}

/// The policy with the group that was typed; without anybody in it, it is no group.
pub(super) fn with_group(reader: &Reader<'_>, today: &Policy, grant: &Grant) -> Result<Policy, FieldError> {
    let name = reader.field("group");
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.');
    if name.is_empty() || name.chars().count() > 40 || !name.chars().all(is_plain) {
        let message = "Name it with letters, digits, blanks, hyphens and dots, at most 40.".into();
        return Err(FieldError { field: "group", message });
    }
    let members: BTreeSet<PersonId> =
        approvers(reader, grant.tenant()).filter(|person| ticked(reader, person.id)).map(|person| person.id).collect();
    let mut wanted = today.clone();
    if members.is_empty() {
        wanted.groups.remove(&name);
    } else {
        wanted.groups.insert(name, members);
    }
    wanted.check().map_err(|fault| FieldError { field: "group", message: fault.to_string() })?;
    Ok(wanted)
}

pub(super) fn ticked(reader: &Reader<'_>, person: PersonId) -> bool {
    !reader.field(&format!("member-{person}")).is_empty()
}
