//! The table of functions against everything that describes it: `function.json`, `host.json`, settings, the package.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use assay::{
    config::{self, RawConfig, SETTINGS},
    host::{body::DRAIN_TIME, package},
    triggers::{
        TABLE,
        check::{DEFINITIONS, Declared, HOST_JSON, HttpRoute, check_host_json, check_own, check_table, definition, host_settings},
    },
};
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn http(name: &str, route: &str, methods: &[&str]) -> Declared {
    let methods = methods.iter().map(|&m| m.to_owned()).collect();
    Declared { name: name.into(), http: Some(HttpRoute { route: route.into(), methods }) }
}

fn queue(name: &str) -> Declared {
    Declared { name: name.into(), http: None }
}

#[test]
fn every_function_is_what_its_function_json_says() {
    let in_table: BTreeSet<&str> = TABLE.iter().map(|t| t.name).collect();
    let packaged: BTreeSet<&str> = DEFINITIONS.iter().map(|(name, _)| *name).collect();
    let on_disk: BTreeSet<String> = fs::read_dir(root().join("functions/triggers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(in_table, packaged);
    assert!(on_disk.iter().map(String::as_str).eq(packaged.iter().copied()), "{on_disk:?}");
    for trigger in TABLE {
        let (_, text) = DEFINITIONS.iter().find(|(name, _)| *name == trigger.name).unwrap();
        assert_eq!(parsed(text), definition(trigger), "{}", trigger.name);
    }
}

#[test]
fn the_table_may_be_served_with_the_default_deadline() {
    let config = config::check(&RawConfig::default()).unwrap();
    assert_eq!(check_own(config.deadline, DRAIN_TIME), []);
}

#[test]
fn a_deadline_that_the_host_would_beat_is_refused() {
    let timeout = host_settings(HOST_JSON).unwrap().function_timeout;
    assert_eq!(timeout, Duration::from_mins(5));
    assert_eq!(check_own(timeout, Duration::ZERO)[0].setting, "ASSAY_DEADLINE_SECONDS");
    assert!(check_own(timeout.saturating_sub(DRAIN_TIME), DRAIN_TIME)[0].problem.contains("functionTimeout"));
}

#[test]
fn an_address_that_could_reach_an_envelope_is_refused_with_words() {
    let good = http("pages", "pages/{*rest}", &["get", "head"]);
    assert_eq!(check_table("api", &[good.clone(), queue("work")]), Vec::<String>::new());
    for prefix in ["", "/", "work", "Work/v1", "{p}", "admin", "runtimes"] {
        let reasons = check_table(prefix, &[good.clone(), queue("work")]);
        assert!(reasons.iter().any(|r| r.contains("routePrefix")), "{prefix}: {reasons:?}");
    }
    for route in ["{*rest}", "{name}", "work", "WORK/{x}", "work/{*rest}", "administer", "runtime/x", "", "pages/{id?}"] {
        let reasons = check_table("api", &[http("pages", route, &["post"]), queue("work")]);
        assert!(reasons.iter().any(|r| r.contains("function pages: route")), "{route}: {reasons:?}");
    }
}

#[test]
fn two_routes_of_one_shape_are_refused_when_they_share_a_method() {
    let reasons = check_table("api", &[http("a", "x/{one}", &["post"]), http("b", "X/{two}", &["post", "put"])]);
    assert!(reasons[0].contains("one shape"), "{reasons:?}");
    assert!(check_table("api", &[http("a", "x/{one}", &["post"]), http("b", "x/{two}", &["put"])]).is_empty());
}

#[test]
fn get_without_head_and_bad_names_are_refused() {
    assert!(check_table("api", &[http("a", "a", &["get"])])[0].contains("get without head"));
    assert!(check_table("api", &[http("a", "a", &[])])[0].contains("no methods"));
    for name in ["", "host", "HOST", "1st", "a.b", "a b", &"a".repeat(129)] {
        assert!(check_table("api", &[queue(name)])[0].contains("a name starts with a letter"), "{name}");
    }
    assert!(check_table("api", &[queue("Work"), queue("work")])[0].contains("twice"));
}

#[test]
fn host_json_says_what_the_design_relies_on() {
    let host = parsed(HOST_JSON);
    assert_eq!(host_settings(HOST_JSON).unwrap().route_prefix, "api");
    let queues = json!({
        "batchSize": 16, "newBatchThreshold": 8, "maxDequeueCount": 5, "visibilityTimeout": "00:00:30",
        "maxPollingInterval": "00:00:02", "messageEncoding": "base64"
    });
    assert_eq!(host["extensions"]["queues"], queues);
    assert_eq!(host["customHandler"]["description"], json!({ "defaultExecutablePath": package::EXECUTABLE, "arguments": ["serve"] }));
    assert_eq!(host["customHandler"]["enableProxyingHttpRequest"], true);
    assert!(host_settings("{\"functionTimeout\":\"-1\"}").is_err());
    assert!(host_settings("{").is_err());
}

#[test]
fn a_member_of_host_json_that_the_host_would_pass_over_is_refused_by_its_place() {
    assert_eq!(check_host_json(HOST_JSON), Vec::<String>::new());
    let refused = |from: &str, to: &str| {
        assert!(HOST_JSON.contains(from), "{from}");
        check_host_json(&HOST_JSON.replacen(from, to, 1)).join("; ")
    };
    // Each name, one after the other, misspelt.
    let names = HOST_JSON.split('"').skip(1).step_by(2).zip(HOST_JSON.split('"').skip(2).step_by(2));
    let names: Vec<&str> = names.filter(|(_, after)| after.starts_with(':')).map(|(name, _)| name).collect();
    assert!(names.len() > 30, "{names:?}");
    let of_anybody =
        |name: &&str| HOST_JSON.contains(&format!("\"{name}\": \"None\"")) || ["default", "Host.Function.Console"].contains(name);
    for name in names.iter().filter(|name| !of_anybody(name)) {
        let said = refused(&format!("\"{name}\":"), &format!("\"{name}x\":"));
        assert!(said.contains(&format!("{name}x")), "{name}: {said}");
    }
    for (from, to) in
        [("\"2.0\"", "\"3.0\""), ("16", "33"), ("\"base64\"", "\"base32\""), ("\"00:00:30\"", "\"30s\""), ("\"Warning\"", "\"Warn\"")]
    {
        assert!(refused(from, to).contains("which the host does not take there"), "{to}: {}", refused(from, to));
    }
    assert!(refused("\"version\": \"2.0\",", "").contains("version is missing"));
}

#[test]
fn the_example_settings_list_every_setting_and_no_other() {
    let file = parsed(&fs::read_to_string(root().join("local.settings.example.json")).unwrap());
    let values = file["Values"].as_object().unwrap();
    for setting in SETTINGS {
        assert_eq!(values.get(setting.name).and_then(Value::as_str), Some(setting.default.unwrap_or_default()), "{}", setting.name);
        let comment = values.get(&format!("_comment_{}", setting.name)).and_then(Value::as_str);
        assert_eq!(comment, Some(setting.meaning), "{}", setting.name);
    }
    // The other two are the host's own.
    assert_eq!(values.len(), 2 * SETTINGS.len() + 2);
}

#[test]
fn the_package_lays_out_what_the_host_reads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, "\x7fELF").unwrap();
    let stage = folder.path().join("new/stage");
    for _ in 0..2 {
        package::stage(&stage, &program).unwrap();
        let mut names: Vec<_> = fs::read_dir(&stage).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(
            names,
            ["analyze", "assay", "execute", "health", "host.json", "intake", "notify", "portal", "publish", "sweep", "webhooks"]
        );
        assert_eq!(fs::metadata(stage.join("assay")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(stage.join("assay")).unwrap(), b"\x7fELF");
        assert_eq!(fs::read_to_string(stage.join("host.json")).unwrap(), HOST_JSON);
        for (name, definition) in DEFINITIONS {
            let files: Vec<_> = fs::read_dir(stage.join(name)).unwrap().map(|e| e.unwrap().path()).collect();
            assert_eq!(files, [stage.join(name).join("function.json")]);
            assert_eq!(fs::read_to_string(&files[0]).unwrap(), *definition);
        }
    }
}

#[test]
fn packaging_again_replaces_the_program_and_removes_functions_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (program, stage) = (folder.path().join("program"), folder.path().join("stage"));
    fs::write(&program, "old").unwrap();
    package::stage(&stage, &program).unwrap();
    fs::create_dir(stage.join("retired")).unwrap();
    fs::write(stage.join("retired/function.json"), "{}").unwrap();
    fs::write(stage.join("local.settings.json"), "{}").unwrap();
    fs::write(&program, "newer").unwrap();
    package::stage(&stage, &program).unwrap();
    assert_eq!(fs::read(stage.join("assay")).unwrap(), b"newer");
    assert!(!stage.join("retired").exists());
    assert!(stage.join("local.settings.json").exists());
}

#[test]
fn packaging_never_writes_into_a_folder_that_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, "x").unwrap();
    for (file, text) in [("thesis.txt", "years of work"), ("host.json", "{\"version\":\"2.0\"}")] {
        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join(file), text).unwrap();
        let error = package::stage(foreign.path(), &program).unwrap_err();
        assert!(error.to_string().contains("not an app folder of Assay"), "{error}");
        assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);
    }
}
