//! The code and the template agree, in both directions: settings, queues, containers, keys, roles; and neither lets the
//! platform log addresses; what must be made first is made first. The code side is read from the code itself, never from a list kept here for it.

mod flex;
mod order;
mod quiet;
mod roles;
mod settings;
mod stores;
mod there_already;

use serde_json::Value;

use super::{
    SNAPSHOTS, file,
    template::{self, Resource},
};

/// One cloud's resources, as its snapshot shows them; the third snapshot is nobody's installation.
pub(super) struct Installation {
    pub(super) at: &'static str,
    pub(super) resources: Vec<Resource>,
}

pub(super) fn installations() -> Vec<Installation> {
    let read = |at: &'static str| Installation { at, resources: template::snapshot(at, &template::json(&file(at)).unwrap()).unwrap() };
    SNAPSHOTS.into_iter().take(2).map(read).collect()
}

impl Installation {
    pub(super) fn of<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.is(kind))
    }

    pub(super) fn site(&self) -> &Resource {
        let mut sites = self.of("Microsoft.Web/sites");
        let site = sites.next().unwrap_or_else(|| panic!("{}: no function app", self.at));
        assert!(sites.next().is_none(), "{}: two function apps", self.at);
        site
    }

    /// The app's settings, as they stand in the snapshot.
    fn settings(&self) -> serde_json::Map<String, Value> {
        let of_app = |resource: &&Resource| resource.last_name().eq_ignore_ascii_case("appsettings");
        let found: Vec<_> = self.of("Microsoft.Web/sites/config").filter(of_app).collect();
        assert_eq!(found.len(), 1, "{}: the settings of the app stand in one place", self.at);
        let inside = self.site().get(&["properties", "siteConfig", "appSettings"]);
        assert!(inside.is_none(), "{}: settings inside of siteConfig are replaced by those beside it", self.at);
        found[0]
            .get(&["properties"])
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_else(|| panic!("{}: the settings are an expression", self.at))
    }

    pub(super) fn setting(&self, name: &str) -> String {
        self.settings().get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{}: no setting {name}", self.at)).to_owned()
    }

    /// The resource of a type that a setting's expression reads: `reference('.../TYPE/NAME', ...)`.
    pub(super) fn read_by(&self, setting: &str, kind: &str) -> &Resource {
        let text = self.setting(setting);
        let mut found = self.of(kind).filter(|resource| text.to_lowercase().contains(&format!("{}'", resource.id.to_lowercase())));
        found.next().unwrap_or_else(|| panic!("{}: {setting} reads no {kind}: {text}", self.at))
    }

    pub(super) fn children<'a>(&'a self, of: &Resource, kind: &str) -> impl Iterator<Item = &'a Resource> {
        let within = format!("{}/", of.id.to_lowercase());
        self.of(kind).filter(move |resource| resource.id.to_lowercase().starts_with(&within))
    }
}

/// Last parts of names, in order.
fn names<'a>(resources: impl Iterator<Item = &'a Resource>) -> Vec<String> {
    let mut names: Vec<_> = resources.map(|resource| resource.last_name().to_owned()).collect();
    names.sort();
    names
}

fn sorted(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().map(Into::into).collect();
    names.sort();
    names
}
