//! The product's own template against the policies of Azure that stand for CMMC Level 2 and NIST SP 800-171 R2.
//!
//! Both snapshots are judged, each by its cloud's initiatives, and by some policies besides. What does not comply needs a
//! line in `infra/exemptions.json` with a reason; a line that exempts nothing any more fails too. The outcome is a table
//! in `infra/README.md`, which is what this code makes: `ASSAY_WRITE=1 cargo test infra_policies` writes it anew.

mod rule;
mod seen;
mod stories;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{
    rule::{Context, Truth, like, unsupported},
    seen::{Seen, seen},
};
use super::{
    SNAPSHOTS, file, schemas,
    template::{self, Resource, property},
};

const BEGIN: &str = "<!-- policies: begin, made by the tests -->\n";
const END: &str = "<!-- policies: end -->\n";

/// `(cloud, its snapshot, how the initiatives call it)`.
const CLOUDS: [(&str, &str, &str); 3] =
    [("commercial", SNAPSHOTS[0], "pub"), ("Government", SNAPSHOTS[1], "gov"), ("commercial, with all options", SNAPSHOTS[2], "pub")];

/// Values of parameters that have no default: an initiative or an operator gives them.
const PARAMETERS: &[(&str, u64)] = &[("minimumRSAKeySize", 3072)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemption {
    policy: String,
    /// Its type.
    resource: String,
    /// Which of them, with one `*` at most; all of them where it is not there.
    #[serde(default = "all")]
    named: String,
    reason: String,
}

fn all() -> String {
    "*".into()
}

impl Exemption {
    fn covers(&self, policy: &str, resource: &Seen) -> bool {
        self.policy == policy && resource.is(&self.resource) && like(&self.named, &resource.name) == Ok(true)
    }
}

/// What one policy says of the resources of one snapshot.
#[derive(Default)]
struct Outcome {
    complies: usize,
    exempt: Vec<usize>,
    faults: Vec<String>,
}

struct Policies(BTreeMap<String, Value>);

impl Policies {
    fn read(schemas: &Path) -> Self {
        let mut data = template::json(&schemas.join("derived/azure-policy-subset.json")).unwrap();
        let policies = data["policies"].take();
        let policies = policies.as_object().expect("policies").clone();
        Self(policies.into_iter().collect())
    }
}

fn judge(id: &str, policy: &Value, resources: &[Seen], exemptions: &[Exemption]) -> Outcome {
    let mut outcome = Outcome::default();
    let parameters = parameters_of(id, policy, resources);
    let (rule, then) = (&policy["policyRule"]["if"], &policy["policyRule"]["then"]);
    for resource in resources {
        let complied = match applies(rule, resource, &parameters) {
            Ok(false) => continue,
            Ok(true) => complies(rule, then, resource, resources, &parameters),
            Err(told) => Err(told),
        };
        match complied {
            Ok(true) => outcome.complies += 1,
            told => {
                if let Some(at) = exemptions.iter().position(|exemption| exemption.covers(id, resource)) {
                    outcome.exempt.push(at);
                } else {
                    let why = told.err().map_or_else(|| "does not comply".into(), |why| format!("cannot be judged: {why}"));
                    let name = policy["displayName"].as_str().unwrap_or_default();
                    outcome.faults.push(format!(
                        "{} {}: {why} with \"{name}\" ({id}); mend it, or exempt it in infra/exemptions.json with the reason",
                        resource.kind, resource.name
                    ));
                }
            }
        }
    }
    outcome
}

/// Whether a policy is about the resource: what its rule says of type and kind holds.
fn applies(rule: &Value, resource: &Seen, parameters: &Map<String, Value>) -> Truth {
    let single = [rule.clone()];
    let parts = rule.get("allOf").and_then(Value::as_array).map_or(single.as_slice(), Vec::as_slice);
    let about = |part: &&Value| part.get("field").and_then(Value::as_str).is_some_and(|field| matches!(field, "type" | "kind"));
    for part in parts.iter().filter(about) {
        if !Context::new(resource, resource, parameters).holds(part)? {
            return Ok(false);
        }
    }
    // Of the policies about everything, only what lies somewhere.
    Ok(parts.iter().any(|part| part.get("field").is_some_and(|field| field == "type") && part.get("notEquals").is_none())
        || property(&resource.body, "location").is_some())
}

fn complies(rule: &Value, then: &Value, resource: &Seen, all: &[Seen], parameters: &Map<String, Value>) -> Truth {
    let effect = then["effect"].as_str().unwrap_or_default();
    let looks_further = Context::new(resource, resource, parameters).holds(&json!({"value": effect, "equals": "AuditIfNotExists"}))?;
    if !Context::new(resource, resource, parameters).holds(rule)? {
        return Ok(true);
    }
    if !looks_further {
        return Ok(false);
    }
    let details = &then["details"];
    let text = |name: &str| details.get(name).and_then(Value::as_str).unwrap_or_default();
    let related = all.iter().filter(|one| one.is(text("type")) && one.of.eq_ignore_ascii_case(&resource.id));
    let mut untold = None;
    for one in
        related.filter(|one| text("name").is_empty() || one.name.ends_with(&format!("/{}", text("name"))) || one.name == text("name"))
    {
        match details.get("existenceCondition").map_or(Ok(true), |held| Context::new(one, resource, parameters).holds(held)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(told) => untold = Some(told),
        }
    }
    untold.map_or(Ok(false), Err)
}

/// What the policy is judged with: what our own template assigns it with, else its defaults.
fn parameters_of(id: &str, policy: &Value, resources: &[Seen]) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, of) in policy["parameters"].as_object().into_iter().flatten() {
        values.insert(name.clone(), of.get("defaultValue").cloned().unwrap_or_default());
    }
    for (name, value) in PARAMETERS {
        if let Some(unset) = values.get_mut(*name) {
            *unset = (*value).into();
        }
    }
    let of_it = |one: &&Seen| {
        let definition = one.body.pointer("/properties/policyDefinitionId").and_then(Value::as_str);
        one.is("Microsoft.Authorization/policyAssignments") && definition.is_some_and(|definition| definition.ends_with(id))
    };
    for assignment in resources.iter().filter(of_it) {
        for (name, of) in assignment.body.pointer("/properties/parameters").and_then(Value::as_object).into_iter().flatten() {
            values.insert(name.clone(), of["value"].clone());
        }
    }
    values
}

