//! The lines people read: ours, the reference, the ratio, the bar, and whether it holds.

use std::sync::atomic::{AtomicUsize, Ordering};

static MISSES: AtomicUsize = AtomicUsize::new(0);

/// Bars that were missed so far.
pub fn misses() -> usize {
    MISSES.load(Ordering::Relaxed)
}

/// Measurements of one thing, all in one unit.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add(&mut self, sample: f64) {
        let at = self.0.partition_point(|held| *held < sample);
        self.0.insert(at, sample);
    }

    pub fn median(&self) -> f64 {
        self.part(0.5)
    }

    /// The sample below which this part of all lies (nearest rank).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index between 0 and the number of samples")]
    fn part(&self, part: f64) -> f64 {
        let at = (part * self.0.len() as f64).ceil() as usize;
        self.0.get(at.max(1) - 1).copied().unwrap_or(f64::NAN)
    }
}

/// What must hold.
pub enum Bar {
    /// Of the ratio to the reference.
    RatioAtMost(f64),
    RatioAtLeast(f64),
    RatioAbove(f64),
    /// Of our own number.
    AtMost(f64),
    /// Worth knowing only.
    None,
}

pub fn head() {
    println!("{:<52} {:>30} {:>16} {:>7}  {:<14}", "", "ours: median (p10 .. p90)", "reference", "ratio", "bar");
}

pub fn line(what: &str, unit: &str, ours: &Samples, reference: Option<&Samples>, bar: &Bar) {
    let ratio = reference.map_or(f64::NAN, |reference| ours.median() / reference.median());
    let (words, holds) = match *bar {
        Bar::RatioAtMost(most) => (format!("ratio <= {most}"), ratio <= most),
        Bar::RatioAtLeast(least) => (format!("ratio >= {least}"), ratio >= least),
        Bar::RatioAbove(bound) => (format!("ratio > {bound}"), ratio > bound),
        Bar::AtMost(most) => (format!("<= {most} {unit}"), ours.median() <= most),
        Bar::None => (String::new(), true),
    };
    let own = format!("{:.2} ({:.2} .. {:.2}) {unit}", ours.median(), ours.part(0.1), ours.part(0.9));
    let other = reference.map_or(String::new(), |reference| format!("{:.2} {unit}", reference.median()));
    let ratio = reference.map_or(String::new(), |_| format!("{ratio:.2}"));
    let verdict = match (bar, holds) {
        (Bar::None, _) => "",
        (_, true) => "holds",
        (_, false) => "MISSES",
    };
    MISSES.fetch_add(usize::from(!holds), Ordering::Relaxed);
    println!("{what:<52} {own:>30} {other:>16} {ratio:>7}  {words:<14} {verdict}");
}
