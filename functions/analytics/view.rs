//! Fills the analytics page: figures in words, each with how many it is of and how sure that makes one.
//!
//! Reads nothing. What a rule is about, and where that has a page, is the area's knowledge: the caller says it.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    Figures, Item, Known, Looked, Share,
    figures::{Times, WINDOW},
    keep, weeks,
};
use crate::{
    gate::{
        Policy,
        learning::{Because, Learned, Missing, Rule, pool::Pooled},
        level::Level,
    },
    tenancy::Roster,
    web::pages::{AnalyticsPage, Chart, ClientFigures, Figure, Frame, LevelMark, LevelShare, Link, PostForm, RuleRow, Tag, Tone},
};

/// What is known of one client.
pub struct Client {
    /// Its analytics page, under its name.
    pub link: Link,
    /// Requirements MET, of 110, and proposals that wait now.
    pub met: usize,
    pub waiting: usize,
    pub known: Known,
    /// Entries of its log that are not in it.
    pub behind: u64,
    /// What the client demands, whatever was learned; `None`: nobody knows, because its policy is not as it was approved.
    pub policy: Option<Arc<Policy>>,
    /// Whose accounts are whose.
    pub roster: Arc<Roster>,
}

/// What the caller knows of a rule.
pub struct About {
    /// What it is about, and where that has a page.
    pub link: Link,
    /// What other clients say together, where this client is shown that.
    pub together: Option<Pooled>,
    /// Proposes that it runs with less approval, where nothing is missing for that.
    pub accept: Option<PostForm>,
}

/// Rules on a page.
const RULES: usize = 30;

/// The page of these clients: of one, or of all that somebody sees. `about` says what a rule of the client with this
/// number is about.
pub fn page(frame: Frame, clients: &[Client], of_one: bool, about: impl Fn(usize, &Rule) -> About) -> AnalyticsPage {
    let now = frame.now;
    let items = || clients.iter().flat_map(|client| client.known.tally.items());
    let looked: Vec<&Looked> = clients.iter().flat_map(|client| client.known.tally.looked()).collect();
    let figures = Figures::of(items(), looked, now);
    let (met, waiting) = clients.iter().fold((0, 0), |(met, waiting), client| (met + client.met, waiting + client.waiting));
    let mut rules: Vec<(usize, &Rule, &Learned)> =
        clients.iter().enumerate().flat_map(|(n, client)| client.known.ledger.rules().iter().map(move |(rule, l)| (n, rule, l))).collect();
    rules.sort_by_key(|(n, rule, learned)| (!learned.watched, std::cmp::Reverse((learned.total.1, learned.total.0)), *n, *rule));
    let more_rules = rules.len().saturating_sub(RULES);
    rules.truncate(RULES);
    let row = |(n, rule, learned): (usize, &Rule, &Learned)| {
        let client = &clients[n];
        let About { link, together, accept } = about(n, rule);
        let elsewhere = together.map(|pooled| format!("{}, {} of {} about", pooled.often.words(), pooled.k, pooled.n));
        RuleRow { client: (!of_one).then(|| client.link.text.clone()), elsewhere, accept, ..rule_row(link, rule, learned, client) }
    };
    AnalyticsPage {
        client: clients.first().filter(|_| of_one).map(|client| client.link.text.clone()),
        pages: Vec::new(),
        window: WINDOW.whole_days(),
        behind: clients.iter().map(|client| client.behind).sum(),
        figures: cards(&figures, items(), (met, clients.len(), waiting), now),
        weeks: Chart {
            weeks: weeks(items(), now).into_iter().map(|week| (week.begins, [week.staged, week.decided, week.executed])).collect(),
        },
        clients: clients.iter().filter(|_| !of_one).map(|client| client_row(client, now)).collect(),
        unreadable: Vec::new(),
        reasons: reasons(&figures),
        levels: levels(&figures),
        left_out: Vec::new(),
        not_known: clients.iter().filter(|client| client.policy.is_none()).map(|client| client.link.text.clone()).collect(),
        leave_out: None,
        change_waits: None,
        sampled: None,
        errors: Vec::new(),
        rules: rules.into_iter().map(row).collect(),
        more_rules,
        sharing: None,
        definitions: DEFINITIONS.to_vec(),
        frame,
    }
}

