//! The review of access: the owner looks over everybody who can sign in and who may do what, and says line by line what stays.

use std::collections::HashMap;

use super::{Reader, people, policy};
use crate::{
    connectors::{
        client::ClientError,
        review::{self, About, AccessReview, Answer, Line, Review, What},
    },
    tenancy::{PersonId, directory::Ownership},
    web::{
        Problem, Reply,
        pages::{AccessPage, AccessReviewForm, AccessRow, AnswerView, ReviewView, Section, paths},
        reply,
    },
};

const CONFIRM: &str = "confirm access";

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    page(reader, None).await
}

pub(super) async fn confirm(reader: &Reader<'_>, about: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&[CONFIRM, about])?;
    let about: About = about.parse().map_err(|()| Problem::not_found())?;
    let store = reader.deployment().await?;
    let reviews = review::all(&store).await?;
    let review = reviews.into_iter().find(|review| review.about == about).ok_or_else(Problem::not_found)?;
    let Some(answers) = answers(reader, &review) else {
        return page(reader, Some((about, 422, people::NO_DAY.into()))).await;
    };
    // Whoever finds a browser open must not prolong what ends; to end something never waits.
    if review.lines.iter().any(|line| review::gives_more(line.until, answers[&line.person])) {
        reader.must_have_proved_it()?;
    }
    match Box::pin(review::record(&store, reader.person.id, about, &reader.field("seen"), &answers)).await {
        Ok(()) => Ok(reader.back_to(&paths::access(), "confirmed", &title(&review))),
        Err(ClientError::Store(error)) if error.is_conflict() => {
            let why = format!(
                "Somebody changed this since you opened the page ({}), so nothing was confirmed. Look at it again below.",
                title(&review)
            );
            page(reader, Some((about, 409, why))).await
        }
        Err(ClientError::Store(error)) => Err(error.into()),
        Err(ClientError::Form(error)) => page(reader, Some((about, 422, error.message))).await,
    }
}

/// What the form says of each line; `None` when a day is none.
fn answers(reader: &Reader<'_>, review: &Review) -> Option<HashMap<PersonId, Answer>> {
    let of = |line: &Line| {
        let answer = match reader.field(&format!("answer-{}", line.person)).as_str() {
            "end" => Answer::End,
            "until" => match reader.field(&format!("until-{}", line.person)).as_str() {
                "" => Answer::Until(None),
                day => Answer::Until(Some(people::end_of_day(day)?)),
            },
            _ => Answer::Keep,
        };
        // The day that stands there already.
        Some((line.person, if answer == Answer::Until(line.until) { Answer::Keep } else { answer }))
    };
    review.lines.iter().map(of).collect()
}

/// `returned`: which form comes back, as what and why.
async fn page(reader: &Reader<'_>, returned: Option<(About, u16, String)>) -> Result<Reply, Problem> {
    let reviews = review::all(&reader.deployment().await?).await?;
    let status = returned.as_ref().map_or(200, |(_, status, _)| *status);
    let typed = |about| returned.as_ref().is_some_and(|(of, status, _)| *of == about && *status == 422);
    let every = review::interval(reader.app.config.access_review);
    let page = AccessPage {
        frame: reader.frame(Section::People).await?,
        clients_href: paths::clients(),
        reviews: reviews.iter().map(|review| view(reader, review, typed(review.about))).collect(),
        notice: reader.done("confirmed").filter(|_| returned.is_none()).map(|what| format!("Recorded: {what}. It is due again {every}.")),
        every,
        error: returned.map(|(_, _, why)| why),
    };
    Ok(reply::page(status, &page))
}

fn title(review: &Review) -> String {
    match review.about {
        About::Installation => "Who can sign in".into(),
        About::Client(_) => review.client.clone(),
    }
}

/// `typed`: with the answers of the form that came.
fn view(reader: &Reader<'_>, review: &Review, typed: bool) -> ReviewView {
    let about = review.about.to_string();
    let earlier = review.earlier.iter().map(|earlier| (earlier.at, reader.roster.person_name(earlier.by), said(earlier)));
    ReviewView {
        title: title(review),
        change_href: match review.about {
            About::Client(tenant) => Some(paths::people(tenant)),
            About::Installation => reader.app.config.entra().map(|_| paths::team()),
        },
        is_due: review.is_due,
        earlier: earlier.collect(),
        rows: review.lines.iter().map(|line| row(reader, review.about, line, typed)).collect(),
        short: match review.about {
            About::Client(tenant) => policy::short_of(reader, tenant),
            About::Installation => vec![],
        },
        form: AccessReviewForm {
            action: paths::confirm_access(&about),
            token: reader.token(&[CONFIRM, &about]),
            seen: review.fingerprint(),
        },
    }
}

fn said(review: &AccessReview) -> String {
    let part = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
    let parts = [part(review.kept.len(), "kept"), part(review.ended.len(), "ended"), part(review.changed.len(), "with another last day")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn row(reader: &Reader<'_>, about: About, line: &Line, typed: bool) -> AccessRow {
    let now = reader.app.now();
    let why_not = match &line.of {
        None => Some("nobody of this id is known"),
        Some(_) if line.until.is_some_and(|until| until <= now) => Some("has ended"),
        Some(person) if !person.may_sign_in(&reader.app.config, now) => Some("cannot sign in"),
        Some(_) => None,
    };
    let human = reader.roster.human(line.person);
    let own = about == About::Installation && line.person == reader.person.id;
    let answer = if typed {
        AnswerView { chosen: reader.field(&format!("answer-{}", line.person)), until: reader.field(&format!("until-{}", line.person)) }
    } else {
        AnswerView { chosen: "keep".into(), until: line.until.map_or_else(String::new, people::last_day) }
    };
    AccessRow {
        id: line.person.to_string(),
        name: line.of.as_ref().map_or_else(|| "Unknown".into(), |person| person.name.clone()),
        roles: roles(&line.what),
        since: line.given.at,
        by: by(reader, line),
        last_sign_in: line.last_sign_in,
        last_day: line.until.and_then(|until| until.date().previous_day()),
        why_not,
        same_human_as: (human != line.person).then(|| reader.roster.person_name(human)),
        answer: (!own).then_some(answer),
    }
}

fn roles(what: &What) -> String {
    match what {
        What::Client(roles) => roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", "),
        What::Installation { owner: Some(Some(Ownership::AppRole)), .. } => "Owner, by the app role".into(),
        What::Installation { owner: Some(Some(Ownership::Settings)), .. } => "Owner, named by the settings".into(),
        What::Installation { owner: Some(None), .. } => "Owner".into(),
        What::Installation { owner: None, operates: true } => "Runs the MSP's tools".into(),
        What::Installation { owner: None, operates: false } => "Can sign in".into(),
    }
}

/// Who gave it; for who was let in by nobody, what made them come.
fn by(reader: &Reader<'_>, line: &Line) -> Option<String> {
    match (line.given.by, &line.what) {
        (Some(person), _) => Some(reader.roster.person_name(person)),
        (None, What::Installation { owner: Some(Some(Ownership::AppRole)), .. }) => Some("their directory".into()),
        (None, What::Installation { owner: Some(Some(Ownership::Settings)), .. }) => Some("the settings".into()),
        (None, _) => None,
    }
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner looks over who may do what. Nothing was done; ask them."))
}
