//! Who is billed by the month: only a managed application with a plan, in the public cloud. The snapshots are of a resource
//! group that nobody manages, since Bicep cannot be told otherwise; so here the template's own expressions are evaluated.

use serde_json::{Value, json};

use super::{
    COMPILED,
    evaluate::Place,
    expression::{Expr, parse},
    file, template,
};

const APPLICATION: &str =
    "/subscriptions/00000000-0000-4000-8000-0000000000aa/resourceGroups/mine/providers/Microsoft.Solutions/applications/assay";

/// The four settings of metering that the app gets: plan, resource, dimension, included.
fn settings(managed_by: Option<&str>, plan: &str, cloud: &str) -> [Value; 4] {
    let template = template::json(&file(COMPILED)).unwrap();
    let module = template["resources"].as_array().unwrap().iter().find(|one| one["name"] == "assay-app-settings").expect("the settings");
    let all = parse(module.pointer("/properties/parameters/assaySettings/value").and_then(Value::as_str).unwrap()).unwrap();
    let place = Place {
        template: &template,
        parameters: json!({"meteringPlan": plan, "meteringDimension": "tenants", "meteringIncluded": 3}),
        group: managed_by.map_or(json!({"name": "assay"}), |by| json!({"name": "assay", "managedBy": by})),
        cloud,
    };
    ["PLAN", "RESOURCE", "DIMENSION", "INCLUDED"].map(|name| {
        let name = Expr::Text(format!("ASSAY_METERING_{name}"));
        let calls = all.calls();
        let mut pairs = calls.iter().filter(|(call, _)| *call == "createobject").flat_map(|(_, args)| args.chunks_exact(2));
        let pair = pairs.find(|pair| pair[0] == name).unwrap_or_else(|| panic!("{name:?} is not set"));
        place.of(&pair[1]).unwrap()
    })
}

#[test]
fn infra_clients_are_counted_only_in_a_managed_application_with_a_plan_in_the_public_cloud() {
    let on = settings(Some(APPLICATION), "by-client", "AzureCloud");
    assert_eq!(on, ["by-client", APPLICATION, "tenants", "3"].map(Value::from), "the managed plan that bills by the month");

    let cluster =
        "/subscriptions/00000000-0000-4000-8000-0000000000aa/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/k";
    for (managed_by, plan, cloud, why) in [
        (None, "by-client", "AzureCloud", "a group that nobody manages"),
        (Some(cluster), "by-client", "AzureCloud", "one that is managed, but not for the Marketplace"),
        (Some(APPLICATION), "by-client", "AzureUSGovernment", "Azure Government, where the Marketplace takes no usage"),
        (Some(APPLICATION), "", "AzureCloud", "a managed application whose plan bills nothing by use"),
    ] {
        let [plan, resource, ..] = settings(managed_by, plan, cloud);
        assert_eq!([plan, resource], ["", ""].map(Value::from), "{why}");
    }
}