/// Each figure's name and definition, in the order of the page; see [`super::figures`].
const DEFINITIONS: [(&str, &str); 9] = [
    (
        "Progress",
        "Requirements of which every objective is decided MET or not applicable, of 110 for each client; and proposals that wait for an approver now.",
    ),
    (
        "Throughput",
        "Proposals that were asked, decisions that people made, and actions that were carried out, a day. Days count from the first of them on, at most as far back as this page looks.",
    ),
    (
        "Error rate",
        "Of the actions that were carried out: those that were taken back since or could not be although somebody wanted it, or whose finding gave way to another answer. The world may have changed; it need not have been a mistake.",
    ),
    (
        "Error rate of what ran by itself",
        "Of what ran without anybody\u{2019}s approval, was drawn at random, and a person then looked at for at least five seconds: that of which they said that it does not hold.",
    ),
    (
        "Override frequency",
        "Of the proposals that Assay raised by rule, and that somebody decided after at least five seconds on the page: those that somebody rejected. What ran by itself is not counted as approved, and reviewers who are left out do not count.",
    ),
    (
        "Time to decision",
        "From the moment the page was shown, signed in, from which somebody decided, to the decision. Half of the decisions took at most the first time, nine of ten at most the second. Earlier looks at the same page leave no trace.",
    ),
    ("Expiry rate", "Of the proposals that were decided, or whose time was over before anybody did: the latter. Silence approves nothing."),
    ("Rubber-stamp index", "Of the decisions whose look is known: those made less than five seconds after the page was shown."),
    ("Agreement of reviewers", "Of the proposals that two or more people decided: those where all said the same."),
];

fn definition(name: &str) -> &'static str {
    DEFINITIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, definition)| definition)
}

fn cards<'i>(
    figures: &Figures,
    items: impl Iterator<Item = &'i Item>,
    (met, clients, waiting): (usize, usize, usize),
    now: OffsetDateTime,
) -> Vec<Figure> {
    let figure = |name: &'static str, value: Option<String>, more: String| Figure { name, value, more, definition: definition(name) };
    let share = |name, share: Share, nothing: &str| {
        let value = (share.n > 0).then(|| share_words(share));
        figure(name, value, interval_words(share).map_or_else(|| nothing.to_owned(), |between| format!("95 % sure: {between}")))
    };
    let days = items.map(|item| (now - item.staged_at).whole_days() + 1).max().map(|days| days.clamp(1, WINDOW.whole_days()));
    let a_day = |count: u64| days.map(|days| per_day(count, days)).unwrap_or_default();
    let waits = if waiting == 1 { "proposal waits" } else { "proposals wait" };
    vec![
        figure(
            "Progress",
            (clients > 0).then(|| format!("{met} of {}", clients * 110)),
            format!("requirements MET; {waiting} {waits} for an approver"),
        ),
        figure(
            "Throughput",
            days.map(|_| format!("{} a day", a_day(figures.decided))),
            match days {
                Some(days) => format!(
                    "decided; {} asked, {} carried out a day, over {days} day{}",
                    a_day(figures.staged),
                    a_day(figures.executed),
                    if days == 1 { "" } else { "s" }
                ),
                None => "nothing was asked yet".into(),
            },
        ),
        share("Error rate", figures.errors, "nothing was carried out yet"),
        share("Error rate of what ran by itself", figures.sampled, "nobody looked at any of it yet"),
        share("Override frequency", figures.overrides, "nobody decided anything by rule after a look yet"),
        figure(
            "Time to decision",
            figures.time_to_decision.map(|times| time_words(times.p50)),
            figures.time_to_decision.map_or_else(
                || "no decision with a known look yet".into(),
                |times| {
                    format!(
                        "half of {} decision{}; nine in ten within {}",
                        times.n,
                        if times.n == 1 { "" } else { "s" },
                        time_words(times.p90)
                    )
                },
            ),
        ),
        share("Expiry rate", figures.expired, "nothing ended yet"),
        share("Rubber-stamp index", figures.rubber_stamped, "no decision with a known look yet"),
        share("Agreement of reviewers", figures.agreed, "nothing was decided by two people yet"),
    ]
}

fn client_row(client: &Client, now: OffsetDateTime) -> ClientFigures {
    let figures = Figures::of(client.known.tally.items(), client.known.tally.looked(), now);
    let share = |share: Share| if share.n == 0 { "none yet".into() } else { share_words(share) };
    ClientFigures {
        link: client.link.clone(),
        met: client.met,
        waiting: client.waiting,
        staged: figures.staged,
        decided: figures.decided,
        executed: figures.executed,
        errors: share(figures.errors),
        overrides: share(figures.overrides),
        times: figures
            .time_to_decision
            .map_or_else(|| "none yet".into(), |Times { p50, p90, .. }| format!("{} / {}", time_words(p50), time_words(p90))),
        expired: share(figures.expired),
    }
}

