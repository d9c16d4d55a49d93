//! The golden cases of the custom-handler protocol, one test per file: `cargo test host_golden`.
//!
//! `req-*`: what the host sends, posted to our handler. `resp-*`: what an answer does, put to the stand-in host.
//! The folder is `ASSAY_HOST_CASES` (default `../shared/functions-host`); further files of the same form run too.

mod requests;
mod responses;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use crate::support::shared::dir;

macro_rules! golden {
    ($($test:ident)*) => {
        $(#[test]
        fn $test() {
            if let Some(folder) = folder() {
                check(&folder.join(file_name(stringify!($test))));
            }
        })*

        const NAMED: &[&str] = &[$(stringify!($test)),*];
    };
}

golden! {
    req_cosmosdb
    req_eventgrid
    req_http_forwarded
    req_http_method_not_listed
    req_http_nonforwarded_chunked_body_lost
    req_http_nonforwarded_get
    req_http_nonforwarded_octet_stream
    req_http_nonforwarded_post_json
    req_http_proxied
    req_http_proxied_path_rewrites
    req_queue_datatype_binary
    req_queue_json
    req_queue_json_key_collision
    req_queue_string
    req_queue_text_that_is_base64
    req_readiness_ping
    req_timer
    req_timer_first_run_past_due
    req_timer_no_monitor
    req_timer_retry
    req_timer_run_on_startup
    resp_empty_body_hangs
    resp_failure_500
    resp_forwarded_500_counts_as_success
    resp_http_bad_res_shape
    resp_http_json_body_as_text
    resp_http_missing_res
    resp_http_multivalue_header
    resp_http_object_body
    resp_logs_wrong_type
    resp_no_content_type
    resp_queue_output_accidental_base64
    resp_queue_output_array_splits
    resp_queue_output_base64_exact
    resp_queue_output_json_text_rewritten
    resp_queue_success_minimal
    resp_return_value_queue
    resp_unknown_output_ignored
}

#[test]
fn every_further_file_of_the_folder_passes_too() {
    let Some(folder) = folder() else { return };
    let named: BTreeSet<String> = NAMED.iter().map(|test| file_name(test)).collect();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "json") && !named.contains(&name) {
            check(&path);
        }
    }
}

fn file_name(test: &str) -> String {
    format!("{}.json", test.replace('_', "-"))
}

fn check(path: &PathBuf) {
    // A folder named by ASSAY_HOST_CASES may hold other cases than ours.
    let Ok(text) = fs::read(path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    let case: Value = serde_json::from_slice(&text).unwrap();
    match case["kind"].as_str() {
        Some("host-to-handler") => requests::check(&case),
        Some("handler-to-host") => responses::check(&case),
        kind => panic!("{}: unknown kind {kind:?}", path.display()),
    }
}

fn folder() -> Option<PathBuf> {
    dir("ASSAY_HOST_CASES", "functions-host")
}
