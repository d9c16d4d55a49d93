//! Every pull case of every vendor that is built: the calls as the vendor documents them, in order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use assay::{
    connectors::{Credentials, Vendor, autotask::pull as at, call::CallError, connection, connectwise_manage::pull as cw},
    platform::ports::{HttpRequest, HttpResponse},
};
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::{
    webhook_cases::{cases, name},
    world::{World, autotask, connectwise},
};
use crate::support::{http::response, shared};

#[tokio::test]
async fn every_pull_case_reads_what_the_vendor_serves() {
    let Some(folder) = shared::dir("ASSAY_CASES", "connectors") else { return };
    let mut wrong = Vec::new();
    for (vendor, case) in &cases(&folder, &["pull"]) {
        let problems = match vendor {
            Vendor::ConnectwiseManage => connectwise_case(case).await,
            Vendor::Autotask => autotask_case(case).await,
        };
        println!("{} {}", if problems.is_empty() { "ok  " } else { "FAIL" }, name(case));
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", name(case))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The vendor's side of a case: serves its exchanges in order and notes what differs.
struct Vendors {
    exchanges: Vec<Value>,
    served: usize,
    wrong: Vec<String>,
}

impl Vendors {
    fn serve(world: &World, case: &Value, around: BTreeMap<&'static str, &'static str>) -> Arc<Mutex<Self>> {
        let exchanges = case["exchanges"].as_array().unwrap().clone();
        let vendor = Arc::new(Mutex::new(Self { exchanges, served: 0, wrong: Vec::new() }));
        let answering = vendor.clone();
        world.test.http.answer_with(move |request| {
            let mut vendor = answering.lock().unwrap();
            let expected = vendor.exchanges.get(vendor.served).cloned();
            if expected.as_ref().is_none_or(|expected| !is_same_address(request, &expected["request"]))
                && let Some(body) = around.iter().find(|(part, _)| request.url.as_str().contains(*part)).map(|(_, body)| *body)
            {
                return Some(Ok(response(200, &[], body)));
            }
            Some(Ok(vendor.answer(request, expected)))
        });
        vendor
    }

    fn answer(&mut self, request: &HttpRequest, expected: Option<Value>) -> HttpResponse {
        let Some(expected) = expected else {
            self.wrong.push(format!("one call too many: {}", request.url));
            return response(400, &[], "");
        };
        self.served += 1;
        let wanted = &expected["request"];
        if !is_same_address(request, wanted) {
            self.wrong.push(format!("called {} and not {}", request.url, wanted["url"]));
        }
        for (header, value) in wanted["headers"].as_object().into_iter().flatten() {
            if !request.headers.iter().any(|(name, sent)| name.eq_ignore_ascii_case(header) && Some(sent.as_str()) == value.as_str()) {
                self.wrong.push(format!("header {header} is not {value}"));
            }
        }
        if !wanted["body"].is_null() && serde_json::from_slice::<Value>(&request.body).unwrap_or_default() != wanted["body"] {
            self.wrong.push(format!("the body is not {}", wanted["body"]));
        }
        let answer = &expected["response"];
        let headers: Vec<(&str, &str)> =
            answer["headers"].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let body = answer["body"].as_str().map_or_else(|| answer["body"].to_string(), str::to_owned);
        response(u16::try_from(answer["status"].as_u64().unwrap()).unwrap(), &headers, body)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.wrong.clone();
        if self.served != self.exchanges.len() {
            problems.push(format!("{} of {} exchanges were made", self.served, self.exchanges.len()));
        }
        problems
    }
}

/// Method and address, whatever the order of the query.
fn is_same_address(request: &HttpRequest, wanted: &Value) -> bool {
    let url = Url::parse(wanted["url"].as_str().unwrap()).unwrap();
    let pairs = |url: &Url| {
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        pairs.sort();
        pairs
    };
    let method = format!("{:?}", request.method).to_uppercase();
    Some(method.as_str()) == wanted["method"].as_str()
        && request.url.origin() == url.origin()
        && request.url.path() == url.path()
        && pairs(&request.url) == pairs(&url)
}

fn compare_records(case: &Value, records: usize, problems: &mut Vec<String>) {
    if let Some(expected) = case["expect"]["records"].as_u64()
        && u64::try_from(records).unwrap() != expected
    {
        problems.push(format!("{records} records, expected {expected}"));
    }
}

fn is_configurations(case: &Value) -> bool {
    name(case).split('/').next_back().is_some_and(|name| name.starts_with("pull_configuration"))
}

/// A case says nothing of types: here every one is a device.
async fn world_of(credentials: Credentials) -> World {
    let mut world = World::unmapped(credentials).await;
    world.connection.settings.other_configurations = Some("rmm_device_inventory".into());
    connection::change(&world.deployment().await, world.connection.clone()).await.unwrap();
    world
}

/// The whole run: as the button starts it, through the queue, to evidence and population.
async fn run(world: &World, case: &Value, items: impl Fn(&Value) -> &Value) -> Vec<String> {
    let store = world.deployment().await;
    assay::connectors::pull::request_pull(&store, world.connection.id).await.unwrap();
    world.pump_through().await;
    let evidence = world.evidence(0).await;
    let pages = case["exchanges"].as_array().unwrap().iter().filter_map(|exchange| items(&exchange["response"]["body"]).as_array());
    let served: Vec<&Value> = pages.flatten().collect();
    let total = served.len();
    let in_use = served.iter().filter(|row| row["activeFlag"] != false && row["isActive"] != false).count();
    let rows = evidence.iter().filter(|evidence| !evidence.source_key.contains(":population:")).count();
    let mut problems = Vec::new();
    if rows != total {
        problems.push(format!("{rows} evidence records of {total} rows"));
    }
    let population = evidence.iter().find(|evidence| evidence.source_key.ends_with(":population:rmm_device_inventory"));
    let words = population.map(|population| population.population.words());
    if words.as_deref() != Some(&format!("{in_use} of {in_use}")) {
        problems.push(format!("population {words:?} of {in_use} rows in use"));
    }
    compare_records(case, rows, &mut problems);
    problems
}

async fn connectwise_case(case: &Value) -> Vec<String> {
    let world = world_of(connectwise()).await;
    let codebase = BTreeMap::from([("/login/companyinfo/", r#"{"Codebase":"v2026_1/"}"#)]);
    let first = Url::parse(case["exchanges"][0]["request"]["url"].as_str().unwrap()).unwrap();
    let mut problems = Vec::new();
    if is_configurations(case) {
        let conditions = first.query_pairs().find(|(name, _)| name == "conditions").map(|(_, value)| value.into_owned());
        world.map(conditions.as_deref().and_then(|text| text.strip_prefix("company/id=")).unwrap(), 0).await;
        let vendor = Vendors::serve(&world, case, codebase);
        problems.extend(run(&world, case, |body| body).await);
        problems.extend(vendor.lock().unwrap().problems());
        return problems;
    }
    if first.path().starts_with("/login/companyinfo/") {
        let vendor = Vendors::serve(&world, case, BTreeMap::new());
        for exchange in case["exchanges"].as_array().unwrap() {
            let url = Url::parse(exchange["request"]["url"].as_str().unwrap()).unwrap();
            let mut connection = world.connection.clone();
            if let Credentials::ConnectwiseManage { company, .. } = &mut connection.credentials {
                url.path_segments().unwrap().next_back().unwrap().clone_into(company);
            }
            world.app().cache.forget(&format!("connectwise-codebase/{}", connection.id));
            let base = cw::base(world.app(), &connection).await;
            if exchange["response"]["body"].is_null() {
                if !matches!(base, Err(CallError::Refused(_))) {
                    problems.push(format!("an unknown company gave {base:?}"));
                }
            } else if let Some(expected) = case["expect"]["base"].as_str()
                && base.as_deref() != Ok(expected)
            {
                problems.push(format!("base {base:?}, expected {expected}"));
            }
        }
        problems.extend(vendor.lock().unwrap().problems());
        return problems;
    }
    let vendor = Vendors::serve(&world, case, codebase);
    let path = first.path().split_once("/apis/3.0/").unwrap().1.to_owned();
    let (mut query, mut records, mut waited) = (first.query().unwrap_or_default().to_owned(), 0, 0);
    loop {
        match cw::page(world.app(), &world.connection, &path, &query).await {
            Ok(page) => {
                records += page.rows.len();
                match page.next {
                    Some(next) => query = next,
                    None => break,
                }
            }
            Err(CallError::ComeBack { after, .. }) if vendor.lock().unwrap().problems().len() == 1 => waited += after.as_secs(),
            Err(error) => {
                problems.push(error.to_string());
                break;
            }
        }
    }
    if let Some(least) = case["expect"]["min_wait_s"].as_u64()
        && waited < least
    {
        problems.push(format!("waited {waited} s, expected {least} s at least"));
    }
    compare_records(case, records, &mut problems);
    problems.extend(vendor.lock().unwrap().problems());
    problems
}

async fn autotask_case(case: &Value) -> Vec<String> {
    let world = world_of(autotask()).await;
    let around = BTreeMap::from([
        ("/zoneInformation", r#"{"url":"https://webservices5.autotask.net/ATServicesRest/"}"#),
        ("/ThresholdInformation", r#"{"externalRequestThreshold":10000,"currentTimeframeRequestCount":100}"#),
    ]);
    let request = &case["exchanges"][0]["request"];
    let first = Url::parse(request["url"].as_str().unwrap()).unwrap();
    let mut problems = Vec::new();
    if is_configurations(case) {
        let company = request["body"]["filter"][0]["value"].to_string();
        world.map(company.trim_matches('"'), 0).await;
        let vendor = Vendors::serve(&world, case, around);
        problems.extend(run(&world, case, |body| &body["items"]).await);
        problems.extend(vendor.lock().unwrap().problems());
        return problems;
    }
    let vendor = Vendors::serve(&world, case, around);
    if first.path().ends_with("/zoneInformation") {
        for exchange in case["exchanges"].as_array().unwrap() {
            let url = Url::parse(exchange["request"]["url"].as_str().unwrap()).unwrap();
            let mut connection = world.connection.clone();
            if let Credentials::Autotask { user, .. } = &mut connection.credentials {
                *user = url.query_pairs().find(|(name, _)| name == "user").unwrap().1.into_owned();
            }
            world.app().cache.forget(&format!("autotask-zone/{}", connection.id));
            let zone = at::zone(world.app(), &connection).await;
            let expected = exchange["response"]["body"]["url"].as_str();
            if zone.as_ref().ok().map(Url::as_str) != expected || (expected.is_none() && !matches!(zone, Err(CallError::Refused(_)))) {
                problems.push(format!("zone {zone:?}, expected {expected:?}"));
            }
        }
    } else if first.path().ends_with("/ThresholdInformation") {
        let usage = at::usage(world.app(), &world.connection).await.unwrap();
        if case["expect"]["usage_ratio"].as_f64().is_some_and(|ratio| (ratio - usage).abs() > 1e-9) {
            problems.push(format!("usage {usage}"));
        }
        let pace = at::Pace::of_usage(usage);
        let action = case["expect"]["action"].as_str().unwrap_or_default();
        let expected = if action.starts_with("slow_down") {
            at::Pace::Slow
        } else if action.starts_with("stop") {
            at::Pace::Stop
        } else {
            at::Pace::Full
        };
        if pace != expected {
            problems.push(format!("pace {pace:?}, expected {action}"));
        }
    } else {
        let entity = first.path().split("/v1.0/").nth(1).unwrap().trim_end_matches("/query").to_owned();
        let question = Bytes::from(request["body"].to_string());
        let (mut next, mut records) = (None, 0);
        loop {
            match at::page(world.app(), &world.connection, &entity, question.clone(), next.as_deref()).await {
                Ok(page) => {
                    records += page.rows.len();
                    next = page.next;
                    if next.is_none() {
                        break;
                    }
                }
                Err(CallError::ComeBack { .. }) if case["expect"]["outcome"] == "retryable" => break,
                Err(error) => {
                    problems.push(error.to_string());
                    break;
                }
            }
        }
        compare_records(case, records, &mut problems);
    }
    problems.extend(vendor.lock().unwrap().problems());
    problems
}
