//! One bad app folder per rule: what Azure would refuse is refused here, in words, all mistakes at once.

use std::{collections::BTreeMap, fs};

use assay::host::local::appfolder::{AppFolder, FunctionProblem, Problem, Settings, Trigger};
use serde_json::{Value, json};

fn host() -> Value {
    json!({
        "version": "2.0",
        "customHandler": { "description": { "defaultExecutablePath": "assay", "arguments": ["serve", "--x=%X%"] }, "enableProxyingHttpRequest": true },
        "extensions": { "queues": { "visibilityTimeout": "00:00:30" } },
    })
}

fn http(route: &str) -> Value {
    json!({ "bindings": [
        { "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "methods": ["get"], "route": route },
        { "type": "http", "direction": "out", "name": "res" },
    ]})
}

fn queue(name: &str) -> Value {
    json!({ "bindings": [{ "type": "queueTrigger", "direction": "in", "name": "item", "queueName": name, "connection": "C", "dataType": "binary" }] })
}

fn read(host: &Value, functions: &[(&str, Value)], settings: &Settings) -> Result<AppFolder, Vec<Problem>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("host.json"), host.to_string()).unwrap();
    for (name, json) in functions {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("function.json"), json.to_string()).unwrap();
    }
    AppFolder::read(folder.path(), settings).map_err(|error| error.0)
}

/// The one function problem of an otherwise good folder.
fn problem(name: &str, json: Value) -> FunctionProblem {
    let mut problems = read(&host(), &[("good", queue("good-queue")), (name, json)], &Settings::new()).unwrap_err();
    match (problems.pop().unwrap(), problems.is_empty()) {
        (Problem::Function(function, problem), true) if function == name => problem,
        other => panic!("{name}: {other:?}"),
    }
}

fn host_problem(change: impl FnOnce(&mut Value)) -> String {
    let mut json = host();
    change(&mut json);
    let problems = read(&json, &[("good", queue("good-queue"))], &Settings::new()).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_good_folder_is_read_with_the_hosts_defaults() {
    let settings = BTreeMap::from([("X".to_owned(), "a b".to_owned())]);
    let app = read(&host(), &[("portal", http("portal/{*rest}")), ("intake", queue("intake"))], &settings).unwrap();
    assert_eq!(app.host.route_prefix, "api");
    assert_eq!(app.host.arguments, ["serve", "--x=a", "b"], "an argument with a space splits, as in Azure");
    assert_eq!((app.host.queues.batch_size, app.host.queues.max_dequeue_count), (16, 5));
    assert_eq!(app.body_limit, 104_857_600);
    assert!(matches!(&app.function("INTAKE").unwrap().trigger, Trigger::Queue { queue, .. } if queue == "intake"));
}

#[test]
fn a_disabled_function_is_left_out() {
    let settings = BTreeMap::from([("AzureWebJobs.intake.Disabled".to_owned(), "true".to_owned())]);
    let app = read(&host(), &[("portal", http("portal/{*rest}")), ("intake", queue("intake"))], &settings).unwrap();
    assert!(app.function("intake").is_none() && app.function("portal").is_some());
}

#[test]
fn host_json_must_be_there_and_say_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    assert!(AppFolder::read(folder.path(), &Settings::new()).unwrap_err().to_string().contains("host.json cannot be read"));
    assert!(host_problem(|h| h["version"] = "1.0".into()).contains("version must be"));
    assert!(host_problem(|h| h["customHandler"]["description"]["defaultExecutablePath"] = "".into()).contains("defaultExecutablePath"));
    assert!(host_problem(|h| h["customHandler"]["http"] = json!({ "routes": [] })).contains("routes"));
    assert!(host_problem(|h| h["extensions"]["queues"]["batchSize"] = 33.into()).contains("batchSize must be"));
    assert!(host_problem(|h| h["extensions"]["queues"]["visibilityTimeout"] = 30.into()).contains("visibilityTimeout must be"));
    assert!(host_problem(|h| h["extensions"]["queues"]["messageEncoding"] = "hex".into()).contains("messageEncoding"));
    assert!(host_problem(|h| h["functionTimeout"] = "soon".into()).contains("functionTimeout"));
}

