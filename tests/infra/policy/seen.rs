//! The resources of a snapshot as Azure Policy sees them: with what Azure itself adds once they are deployed.
//!
//! Every such addition is written here and nowhere else, and each says what in the template stands for it:
//! - a private endpoint without manual approval that points at a resource: an approved connection on it;
//! - `siteConfig` of a site: its configuration `web`; its identities: the configuration's identity ids;
//! - a subnet, also inside of its network: a resource of its own; one with a network security group: assessed as healthy;
//! - each private endpoint in a subnet: one address configuration of it (integration of an app makes none);
//! - a key or secret of a vault: one of the data plane; it ends when `attributes.exp` says so, not when only a rotation
//!   policy does, since that begins with the second version.

use serde_json::{Map, Value, json};

use crate::infra::template::{Resource, property};

/// Aliases of what Azure adds, so of no property that a template can set.
pub(crate) const ADDED: &[&str] = &[
    "Microsoft.Storage/storageAccounts/privateEndpointConnections/privateLinkServiceConnectionState.status",
    "Microsoft.DocumentDB/databaseAccounts/privateEndpointConnections[*]",
    "Microsoft.DocumentDB/databaseAccounts/privateEndpointConnections[*].privateLinkServiceConnectionState.status",
    "Microsoft.KeyVault/vaults/privateEndpointConnections[*]",
    "Microsoft.KeyVault/vaults/privateEndpointConnections[*].privateLinkServiceConnectionState.status",
    "Microsoft.Network/virtualNetworks/subnets[*].ipConfigurations[*]",
    "Microsoft.Network/virtualNetworks/subnets[*].ipConfigurations[*].id",
    "Microsoft.Web/sites/config/managedServiceIdentityId",
    "Microsoft.Web/sites/config/xmanagedServiceIdentityId",
    "Microsoft.Security/assessments/status.code",
];

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) body: Value,
    /// What it stands beside or on, by id: of a child its parent, of an extension what it extends.
    pub(crate) of: String,
}

impl Seen {
    pub(crate) fn of(kind: &str, name: &str, version: &str, body: Value) -> Self {
        let (kind, name, version) = (kind.to_owned(), name.to_owned(), version.to_owned());
        Self { kind, name, version, id: String::new(), of: String::new(), body }
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    fn properties(&mut self) -> &mut Map<String, Value> {
        let own = self.body.as_object_mut().expect("a resource is an object");
        let properties = own.entry("properties").or_insert_with(|| json!({}));
        if !properties.is_object() {
            *properties = json!({});
        }
        properties.as_object_mut().expect("just made")
    }
}

pub(crate) enum Found {
    One(Option<Value>),
    /// Of an alias with `[*]`.
    All(Vec<Option<Value>>),
}

impl Found {
    pub(crate) fn into_elements(self) -> Vec<Value> {
        match self {
            Self::One(Some(Value::Array(items))) => items,
            Self::One(_) => Vec::new(),
            Self::All(values) => values.into_iter().flatten().collect(),
        }
    }
}

/// The part of an alias behind the resource's type; `None` for an alias of another type.
pub(crate) fn path_of<'a>(kind: &str, alias: &'a str) -> Option<&'a str> {
    let (before, path) = (alias.get(..kind.len())?, alias.get(kind.len()..)?);
    let path = path.strip_prefix('/').filter(|_| before.eq_ignore_ascii_case(kind))?;
    // The configuration `web` of a site has two spellings.
    Some(if kind.eq_ignore_ascii_case("Microsoft.Web/sites/config") { path.strip_prefix("web.").unwrap_or(path) } else { path })
}

/// What an alias or one of the few general fields finds on a resource.
pub(crate) fn at_alias(resource: &Seen, alias: &str) -> Found {
    let text = |text: &str| Found::One(Some(text.into()));
    match alias.to_lowercase().as_str() {
        "type" => text(&resource.kind),
        "id" => text(&resource.id),
        "fullname" => text(&resource.name),
        "name" => text(resource.name.rsplit('/').next().unwrap_or_default()),
        "kind" | "location" => Found::One(property(&resource.body, alias).cloned()),
        _ => match path_of(&resource.kind, alias) {
            Some(path) => within(property(&resource.body, "properties").unwrap_or(&Value::Null), path),
            // Another type has no such property.
            None => Found::One(None),
        },
    }
}

