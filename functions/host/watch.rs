//! Looks at what Assay depends on, again and again, and tells health what somebody must mend.
//!
//! What does not answer may be back at the next look, so it is listed when it was away twice. The log hears of a finding
//! when it changes, not each time it is met.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::watch::Sender, time::timeout};

use super::start::Life;
use crate::{
    app::App,
    config::ConfigError,
    platform::ports::PortErrorKind,
    triggers::health::doctor::{self, Finding},
    web::problem::chain,
};

/// Between two looks when all was well, and when it was not.
const WELL: Duration = Duration::from_mins(5);
const NOT_WELL: Duration = Duration::from_mins(1);

/// Until nobody listens any more.
pub(super) async fn over(life: &Sender<Life>, app: &Arc<App>) {
    let mut watch = Watch::default();
    while !life.is_closed() {
        let look = doctor::look(app, false).await;
        for finding in watch.changed(&look.findings) {
            match &finding.outcome {
                Ok(()) => tracing::info!(finding = %finding, "a dependency is as it should be again"),
                Err(error) => tracing::error!(finding = %finding, cause = chain(error), "a dependency is not as it should be"),
            }
        }
        let (ailments, pause) = watch.heed(&look.findings);
        life.send_replace(Life::Ready(app.clone(), ailments.map(Arc::new)));
        let _ = timeout(pause, life.closed()).await;
    }
}

/// What was not well at the look before.
#[derive(Default)]
struct Watch(HashMap<String, (PortErrorKind, &'static str)>);

impl Watch {
    /// What the log has not heard yet.
    fn changed<'a>(&self, findings: &'a [Finding]) -> Vec<&'a Finding> {
        let word = |kind: PortErrorKind| kind.to_string();
        let is_new = |finding: &&Finding| match (&finding.outcome, self.0.get(&finding.what)) {
            (Ok(()), before) => before.is_some(),
            (Err(_), None) => true,
            (Err(error), Some((kind, advice))) => word(error.kind) != word(*kind) || error.advice() != *advice,
        };
        findings.iter().filter(is_new).collect()
    }

    /// What health lists, and when to look again. `None`: all that is wrong did not answer this once.
    fn heed(&mut self, findings: &[Finding]) -> (Option<Vec<ConfigError>>, Duration) {
        let away = |finding: &Finding| finding.outcome.as_ref().is_err_and(|error| error.kind == PortErrorKind::Unavailable);
        let lasts =
            |finding: &Finding| away(finding) && self.0.get(&finding.what).is_some_and(|(kind, _)| *kind == PortErrorKind::Unavailable);
        let ailments: Vec<_> = findings.iter().filter_map(|finding| finding.ailment(lasts(finding))).collect();
        // A client's key may be away or disabled for good: that is its client's matter.
        let ours = || findings.iter().filter(|finding| finding.setting.is_some());
        let known = !ailments.is_empty() || !ours().any(away);
        let pause = if ours().all(|finding| finding.outcome.is_ok()) { WELL } else { NOT_WELL };
        let bad = findings.iter().filter_map(|finding| {
            let error = finding.outcome.as_ref().err()?;
            Some((finding.what.clone(), (error.kind, error.advice())))
        });
        self.0 = bad.collect();
        (known.then_some(ailments), pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::ports::PortError;

    fn finding(what: &str, setting: Option<&'static str>, kind: Option<PortErrorKind>) -> Finding {
        let outcome = kind.map_or(Ok(()), |kind| Err(PortError::new(what, kind)));
        Finding { what: what.into(), setting, outcome, untried: None, took: Duration::ZERO }
    }

    fn queue(kind: Option<PortErrorKind>) -> [Finding; 1] {
        [finding("queue intake", Some("ASSAY_QUEUE_URL"), kind)]
    }

    /// What health says, in one word.
    fn word(watch: &mut Watch, findings: &[Finding]) -> &'static str {
        match watch.heed(findings).0 {
            None => "looking",
            Some(ailments) if ailments.is_empty() => "ok",
            Some(_) => "limited",
        }
    }

    #[test]
    fn what_does_not_answer_twice_is_listed_until_it_answers_and_the_rest_at_once() {
        let mut watch = Watch::default();
        let away = queue(Some(PortErrorKind::Unavailable));
        let words = [&away, &away, &away, &queue(None), &away, &queue(Some(PortErrorKind::Missing)), &queue(None)];
        let words = words.map(|findings| word(&mut watch, findings));
        assert_eq!(words, ["looking", "limited", "limited", "ok", "looking", "limited", "ok"]);
        let busy = queue(Some(PortErrorKind::Throttled { retry_after: None }));
        assert_eq!([word(&mut watch, &busy), word(&mut watch, &busy)], ["ok", "ok"]);
    }

    #[test]
    fn one_clients_key_is_no_ailment_and_no_reason_to_hurry() {
        let mut watch = Watch::default();
        for kind in [PortErrorKind::Denied, PortErrorKind::Missing, PortErrorKind::Unavailable, PortErrorKind::Unavailable] {
            let [queue] = queue(None);
            let findings = [queue, finding("the key of client 1", None, Some(kind))];
            assert_eq!(
                watch.changed(&findings).len(),
                usize::from(kind != PortErrorKind::Unavailable || watch.0["the key of client 1"].0 != kind)
            );
            assert_eq!(watch.heed(&findings), (Some(Vec::new()), WELL), "{kind}");
        }
    }

    #[test]
    fn the_log_hears_of_a_change_only() {
        let mut watch = Watch::default();
        let looks = [None, Some(PortErrorKind::Denied), Some(PortErrorKind::Denied), Some(PortErrorKind::Missing), None, None];
        let heard = looks.map(|kind| {
            let findings = queue(kind);
            let heard = watch.changed(&findings).len();
            let pause = watch.heed(&findings).1;
            assert_eq!(pause, if kind.is_some() { NOT_WELL } else { WELL });
            heard
        });
        assert_eq!(heard, [0, 1, 0, 1, 1, 0]);
    }
}