fn rule_row(rule_link: Link, rule: &Rule, learned: &Learned, client: &Client) -> RuleRow {
    let share = Share { k: learned.k, n: learned.n };
    let level = client.policy.as_ref().map(|policy| policy.terms(rule.kind()).level().max(learned.level));
    let gate = level.map_or_else(|| Tag::new(Tone::Unknown, "Not known"), |level| Tag::new(tone(level), level.word()));
    let promotion = client.known.ledger.promotion(rule, &keep::config(), |account| client.roster.human(account));
    RuleRow {
        rule: rule_link,
        client: None,
        gate: if learned.watched { Tag::new(Tone::Not, "Look at this rule") } else { gate },
        overrides: if share.n == 0 { "none yet".into() } else { share_words(share) },
        interval: interval_words(share).unwrap_or_else(|| "unknown".into()),
        elsewhere: None,
        accept: None,
        missing: match promotion {
            Some(Err(missing)) => missing.into_iter().map(Missing::words).collect(),
            Some(Ok(level)) => vec![format!("one person proposes {}, another approves it", level.word())],
            None => Vec::new(),
        },
    }
}

fn tone(level: Level) -> Tone {
    if level >= Level::L2 { Tone::Wait } else { Tone::Unknown }
}

/// For each level at which anything was decided, or can be.
fn levels(figures: &Figures) -> Vec<LevelShare> {
    let share = |level: Level| figures.overrides_by_level.get(&level).copied().unwrap_or_default();
    let row = |level: Level| LevelShare {
        level: LevelMark { word: level.word().into(), meaning: level.meaning().into() },
        overrides: if share(level).n == 0 { "none yet".into() } else { share_words(share(level)) },
        interval: interval_words(share(level)).unwrap_or_else(|| "unknown".into()),
    };
    [Level::L0, Level::L1, Level::L2].map(row).into()
}

fn reasons(figures: &Figures) -> Vec<(String, u64)> {
    let words = Because::ALL.map(Because::words).into_iter().chain(["No reason was given"]);
    words.zip(figures.reasons).filter(|(_, count)| *count > 0).map(|(words, count)| (words.to_owned(), count)).collect()
}

fn share_words(share: Share) -> String {
    format!("{} of {}", share.k, share.n)
}

/// `1.5 to 19.9 %`
fn interval_words(share: Share) -> Option<String> {
    share.interval().map(|(low, high)| format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high))
}

/// With one decimal, and never a zero that is none.
fn per_day(count: u64, days: i64) -> String {
    let days = days.unsigned_abs().max(1);
    let tenths = (count * 20 + days) / (days * 2);
    match (count, tenths) {
        (0, _) => "0".into(),
        (_, 0) => "under 0.1".into(),
        (_, tenths) if tenths % 10 == 0 => (tenths / 10).to_string(),
        (_, tenths) => format!("{}.{}", tenths / 10, tenths % 10),
    }
}

/// `40 s`, `12 min`, `3 h 10 min`, `2 days`.
fn time_words(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match hours {
        0 if seconds < 1 => "under 1 s".into(),
        0 if minutes == 0 => format!("{seconds} s"),
        0 => format!("{minutes} min"),
        1..48 if minutes % 60 == 0 => format!("{hours} h"),
        1..48 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them_and_nothing_becomes_a_zero_that_is_none() {
        let times = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 11_400_000, 172_800_000];
        assert_eq!(times.map(time_words), ["under 1 s", "under 1 s", "1 s", "59 s", "1 min", "59 min", "1 h", "3 h 10 min", "2 days"]);
        assert_eq!(
            [(0, 9), (1, 90), (4, 90), (45, 90), (90, 90), (96, 90)].map(|(n, days)| per_day(n, days)),
            ["0", "under 0.1", "under 0.1", "0.5", "1", "1.1"]
        );
        assert_eq!(interval_words(Share { k: 0, n: 0 }), None);
        assert_eq!(interval_words(Share { k: 1, n: 41 }).as_deref(), Some("0.1 to 12.9 %"));
    }

    #[test]
    fn every_figure_of_the_page_has_a_definition() {
        let cards = cards(&Figures::default(), std::iter::empty(), (0, 0, 0), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(cards.len(), DEFINITIONS.len());
        assert!(cards.iter().all(|card| !card.definition.is_empty() && card.value.is_none()), "{cards:?}");
    }
}
