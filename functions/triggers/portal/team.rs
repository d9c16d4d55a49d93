//! Who can sign in, and who asks to: an owner lets them in, turns them away, and takes access away.

use time::OffsetDateTime;

use super::Reader;
use crate::{
    tenancy::{
        PersonId, StoreError,
        directory::{Identity, Person},
    },
    web::{
        Problem, Reply,
        entra::{
            access::{self, AccessError},
            let_in::{self, Asking, LetInError},
        },
        pages::{AskingView, FieldError, FormerView, IdentityView, MemberView, PostForm, Section, Tag, TeamPage, Tone, paths},
        reply,
    },
};

const LET_IN: &str = "let-in";
const TURN_AWAY: &str = "turn-away";

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    page(reader, None).await
}

/// How many wait for this reader's answer; `None` when it is not theirs to give.
pub(super) async fn asking(reader: &Reader<'_>) -> Result<Option<usize>, StoreError> {
    if must_own(reader).is_err() {
        return Ok(None);
    }
    Ok(Some(let_in::waiting(&reader.deployment().await?).await?))
}

pub(super) async fn let_in(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&[LET_IN, id])?;
    let (name, email, operates) = (reader.field("name"), reader.field("email"), !reader.field("operates").is_empty());
    match let_in::let_in(&reader.deployment().await?, id, &name, &email, operates).await {
        Err(LetInError::Form(errors)) => page(reader, Some((id, errors))).await,
        other => after(reader, other.map(|_| "let-in")),
    }
}

pub(super) async fn turn_away(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&[TURN_AWAY, id])?;
    let done = let_in::turn_away(&reader.deployment().await?, id).await;
    after(reader, done.map(|()| "turned-away"))
}

pub(super) async fn end_access(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&["end access", id])?;
    let person: PersonId = id.parse().map_err(|_| Problem::not_found())?;
    match access::end(&reader.deployment().await?, reader.person.id, person).await {
        Ok(()) => Ok(reader.back_to(&paths::team(), "done", "ended")),
        Err(AccessError::NotYours) => Err(Problem::forbidden("You cannot take away your own access; another owner can. Nothing was done.")),
        Err(AccessError::Unknown) => Err(Problem::not_found()),
        Err(AccessError::Store(error)) => Err(error.into()),
    }
}

fn after(reader: &Reader<'_>, done: Result<&'static str, LetInError>) -> Result<Reply, Problem> {
    match done {
        Ok(what) => Ok(reader.back_to(&paths::team(), "done", what)),
        // The same form sent twice, another owner, or a week is over.
        Err(LetInError::Gone | LetInError::Form(_)) => Ok(reader.back_to(&paths::team(), "done", "gone")),
        Err(LetInError::Store(error)) => Err(error.into()),
    }
}

fn notice(reader: &Reader<'_>) -> Option<String> {
    let words = match reader.done("done")?.as_str() {
        "let-in" => "Let in. They can sign in now; say on each client's page what they may do for it.",
        "turned-away" => "Turned away. They are not let in; for a week you can still change that below.",
        "ended" => "Taken away: they are signed out and can do nothing here any more.",
        "changed" => "Saved. What holds now is shown below.",
        "linked" => {
            "Saved. Another account had the same address, so both still count as one human; their page says as whom, and can say otherwise."
        }
        "no-access" => "They have no access any more, so nothing was changed.",
        _ => "Somebody has answered already, or they asked more than a week ago. What holds now is shown below.",
    };
    Some(words.into())
}

