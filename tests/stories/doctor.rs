//! `assay doctor` and health: what the installation depends on, and what somebody must mend.

use std::sync::atomic::Ordering;

use assay::{app::App, host::doctor, platform::ports::PortErrorKind};

use crate::support::{
    TestApp,
    cosmos::Emulator,
    flow::{Extent, Flow},
};

fn bad(findings: &[doctor::Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.outcome.is_err()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_installation_at_work_is_good_and_looking_changes_nothing() {
    let flow = Flow::new(Extent::Small).await;
    let before = flow.test.faults.count();
    let findings = doctor::examine(flow.test.app()).await;
    assert_eq!(bad(&findings), [""; 0]);
    assert!(findings.iter().any(|finding| finding.what.contains("clients")), "{findings:?}");
    assert!(flow.test.faults.count() > before, "it asks through the ports");
    assert_eq!(bad(&doctor::examine(flow.test.app()).await), [""; 0]);
}

#[tokio::test]
async fn what_is_missing_or_not_allowed_is_named_by_its_setting_with_what_to_do() {
    let test = TestApp::new();
    let empty = Emulator::empty();
    let app = App { documents: std::sync::Arc::new(empty.documents(test.ids.clone()).await), ..test.app().clone() };
    let findings = doctor::examine(&app).await;
    let bad = bad(&findings);
    assert_eq!(bad.len(), 3, "{bad:?}");
    for (line, container) in bad.iter().zip(["deployment", "clients", "audit"]) {
        assert!(line.contains(&format!("container {container}: not there")) && line.contains("make it"), "{line}");
    }
    assert!(findings.iter().filter_map(doctor::Finding::ailment).all(|ailment| !ailment.problem.contains("https://")));

    empty.tokens.refuses.store(true, Ordering::Relaxed);
    let app = App { documents: std::sync::Arc::new(empty.documents(test.ids.clone()).await), ..test.app().clone() };
    let findings = doctor::examine(&app).await;
    let kinds: Vec<_> = findings.iter().filter_map(|finding| finding.outcome.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [PortErrorKind::Denied; 3]);
}

#[tokio::test]
async fn what_passes_by_itself_is_no_ailment() {
    let test = TestApp::new();
    test.faults.stop_at(0, crate::support::faults::Fault::BeforeEffect);
    let findings = doctor::examine(test.app()).await;
    assert!(findings.iter().all(|finding| finding.outcome.is_err() && finding.ailment().is_none()), "{findings:?}");
}