/// Follows `a.b[*].c`. A list on the way counts as all of its elements, whether or not `[*]` stands there.
pub(crate) fn within(value: &Value, path: &str) -> Found {
    let mut values = vec![Some(value.clone())];
    let mut many = false;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, spread) = step.strip_suffix("[*]").map_or((step, false), |name| (name, true));
        let mut next = Vec::new();
        for value in values {
            match value {
                Some(Value::Array(items)) if !name.is_empty() => {
                    many = true;
                    next.extend(items.iter().map(|item| property(item, name).cloned()));
                }
                Some(value) if name.is_empty() => next.push(Some(value)),
                Some(value) => next.push(property(&value, name).cloned()),
                None => next.push(None),
            }
        }
        if spread {
            many = true;
            let lists = next.into_iter().filter_map(|value| value.and_then(|value| value.as_array().cloned()));
            next = lists.flatten().map(Some).collect();
        }
        values = next;
    }
    if many { Found::All(values) } else { Found::One(values.pop().flatten()) }
}

/// Everything that the policies look at.
pub(crate) fn seen(resources: &[Resource]) -> Vec<Seen> {
    let mut all: Vec<Seen> = resources.iter().map(of_template).collect();
    networks(&mut all);
    connections(&mut all);
    sites(&mut all);
    data_plane(&mut all);
    all
}

fn of_template(resource: &Resource) -> Seen {
    let of = resource.scope.clone().unwrap_or_else(|| parent(&resource.id));
    let (kind, name, id) = (resource.kind.clone(), resource.name.clone(), resource.id.clone());
    Seen { kind, name, id, version: resource.version.clone(), body: resource.body.clone(), of }
}

/// Of `.../vaults/kv/keys/links` it is `.../vaults/kv`.
fn parent(id: &str) -> String {
    id.rsplitn(3, '/').nth(2).unwrap_or_default().to_owned()
}

fn child(of: &Seen, kind: &str, name: &str, properties: &Value) -> Seen {
    Seen {
        kind: format!("{}/{kind}", of.kind),
        name: format!("{}/{name}", of.name),
        id: format!("{}/{kind}/{name}", of.id),
        version: of.version.clone(),
        body: json!({"properties": properties}),
        of: of.id.clone(),
    }
}

fn networks(all: &mut Vec<Seen>) {
    const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";
    let endpoints: Vec<String> = all
        .iter()
        .filter(|one| one.is("Microsoft.Network/privateEndpoints"))
        .filter_map(|one| one.body.pointer("/properties/subnet/id").and_then(Value::as_str).map(str::to_lowercase))
        .collect();
    let beside: Vec<Seen> = all.iter().filter(|one| one.is(SUBNET)).cloned().collect();
    let mut made = Vec::new();
    for network in all.iter_mut().filter(|one| one.is("Microsoft.Network/virtualNetworks")) {
        let id = network.id.clone();
        let inside = network.properties().entry("subnets").or_insert_with(|| json!([])).as_array().cloned().unwrap_or_default();
        let mut subnets = inside.clone();
        subnets.extend(beside.iter().filter(|one| one.of.eq_ignore_ascii_case(&id)).map(|one| {
            let name = one.name.rsplit('/').next().unwrap_or_default();
            json!({"name": name, "properties": one.body.get("properties").cloned().unwrap_or_default()})
        }));
        let flat = subnets.iter().enumerate().map(|(at, subnet)| {
            // Aliases of a subnet inside of its network leave `properties` out.
            let mut flat = subnet.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let name = property(subnet, "name").cloned().unwrap_or_default();
            let own = format!("{id}/subnets/{}", name.as_str().unwrap_or_default()).to_lowercase();
            let addresses = endpoints.iter().filter(|subnet| **subnet == own || may_be(subnet, &id, at)).count();
            flat.insert("name".into(), name);
            flat.insert("ipConfigurations".into(), (0..addresses).map(|at| json!({"id": format!("{own}/{at}")})).collect());
            Value::Object(flat)
        });
        let flat: Vec<Value> = flat.collect();
        for subnet in &inside {
            let name = property(subnet, "name").and_then(Value::as_str).unwrap_or_default();
            made.push(child(network, "subnets", name, subnet.get("properties").unwrap_or(&Value::Null)));
        }
        network.properties().insert("subnets".into(), Value::Array(flat));
    }
    all.extend(made);
    let assessed: Vec<Seen> = all
        .iter()
        .filter(|one| one.is(SUBNET))
        .map(|subnet| {
            let grouped = subnet.body.pointer("/properties/networkSecurityGroup/id").is_some();
            let status = if grouped { "Healthy" } else { "Unhealthy" };
            let mut made = child(subnet, "assessments", "eade5b56-eefd-444f-95c8-23f29e5d93cb", &json!({"status": {"code": status}}));
            made.kind = "Microsoft.Security/assessments".into();
            made
        })
        .collect();
    all.extend(assessed);
}

