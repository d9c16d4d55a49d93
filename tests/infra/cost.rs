//! The guide's table of costs: what is counted in it is counted in the committed snapshots and functions, so that whoever adds
//! a private endpoint or a queue has another table, and `.ci/run` asks for it.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{SNAPSHOTS, file, template};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// What `infra/cost` reads, in a folder of its own, after a change of the public cloud's snapshot.
fn table(change: impl Fn(&mut Vec<Value>), queues: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    for part in ["cost", "prices.json"].into_iter().chain(SNAPSHOTS) {
        copy(&file(part), &folder.path().join("infra").join(part));
    }
    for entry in fs::read_dir(file("../functions/triggers")).unwrap() {
        let from = entry.unwrap().path().join("function.json");
        if from.exists() {
            copy(&from, &folder.path().join("functions/triggers").join(from.parent().unwrap().file_name().unwrap()).join("function.json"));
        }
    }
    for more in 0..queues {
        let to = folder.path().join(format!("functions/triggers/more-{more}/function.json"));
        copy(&file("../functions/triggers/intake/function.json"), &to);
    }
    let public = folder.path().join("infra").join(SNAPSHOTS[0]);
    let mut snapshot = template::json(&public).unwrap();
    change(snapshot["predictedResources"].as_array_mut().unwrap());
    fs::write(&public, snapshot.to_string()).unwrap();
    let told = Command::new("python3").arg(folder.path().join("infra/cost")).output().unwrap();
    assert!(told.status.success(), "infra/cost needs Python 3: {}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

/// The cell for one client of one line.
fn dollars(table: &str, line: &str) -> i64 {
    let row = table.lines().find_map(|row| row.strip_prefix(&format!("| {line} | "))).unwrap_or_else(|| panic!("no {line}: {table}"));
    row.split(" | ").next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn infra_what_the_template_makes_more_of_costs_more_in_the_guides_table() {
    let now = table(|_| {}, 0);
    assert!(fs::read_to_string(file("README.md")).unwrap().contains(&now), "run infra/cost --write");
    let prices = template::json(&file("prices.json")).unwrap();
    for (kind, line, price) in [
        ("Microsoft.Network/privateEndpoints", "private network", "private_endpoint"),
        ("Microsoft.Network/privateDnsZones", "private network", "private_zone"),
        ("Microsoft.KeyVault/vaults/keys", "keys", "hsm_key"),
        ("Microsoft.Insights/scheduledQueryRules", "logs and alerts", "log_alert"),
        ("Microsoft.Insights/metricAlerts", "logs and alerts", "metric_alert"),
    ] {
        // A hundred of them, so that no rounding hides one that is counted and not its like.
        let more = |all: &mut Vec<Value>| {
            let one = all.iter().find(|one| one["type"] == kind).unwrap().clone();
            all.extend(std::iter::repeat_n(one, 100));
        };
        let rise = dollars(&table(more, 0), line) - dollars(&now, line);
        let expected = prices[price]["price"].as_f64().unwrap() * 100.0;
        let rise = f64::from(i32::try_from(rise).unwrap());
        assert!((rise - expected).abs() <= 1.0, "{kind}: 100 more make {line} dearer by {rise}, not {expected}");
    }
    // A key that only software holds costs nothing by itself.
    let soft = |all: &mut Vec<Value>| {
        let key = all.iter_mut().find(|one| one["type"] == "Microsoft.KeyVault/vaults/keys").unwrap();
        key["properties"]["kty"] = json!("RSA");
    };
    assert_eq!(dollars(&now, "keys") - dollars(&table(soft, 0), "keys"), 5);
    // A queue is asked 1,296,000 times a month, and has two instances ready in zones.
    let queues = table(|_| {}, 10);
    assert_eq!(dollars(&queues, "storage and queues") - dollars(&now, "storage and queues"), 5);
    assert!(dollars(&queues, "functions, Flex in zones") > dollars(&now, "functions, Flex in zones"));
}