#[test]
fn http_functions_need_proxying() {
    let mut json = host();
    json["customHandler"]["enableProxyingHttpRequest"] = false.into();
    assert_eq!(read(&json, &[("portal", http("portal/{*rest}"))], &Settings::new()).unwrap_err(), [Problem::NotProxying]);
}

#[test]
fn function_folders_need_a_function_name() {
    for name in ["1st", "a.b", "host", "Host", "naïve"] {
        assert_eq!(problem(name, queue("work")), FunctionProblem::Name, "{name}");
    }
    assert_eq!(read(&host(), &[], &Settings::new()).unwrap_err(), [Problem::NoFunctions]);
    let twice = read(&host(), &[("Work", queue("work")), ("work", queue("work"))], &Settings::new()).unwrap_err();
    assert_eq!(twice, [Problem::Function("work".into(), FunctionProblem::SameName)]);
}

#[test]
fn bindings_must_be_known_complete_and_have_one_trigger() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json = queue("work");
        change(&mut json);
        problem("f", json)
    };
    assert_eq!(with(&|j| j["bindings"] = json!([])), FunctionProblem::NoBindings);
    assert_eq!(with(&|j| j["bindings"][0]["type"] = "queueTriger".into()), FunctionProblem::UnknownBinding("queueTriger".into()));
    assert_eq!(with(&|j| j["bindings"][0]["type"] = "blobTrigger".into()), FunctionProblem::NotDriven("blobTrigger".into()));
    assert_eq!(with(&|j| j["bindings"][0]["direction"] = "out".into()), FunctionProblem::Field("direction"));
    assert_eq!(with(&|j| j["bindings"][0]["name"] = "".into()), FunctionProblem::Field("name"));
    assert_eq!(with(&|j| j["bindings"][0]["queueName"] = "Work".into()), FunctionProblem::Field("queueName"));
    assert_eq!(with(&|j| j["bindings"][0]["dataType"] = "bits".into()), FunctionProblem::Field("dataType"));
    assert_eq!(with(&|j| j["retry"] = json!({ "strategy": "fixedDelay" })), FunctionProblem::Retry);
    let two = json!({ "bindings": [queue("work")["bindings"][0], { "type": "timerTrigger", "name": "t", "schedule": "0 * * * * *" }] });
    assert_eq!(problem("f", two), FunctionProblem::Triggers);
    let same =
        json!({ "bindings": [queue("work")["bindings"][0], { "type": "queue", "direction": "out", "name": "ITEM", "queueName": "next" }] });
    assert_eq!(problem("f", same), FunctionProblem::SameBinding);
    let five = json!({ "bindings": [{ "type": "timerTrigger", "direction": "in", "name": "t", "schedule": "*/5 * * * *" }] });
    assert_eq!(problem("f", five), FunctionProblem::Field("schedule"));
}

#[test]
fn routes_levels_and_methods_are_checked() {
    for route in ["admin/x", "administer", "Runtime"] {
        assert!(problem("f", http(route)).to_string().contains("admin or runtime"), "{route}");
    }
    assert!(matches!(problem("f", http("a/{*rest}/b")), FunctionProblem::Route(_)));
    let with = |member: &str, value: Value| {
        let mut json = http("a");
        json["bindings"][0][member] = value;
        problem("f", json)
    };
    assert_eq!(with("authLevel", "root".into()), FunctionProblem::Field("authLevel"));
    assert_eq!(with("methods", json!(["fetch"])), FunctionProblem::Field("methods"));
    let mut alone = http("a");
    alone["bindings"].as_array_mut().unwrap().pop();
    assert_eq!(problem("f", alone), FunctionProblem::NotProxied);
}

#[test]
fn two_routes_of_one_shape_are_refused_unless_their_methods_differ() {
    let clash = read(&host(), &[("a", http("x/{one}")), ("b", http("X/{two}"))], &Settings::new()).unwrap_err();
    assert_eq!(clash, [Problem::SameRoute("a".into(), "b".into())]);
    let mut post = http("x/{two}");
    post["bindings"][0]["methods"] = json!(["post"]);
    assert!(read(&host(), &[("a", http("x/{one}")), ("b", post)], &Settings::new()).is_ok());
}

#[test]
fn every_mistake_of_a_folder_is_told_at_once() {
    let mut json = host();
    json["version"] = "1".into();
    let problems = read(&json, &[("a", queue("Q")), ("b", http("admin"))], &Settings::new()).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}
