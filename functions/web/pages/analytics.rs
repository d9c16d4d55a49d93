//! Analytics: progress, throughput and how people decide, for one client or for all that the reader may see.
//!
//! Every number stands with how many it is of, what is unknown looks unknown, and what a figure counts is one step away.

use askama::Template;

use super::{FieldKind, Frame, LevelMark, Link, PostForm, RuleForm, Tag, UnreadableClient, day};

#[derive(Clone, Debug, Template)]
#[template(path = "analytics.html", config = "functions/web/pages/askama.toml")]
pub struct AnalyticsPage {
    pub frame: Frame,
    /// `None`: of all clients of this reader.
    pub client: Option<String>,
    /// The pages of this kind, and which of them this is.
    pub pages: Vec<(bool, Link)>,
    /// Days that the figures look back.
    pub window: i64,
    /// Entries of the log that are not counted yet.
    pub behind: u64,
    pub figures: Vec<Figure>,
    pub weeks: Chart,
    /// By client; only on the page of all.
    pub clients: Vec<ClientFigures>,
    pub unreadable: Vec<UnreadableClient>,
    /// Why people said no, and how often.
    pub reasons: Vec<(String, u64)>,
    /// How often people said no, by level.
    pub levels: Vec<LevelShare>,
    /// Whose decisions are left out.
    pub left_out: Vec<String>,
    /// Clients whose policy is not as it was approved.
    pub not_known: Vec<String>,
    /// Asks to leave somebody out, or to take them in again; only on the page of one client, for who may ask.
    pub leave_out: Option<RuleForm>,
    /// A change of the policy that waits, for who may ask for one.
    pub change_waits: Option<Link>,
    /// Where what ran by itself waits for a look; only on the page of one client.
    pub sampled: Option<Link>,
    /// What is wrong with a form that came back: its field, and a sentence.
    pub errors: Vec<(&'static str, String)>,
    pub rules: Vec<RuleRow>,
    /// Rules that are not listed.
    pub more_rules: usize,
    /// Only on the page of one client.
    pub sharing: Option<SharingView>,
    /// What each figure counts.
    pub definitions: Vec<(&'static str, &'static str)>,
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: &'static str,
    /// `3 of 41`; `None` while there is nothing to count.
    pub value: Option<String>,
    /// `95 % sure: 1.5 to 19.9 %`, or why it is unknown.
    pub more: String,
    pub definition: &'static str,
}

/// One client in the table.
#[derive(Clone, Debug)]
pub struct ClientFigures {
    pub link: Link,
    /// Requirements MET, of 110.
    pub met: usize,
    pub waiting: usize,
    pub staged: u64,
    pub decided: u64,
    pub executed: u64,
    /// `3 of 41`, or `none yet`.
    pub errors: String,
    pub overrides: String,
    /// `2 min / 3 h`, or `none yet`.
    pub times: String,
    pub expired: String,
}

/// Overrides at one level.
#[derive(Clone, Debug)]
pub struct LevelShare {
    pub level: LevelMark,
    /// `2 of 41`, or `none yet`
    pub overrides: String,
    /// `0.6 to 16.5 %`, or `unknown`
    pub interval: String,
}

/// How one rule does, and where it is gated.
#[derive(Clone, Debug)]
pub struct RuleRow {
    pub rule: Link,
    /// The client, on the page of all.
    pub client: Option<String>,
    pub gate: Tag,
    /// `2 of 41`, or `none yet`
    pub overrides: String,
    /// `0.6 to 16.5 %`, or `unknown`
    pub interval: String,
    /// What clients that take part say of it together; `None` when that would tell too much.
    pub elsewhere: Option<String>,
    /// Proposes a less strict gate, where nothing is missing for it.
    pub accept: Option<PostForm>,
    /// What a less strict gate would take, one phrase each.
    pub missing: Vec<String>,
}

/// Whether a client's counts are added to those of others.
#[derive(Clone, Debug)]
pub struct SharingView {
    pub takes_part: bool,
    /// Only for the owner.
    pub form: Option<PostForm>,
}

/// Bars by week: asked, decided, carried out.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// First day and counts, oldest first.
    pub weeks: Vec<(time::Date, [u64; 3])>,
}

/// The drawing's height, and the room of one week.
const HEIGHT: u64 = 120;
const WEEK: usize = 48;
const BAR: usize = 12;

/// A bar as it is drawn.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
}

impl Chart {
    pub(super) fn most(&self) -> u64 {
        self.weeks.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0)
    }

    pub(super) fn width(&self) -> usize {
        self.weeks.len() * WEEK
    }

    pub(super) fn total(&self) -> [u64; 3] {
        self.weeks.iter().fold([0; 3], |[a, b, c], (_, [d, e, f])| [a + d, b + e, c + f])
    }

    /// A week's first day.
    #[expect(clippy::unused_self, clippy::trivially_copy_pass_by_ref, reason = "the form templates can call")]
    pub(super) fn day(&self, date: &time::Date) -> String {
        day(*date)
    }

    /// From zero to the highest count; a count of nothing has no bar.
    pub(super) fn bars(&self) -> Vec<Bar> {
        let most = self.most().max(1);
        let of_week = |(week, (_, counts)): (usize, &(time::Date, [u64; 3]))| {
            let bar = move |(n, count): (usize, &u64)| {
                // One pixel is the least that is seen.
                let height = (count * HEIGHT / most).max(u64::from(*count > 0));
                Bar { class: ["asked", "decided", "done"][n], x: week * WEEK + 4 + n * (BAR + 1), y: HEIGHT - height, height }
            };
            counts.iter().enumerate().map(bar).filter(|bar| bar.height > 0).collect::<Vec<_>>()
        };
        self.weeks.iter().enumerate().flat_map(of_week).collect()
    }
}

impl AnalyticsPage {
    /// The reader has a grant for no client.
    fn is_of_nobody(&self) -> bool {
        self.client.is_none() && self.clients.is_empty() && self.unreadable.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.weeks.most() == 0 && self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn bars_begin_at_zero_and_the_highest_fills_the_drawing() {
        let chart = Chart { weeks: vec![(date!(2026 - 11 - 12), [0, 1, 60]), (date!(2026 - 11 - 19), [120, 0, 0])] };
        let drawn: Vec<_> = chart.bars().iter().map(|bar| (bar.class, bar.x, bar.y, bar.height)).collect();
        assert_eq!(drawn, [("decided", 17, 119, 1), ("done", 30, 60, 60), ("asked", 52, 0, 120)]);
        assert_eq!((chart.most(), chart.width(), chart.total()), (120, 96, [120, 1, 60]));
        assert!(Chart { weeks: vec![(date!(2026 - 11 - 12), [0; 3])] }.bars().is_empty());
    }
}