/// Whether an expression for a subnet's id can be the one of this number in the network; where it does not say, it can.
fn may_be(expression: &str, network: &str, at: usize) -> bool {
    let Some((of, number)) = expression.split_once(").subnets[") else { return expression.starts_with('[') };
    of.contains(&format!("'{}'", network.to_lowercase())) && number == format!("{at}].id]")
}

fn connections(all: &mut Vec<Seen>) {
    let targets: Vec<String> = all
        .iter()
        .filter(|one| one.is("Microsoft.Network/privateEndpoints"))
        .flat_map(|one| one.body.pointer("/properties/privateLinkServiceConnections").and_then(Value::as_array).into_iter().flatten())
        .filter_map(|one| one.pointer("/properties/privateLinkServiceId").and_then(Value::as_str).map(str::to_lowercase))
        .collect();
    let approved = json!({"privateLinkServiceConnectionState": {"status": "Approved"}});
    let mut made = Vec::new();
    for one in all.iter_mut() {
        let count = targets.iter().filter(|target| **target == one.id.to_lowercase()).count();
        if count > 0 {
            one.properties().insert("privateEndpointConnections".into(), vec![approved.clone(); count].into());
            made.extend((0..count).map(|at| child(one, "privateEndpointConnections", &at.to_string(), &approved)));
        }
    }
    all.extend(made);
}

fn sites(all: &mut Vec<Seen>) {
    let mut made = Vec::new();
    for site in all.iter().filter(|one| one.is("Microsoft.Web/sites")) {
        let mut config = site.body.pointer("/properties/siteConfig").and_then(Value::as_object).cloned().unwrap_or_default();
        let web = |one: &&Seen| one.is("Microsoft.Web/sites/config") && one.of.eq_ignore_ascii_case(&site.id) && one.name.ends_with("/web");
        for explicit in all.iter().filter(web) {
            config.extend(explicit.body.get("properties").and_then(Value::as_object).cloned().unwrap_or_default());
        }
        let identity = site.body.pointer("/identity/type").and_then(Value::as_str).unwrap_or_default();
        if identity.contains("SystemAssigned") {
            config.insert("managedServiceIdentityId".into(), 1.into());
        }
        if identity.contains("UserAssigned") {
            config.insert("xManagedServiceIdentityId".into(), 1.into());
        }
        made.push(child(site, "config", "web", &Value::Object(config)));
    }
    // Other configurations, such as the app settings, say nothing of what a policy asks of `web`.
    all.retain(|one| !one.is("Microsoft.Web/sites/config"));
    all.extend(made);
}

fn data_plane(all: &mut Vec<Seen>) {
    let of = |one: &Seen, path: &str| one.body.pointer(path).cloned().unwrap_or_default();
    let made: Vec<Seen> = all
        .iter()
        .filter(|one| one.is("Microsoft.KeyVault/vaults/keys") || one.is("Microsoft.KeyVault/vaults/secrets"))
        .map(|one| {
            let mut made = one.clone();
            made.kind = one.kind.replacen("Microsoft.KeyVault/", "Microsoft.KeyVault.Data/", 1);
            made.body = json!({"properties": {
                "keyType": of(one, "/properties/kty"), "keySize": of(one, "/properties/keySize"),
                "ellipticCurveName": of(one, "/properties/curveName"),
                "attributes": {"expiresOn": of(one, "/properties/attributes/exp")},
            }});
            made
        })
        .collect();
    all.extend(made);
}