/// The table, and everything that is wrong.
fn all_policies(policies: &Policies, clouds: &[(&str, &str, Vec<Resource>)], exemptions: &[Exemption]) -> (String, Vec<String>) {
    let mut faults = Vec::new();
    let mut used = vec![false; exemptions.len()];
    let mut rows = Vec::new();
    let seen: Vec<_> = clouds.iter().map(|(cloud, short, resources)| (*cloud, *short, seen(resources))).collect();
    for (id, policy) in &policies.0 {
        let name = policy["displayName"].as_str().unwrap_or_default();
        faults.extend(unsupported(&policy["policyRule"]).into_iter().map(|told| format!("\"{name}\" ({id}): {told}")));
        let asked: Vec<&str> = policy["initiatives"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut row = format!("| {name} | {} |", asked_by(&asked));
        let mut reasons = Vec::new();
        for (_, short, resources) in &seen {
            if !asked.is_empty() && !asked.iter().any(|one| one.ends_with(short)) {
                row.push_str(" not asked |");
                continue;
            }
            let outcome = judge(id, policy, resources, exemptions);
            let cell = match (outcome.complies, outcome.exempt.len() + outcome.faults.len()) {
                (0, 0) => "none of ours".into(),
                (complies, 0) => format!("complies ({complies})"),
                (complies, left) if outcome.faults.is_empty() => format!("exempt ({left} of {})", complies + left),
                (complies, left) => format!("FAILS ({left} of {})", complies + left),
            };
            let _ = write!(row, " {cell} |");
            reasons.extend(outcome.exempt.iter().copied());
            faults.extend(outcome.faults);
        }
        reasons.sort_unstable();
        reasons.dedup();
        let why: Vec<_> = reasons.iter().map(|at| exemptions[*at].reason.as_str()).collect();
        let _ = write!(row, " {} |", why.join(" "));
        for at in &reasons {
            used[*at] = true;
        }
        rows.push(row);
    }
    for (exemption, _) in exemptions.iter().zip(&used).filter(|(_, used)| !**used) {
        faults.push(format!(
            "infra/exemptions.json: nothing needs the exemption of {} named {} from {}; take it out",
            exemption.resource, exemption.named, exemption.policy
        ));
    }
    rows.sort();
    (
        format!("| policy | asked by | commercial | Government | why exempt |\n| --- | --- | --- | --- | --- |\n{}\n", rows.join("\n")),
        faults,
    )
}

fn asked_by(initiatives: &[&str]) -> &'static str {
    let has = |name: &str| initiatives.iter().any(|one| one.starts_with(name));
    match (has("cmmc2-l2"), has("nist-800-171-r2")) {
        (true, true) => "CMMC L2, 800-171",
        (true, false) => "CMMC L2",
        (false, true) => "800-171",
        (false, false) => "us",
    }
}

fn snapshots() -> Vec<(&'static str, &'static str, Vec<Resource>)> {
    let read = |(cloud, path, short): (&'static str, &str, &'static str)| {
        (cloud, short, template::snapshot(path, &template::json(&file(path)).unwrap()).unwrap())
    };
    CLOUDS.into_iter().map(read).collect()
}

#[test]
fn infra_policies_of_azure_hold_on_our_own_template_and_the_table_says_so() {
    let Some(schemas) = schemas() else { return };
    let exemptions: Vec<Exemption> = serde_json::from_value(template::json(&file("exemptions.json")).unwrap()).unwrap();
    let (table, faults) = all_policies(&Policies::read(&schemas), &snapshots(), &exemptions);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let path = file("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("infra/README.md has the line that begins the table of policies");
    let (stands, after) = rest.split_once(END).expect("infra/README.md has the line that ends the table of policies");
    if stands != table {
        if crate::support::shared::writes() {
            fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        } else {
            panic!(
                "the table of policies in infra/README.md is not what the template gives; `ASSAY_WRITE=1 cargo test infra_policies` writes it"
            );
        }
    }
}