/// `wrong`: the form that comes back, as it was filled in.
async fn page(reader: &Reader<'_>, wrong: Option<(&str, Vec<FieldError>)>) -> Result<Reply, Problem> {
    let store = reader.deployment().await?;
    let mut people = reader.roster.people.clone();
    people.sort_by_key(|person| person.name.to_lowercase());
    let (known, former): (Vec<Person>, Vec<Person>) = people.into_iter().partition(Person::has_access);
    let (members, left_out): (Vec<Person>, Vec<Person>) =
        known.into_iter().partition(|person| person.may_sign_in(&reader.app.config, reader.app.now()));
    let view = |asking: Asking| {
        let id = asking.identity.person().to_string();
        let errors = wrong.as_ref().filter(|(of, _)| *of == id).map(|(_, errors)| errors.clone());
        asking_view(reader, &asking, id, errors)
    };
    let (asking, turned_away) = let_in::without_access(&store).await?;
    let page = TeamPage {
        frame: reader.frame(Section::People).await?,
        clients_href: paths::clients(),
        asking: asking.into_iter().map(view).collect(),
        turned_away: turned_away.into_iter().map(view).collect(),
        members: members.into_iter().map(|person| member(reader, person)).collect(),
        left_out: left_out.into_iter().map(|person| member(reader, person)).collect(),
        former: former.into_iter().filter_map(|person| former_member(reader, person)).collect(),
        notice: wrong.is_none().then(|| notice(reader)).flatten(),
    };
    Ok(reply::page(if wrong.is_some() { 422 } else { 200 }, &page))
}

fn asking_view(reader: &Reader<'_>, asking: &Asking, id: String, errors: Option<Vec<FieldError>>) -> AskingView {
    let (name, email, operates) = match errors {
        Some(_) => (reader.field("name"), reader.field("email"), !reader.field("operates").is_empty()),
        None => (asking.name.clone(), asking.email.clone(), false),
    };
    let earlier = reader.roster.person(asking.identity.person());
    AskingView {
        name,
        email,
        operates,
        who: who(reader, asking.identity, asking.is_guest, asking.sign_in_name.clone()),
        asked_at: asking.asked_at,
        had_access_until: earlier.and_then(|person| person.access_ended_at).map(OffsetDateTime::date),
        same_as: earlier.and_then(|person| person.same_as).map(|other| reader.roster.person_name(other)),
        named_owner: let_in::is_named_owner(reader.app, asking.identity),
        action: paths::answer_asking(&id, LET_IN),
        token: reader.token(&[LET_IN, &id]),
        turn_away: (!asking.turned_away).then(|| PostForm {
            action: paths::answer_asking(&id, TURN_AWAY),
            token: reader.token(&[TURN_AWAY, &id]),
            fields: vec![],
            label: "Turn away".into(),
        }),
        errors: errors.unwrap_or_default(),
        id,
    }
}

pub(super) fn who(reader: &Reader<'_>, identity: Identity, is_guest: bool, sign_in_name: Option<String>) -> IdentityView {
    IdentityView {
        own_directory: let_in::is_own_directory(reader.app, identity),
        is_guest,
        sign_in_name,
        directory: identity.tid.to_string(),
        object: identity.oid.to_string(),
    }
}

fn former_member(reader: &Reader<'_>, person: Person) -> Option<FormerView> {
    Some(FormerView {
        ended_at: person.access_ended_at?,
        who: person.identity.map(|identity| who(reader, identity, person.standing.is_guest, person.sign_in_name)),
        name: person.name,
    })
}

fn member(reader: &Reader<'_>, person: Person) -> MemberView {
    let id = person.id.to_string();
    let end_access = (person.id != reader.person.id).then(|| PostForm {
        action: paths::end_access(person.id),
        token: reader.token(&["end access", &id]),
        fields: vec![],
        label: "Take access away".into(),
    });
    MemberView {
        tag: if person.is_owner {
            Some(Tag::new(Tone::Met, "Owner"))
        } else {
            person.operates.then(|| Tag::new(Tone::Met, "Runs the MSP's tools"))
        },
        clients: match reader.roster.grants_for(person.id, reader.app.now()).count() {
            0 => "nothing to do for any client yet".into(),
            1 => "works for 1 client".into(),
            n => format!("works for {n} clients"),
        },
        who: person.identity.map(|identity| who(reader, identity, person.standing.is_guest, person.sign_in_name)),
        change_href: paths::member(person.id),
        name: person.name,
        email: person.email,
        end_access,
    }
}

/// Only with Entra ID is there somebody to let in: the demo's people are as they are.
pub(super) fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.app.config.entra().is_none() {
        return Err(Problem::not_found());
    }
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner says who can sign in. Nothing was done; ask them."))
}
