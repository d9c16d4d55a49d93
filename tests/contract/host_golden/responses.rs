//! `resp-*`: what the host makes of an answer, put to the stand-in host's evaluation; and our own answer beside it.

use assay::host::envelope;
use serde_json::Value;

use crate::host_local::answers;

pub(super) fn check(case: &Value) {
    let name = case["case"].as_str().unwrap();
    answers::check(name, case);
    if name == "resp-queue-success-minimal" {
        let (ours, theirs) = (envelope::success(), &case["response"]);
        assert_eq!(serde_json::from_slice::<Value>(&ours.body).unwrap(), theirs["body"]);
        assert_eq!(theirs["status"], ours.status);
        assert_eq!(theirs["headers"]["Content-Type"].as_str(), ours.header("content-type"));
    }
}
