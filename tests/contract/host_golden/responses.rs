//! `resp-*`: what the stand-in host makes of an answer.

use assay::host::envelope;
use serde_json::Value;

/// The stand-in host's evaluation is compared here once it is there; until then, only that our own answer is none of
/// the traps.
pub(super) fn check(case: &Value) {
    let ours = envelope::success();
    let theirs = &case["response"];
    let invocation = case["host_effect"]["invocation"].as_str().unwrap_or_default();
    if case["case"] == "resp-queue-success-minimal" {
        assert_eq!(serde_json::from_slice::<Value>(&ours.body).unwrap(), theirs["body"]);
        assert_eq!(theirs["status"], ours.status);
        assert_eq!(theirs["headers"]["Content-Type"].as_str(), ours.header("content-type"));
    } else {
        println!("{}: the stand-in host's side is not plugged in ({invocation})", case["case"]);
    }
}
