//! The golden cases of the handler's answers, through the host's evaluation. A folder of more cases of the same form
//! runs without a change here: `ASSAY_HOST_CASES`.

use assay::host::local::{
    appfolder::{Output, OutputKind},
    evaluate::{Answer, Effects, Verdict, evaluate},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::support::golden;

fn answer_of(case: &Value) -> Answer {
    let response = &case["response"];
    let body = match (&response["body"], response["body_text"].as_str()) {
        (_, Some(text)) => Bytes::copy_from_slice(text.as_bytes()),
        (Value::Null, None) => Bytes::new(),
        (body, None) => body.to_string().into(),
    };
    Answer {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        content_type: response["headers"]["Content-Type"].as_str().map(str::to_owned),
        body,
    }
}

fn outputs_of(case: &Value) -> Vec<Output> {
    let bindings = case["function_json"]["bindings"].as_array().unwrap();
    let output = |b: &Value| {
        let kind = match b["type"].as_str().unwrap() {
            "http" => OutputKind::Http,
            "queue" => OutputKind::Queue(b["queueName"].as_str().unwrap().into()),
            other => panic!("{other}"),
        };
        Output { name: b["name"].as_str().unwrap().into(), kind }
    };
    bindings.iter().filter(|b| b["direction"] == "out").map(output).collect()
}

/// Every promise of `host_effect` that an evaluation can keep; what a pump or a proxy keeps has its own tests.
pub(crate) fn check(name: &str, case: &Value) {
    let expected = &case["host_effect"];
    if case["response"]["mode"].is_string() {
        return; // forwarded and proxied answers are not evaluated at all: `proxy` tests
    }
    let verdict = evaluate(&answer_of(case), &outputs_of(case));
    let invocation = expected["invocation"].as_str().unwrap_or("succeeded");
    let effects = match (&verdict, invocation) {
        (Verdict::NeverCompletes, text) => return assert!(text.starts_with("never completed"), "{name}: {text}"),
        (Verdict::Failed(failure), "failed") => {
            if let Some(error) = expected["error"].as_str() {
                assert_eq!(failure.to_string(), error, "{name}");
            }
            return;
        }
        (Verdict::Succeeded(effects), "succeeded") => effects,
        _ => panic!("{name}: {verdict:?} but {invocation}"),
    };
    check_messages(name, &expected["queue_messages"], effects);
    if let Some(lines) = expected["logs"].as_array() {
        let lines: Vec<&str> = lines.iter().map(|l| l["text"].as_str().unwrap()).collect();
        assert_eq!(effects.logs, lines, "{name}");
    }
    check_client(name, &expected["client"], effects);
}

fn check_messages(name: &str, expected: &Value, effects: &Effects) {
    match expected {
        Value::Null => {}
        Value::Number(count) => assert_eq!(effects.messages.len() as u64, count.as_u64().unwrap(), "{name}"),
        list => {
            let list = list.as_array().unwrap();
            assert_eq!(effects.messages.len(), list.len(), "{name}");
            for ((_, body), message) in effects.messages.iter().zip(list) {
                if let Some(text) = message["text_exact"].as_str() {
                    assert_eq!(body, text, "{name}");
                }
                if let Some(text) = message["not_equal_to"].as_str() {
                    assert_ne!(body, text, "{name}");
                    assert!(std::str::from_utf8(body).unwrap().contains("\n  "), "{name}: indented");
                }
                if let Some(hex) = message["bytes_hex"].as_str() {
                    assert_eq!(assay::tenancy::seal::hex(body), hex, "{name}");
                }
            }
        }
    }
}

fn check_client(name: &str, expected: &Value, effects: &Effects) {
    if expected.is_null() {
        return;
    }
    let http = effects.http.as_ref().unwrap();
    assert_eq!(u64::from(http.status), expected["status"].as_u64().unwrap(), "{name}");
    if let Some(text) = expected["body_text"].as_str() {
        assert_eq!(http.body, text, "{name}");
    }
    let header = |name: &str| http.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    for (header_name, value) in expected["headers"].as_object().into_iter().flatten() {
        assert_eq!(header(header_name), value.as_str(), "{name}: {header_name}");
    }
    if expected["content_type"].as_str().is_some_and(|text| text.starts_with("text/plain")) {
        assert_eq!(header("content-type"), Some("text/plain; charset=utf-8"), "{name}");
    }
    if expected["body"].as_str().is_some_and(|text| text.starts_with("indented JSON")) {
        let text = std::str::from_utf8(&http.body).unwrap();
        assert!(text.contains("\n  ") && text.contains("2026-03-02T09:15:00Z"), "{name}: {text}");
    }
}

#[test]
fn host_golden_resp_every_case_has_the_effect_it_says() {
    for (name, case) in golden("resp-") {
        check(&name, &case);
    }
}

#[test]
fn host_golden_resp_an_empty_answer_a_204_and_null_never_complete() {
    let json = Some("application/json".to_owned());
    for (status, body) in [(200, ""), (204, ""), (200, "null")] {
        let answer = Answer { status, content_type: json.clone(), body: body.into() };
        assert_eq!(evaluate(&answer, &[]), Verdict::NeverCompletes, "{status} {body}");
    }
    for (status, body) in [(500, ""), (200, "[]"), (200, "\"{}\""), (200, "{"), (302, "{}")] {
        let answer = Answer { status, content_type: json.clone(), body: body.into() };
        assert!(matches!(evaluate(&answer, &[]), Verdict::Failed(_)), "{status} {body}");
    }
    let text = Answer { status: 200, content_type: Some("text/plain".into()), body: "{}".into() };
    assert!(matches!(evaluate(&text, &[]), Verdict::Failed(_)), "a JSON body under text/plain");
}

#[test]
fn host_golden_resp_members_are_found_without_regard_to_case_and_status_is_not_a_status_code() {
    let outputs = [Output { name: "res".into(), kind: OutputKind::Http }];
    let answer = |body: Value| Answer { status: 200, content_type: Some("text/json; charset=utf-8".into()), body: body.to_string().into() };
    let Verdict::Succeeded(effects) = evaluate(&answer(json!({ "outputs": { "Res": { "status": 404, "body": "x" } } })), &outputs) else {
        panic!("succeeds")
    };
    assert_eq!(effects.http.unwrap().status, 200);
    let Verdict::Succeeded(effects) = evaluate(&answer(json!({})), &outputs) else { panic!("succeeds") };
    assert_eq!(effects.http.unwrap().status, 204);
}
