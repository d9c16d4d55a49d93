//! The flattened app folder: host.json and one `function.json` in each direct child folder, read by the host's rules.
//!
//! The stand-in knows nothing of the app but this folder, so a name, route or binding that Azure would refuse is refused
//! here too, all mistakes at once. Where the real host would load half an app and log an error, this one refuses the
//! folder: nobody reads that log. Known bindings that the stand-in cannot drive are named as such.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    hostjson::{HostJson, HostJsonProblem, expand_percent},
    route::{Route, RouteError},
    timers::Schedule,
};
use crate::platform::limits::is_queue_name;

/// App settings, such as `AzureWebJobs.sweep.Disabled`.
pub type Settings = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct AppFolder {
    pub root: PathBuf,
    pub host: HostJson,
    /// By name; disabled ones are left out.
    pub functions: Vec<Function>,
    /// Bytes a request body may have (`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`).
    pub body_limit: usize,
}

#[derive(Clone, Debug)]
pub struct Function {
    /// The folder's name, and the path of its envelopes.
    pub name: String,
    pub trigger: Trigger,
    pub outputs: Vec<Output>,
}

#[derive(Clone, Debug)]
pub enum Trigger {
    Http { level: AuthLevel, methods: Vec<String>, route: Route },
    Queue { binding: String, queue: String, data_type: DataType },
    Timer { binding: String, schedule: Schedule, run_on_startup: bool, use_monitor: bool },
}

/// An output binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The member of `Outputs`, or `$return`.
    pub name: String,
    pub kind: OutputKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    Http,
    Queue(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    Text,
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthLevel {
    Anonymous,
    Function,
    Admin,
}

/// Everything wrong with an app folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct AppFolderError(pub Vec<Problem>);

impl fmt::Display for AppFolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", lines.join("; "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, std::io::ErrorKind),
    #[error("host.json {0}")]
    Host(HostJsonProblem),
    #[error("host.json has http functions but not customHandler.enableProxyingHttpRequest, the only mode this host serves")]
    NotProxying,
    #[error("{0}/function.json {1}")]
    Function(String, FunctionProblem),
    #[error("{0} and {1}: same route and method")]
    SameRoute(String, String),
    #[error("no function.json in any direct child folder")]
    NoFunctions,
    #[error("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not a number of bytes")]
    BodyLimit,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionProblem {
    #[error("stands in a folder whose name is no function name (a letter, then letters, digits, - and _, at most 128; not host)")]
    Name,
    #[error("stands in a folder whose name differs from another only in case")]
    SameName,
    #[error("is not JSON: {0}")]
    NotJson(String),
    #[error("has no bindings")]
    NoBindings,
    #[error("must have exactly one trigger")]
    Triggers,
    #[error("has a binding of type {0}, which the host does not know")]
    UnknownBinding(String),
    #[error("has a binding of type {0}, which this stand-in does not drive")]
    NotDriven(String),
    #[error("has a binding with a wrong or missing {0}")]
    Field(&'static str),
    #[error("has two bindings of one name")]
    SameBinding,
    #[error("route {0}")]
    Route(RouteError),
    #[error("has an http trigger without exactly one http output beside it: it could not be proxied")]
    NotProxied,
    #[error("has a retry policy, which this stand-in does not run")]
    Retry,
}

impl AppFolder {
    pub fn read(root: &Path, settings: &Settings) -> Result<Self, AppFolderError> {
        let mut problems = Vec::new();
        let host = match fs::read_to_string(root.join("host.json")) {
            Ok(text) => HostJson::parse(&text, |name| settings.get(name).cloned())
                .map_err(|found| problems.extend(found.into_iter().map(Problem::Host)))
                .ok(),
            Err(error) => {
                problems.push(Problem::Unreadable("host.json".into(), error.kind()));
                None
            }
        };
        let mut functions = Vec::new();
        let mut names = BTreeSet::new();
        for (name, text) in function_files(root, &mut problems) {
            if !is_function_name(&name) {
                problems.push(Problem::Function(name, FunctionProblem::Name));
                continue;
            }
            if !names.insert(name.to_lowercase()) {
                problems.push(Problem::Function(name, FunctionProblem::SameName));
                continue;
            }
            match Function::parse(&name, &text, settings) {
                Ok(Some(function)) => functions.push(function),
                Ok(None) => {}
                Err(found) => problems.extend(found.into_iter().map(|problem| Problem::Function(name.clone(), problem))),
            }
        }
        if names.is_empty() {
            problems.push(Problem::NoFunctions);
        }
        problems.extend(same_routes(&functions));
        let http = functions.iter().any(|f| matches!(f.trigger, Trigger::Http { .. }));
        if http && host.as_ref().is_some_and(|host| !host.proxying) {
            problems.push(Problem::NotProxying);
        }
        let body_limit = match settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT").map(|text| text.parse()) {
            None => 104_857_600,
            Some(Ok(limit)) => limit,
            Some(Err(_)) => {
                problems.push(Problem::BodyLimit);
                0
            }
        };
        match host {
            Some(host) if problems.is_empty() => Ok(Self { root: root.to_path_buf(), host, functions, body_limit }),
            _ => Err(AppFolderError(problems)),
        }
    }

    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|f| f.name.eq_ignore_ascii_case(name))
    }
}

impl Function {
    /// `None` when the function is disabled.
    pub fn parse(name: &str, text: &str, settings: &Settings) -> Result<Option<Self>, Vec<FunctionProblem>> {
        let json: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| vec![FunctionProblem::NotJson(e.to_string())])?;
        let Some(bindings) = json["bindings"].as_array().filter(|list| !list.is_empty()) else {
            return Err(vec![FunctionProblem::NoBindings]);
        };
        let mut problems = Vec::new();
        let (mut triggers, mut outputs, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
        for binding in bindings {
            let binding = Binding { json: binding, function: name, settings };
            match binding.read() {
                Ok(Part::Trigger(trigger)) => triggers.push(trigger),
                Ok(Part::Output(output)) => outputs.push(output),
                Err(problem) => problems.push(problem),
            }
            if !names.insert(binding.text("name").to_lowercase()) {
                problems.push(FunctionProblem::SameBinding);
            }
        }
        if !json["retry"].is_null() {
            problems.push(FunctionProblem::Retry);
        }
        let trigger = triggers.pop().filter(|_| triggers.is_empty());
        if trigger.is_none() && problems.is_empty() {
            problems.push(FunctionProblem::Triggers);
        }
        if matches!(trigger, Some(Trigger::Http { .. })) && !matches!(outputs.as_slice(), [Output { kind: OutputKind::Http, .. }]) {
            problems.push(FunctionProblem::NotProxied);
        }
        let setting = format!("AzureWebJobs.{name}.Disabled");
        let disabled = json["disabled"] == true || settings.get(&setting).is_some_and(|v| v == "1" || v.eq_ignore_ascii_case("true"));
        match trigger {
            Some(trigger) if problems.is_empty() => Ok((!disabled).then(|| Self { name: name.to_owned(), trigger, outputs })),
            _ => Err(problems),
        }
    }
}

struct Binding<'a> {
    json: &'a Value,
    function: &'a str,
    settings: &'a Settings,
}

enum Part {
    Trigger(Trigger),
    Output(Output),
}

/// Bindings of the extension bundle that the real host would load.
const NOT_DRIVEN: &[&str] = &[
    "blob",
    "blobtrigger",
    "cosmosdb",
    "cosmosdbtrigger",
    "eventgrid",
    "eventgridtrigger",
    "eventhub",
    "eventhubtrigger",
    "servicebus",
    "servicebustrigger",
    "signalr",
    "table",
];

impl Binding<'_> {
    fn read(&self) -> Result<Part, FunctionProblem> {
        let name = self.text("name");
        let is_name =
            name == "$return" || name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_name {
            return Err(FunctionProblem::Field("name"));
        }
        let direction = self.json["direction"].as_str().unwrap_or("in").to_lowercase();
        let kind = self.text("type").to_lowercase();
        let expected = if kind.ends_with("trigger") { "in" } else { "out" };
        let part = match kind.as_str() {
            "httptrigger" => Part::Trigger(self.http()?),
            "queuetrigger" => Part::Trigger(self.queue_trigger(name)?),
            "timertrigger" => Part::Trigger(self.timer(name)?),
            "http" => Part::Output(Output { name, kind: OutputKind::Http }),
            "queue" => Part::Output(Output { name, kind: OutputKind::Queue(self.queue()?) }),
            other if NOT_DRIVEN.contains(&other) => return Err(FunctionProblem::NotDriven(self.text("type"))),
            _ => return Err(FunctionProblem::UnknownBinding(self.text("type"))),
        };
        if direction == expected { Ok(part) } else { Err(FunctionProblem::Field("direction")) }
    }

    fn http(&self) -> Result<Trigger, FunctionProblem> {
        let level = match self.json["authLevel"].as_str().unwrap_or("function").to_lowercase().as_str() {
            "anonymous" => AuthLevel::Anonymous,
            "function" => AuthLevel::Function,
            "admin" => AuthLevel::Admin,
            _ => return Err(FunctionProblem::Field("authLevel")),
        };
        let methods = match &self.json["methods"] {
            Value::Null => METHODS.iter().map(|m| (*m).to_owned()).collect(),
            Value::Array(list) => list
                .iter()
                .map(|m| m.as_str().map(str::to_uppercase).filter(|m| METHODS.contains(&m.as_str())))
                .collect::<Option<Vec<_>>>()
                .filter(|methods| !methods.is_empty())
                .ok_or(FunctionProblem::Field("methods"))?,
            _ => return Err(FunctionProblem::Field("methods")),
        };
        let template = match &self.json["route"] {
            Value::Null => self.function,
            Value::String(text) => text,
            _ => return Err(FunctionProblem::Field("route")),
        };
        Ok(Trigger::Http { level, methods, route: Route::parse(template).map_err(FunctionProblem::Route)? })
    }

    fn queue_trigger(&self, binding: String) -> Result<Trigger, FunctionProblem> {
        let data_type = match self.json["dataType"].as_str().map(str::to_lowercase).as_deref() {
            None | Some("string") => DataType::Text,
            Some("binary") => DataType::Binary,
            Some(_) => return Err(FunctionProblem::Field("dataType")),
        };
        Ok(Trigger::Queue { binding, queue: self.queue()?, data_type })
    }

    fn queue(&self) -> Result<String, FunctionProblem> {
        if !self.json["connection"].is_null() && !self.json["connection"].is_string() {
            return Err(FunctionProblem::Field("connection"));
        }
        let queue = expand_percent(&self.text("queueName"), |name| self.settings.get(name).cloned());
        if is_queue_name(&queue) { Ok(queue) } else { Err(FunctionProblem::Field("queueName")) }
    }

    fn timer(&self, binding: String) -> Result<Trigger, FunctionProblem> {
        let text = expand_percent(&self.text("schedule"), |name| self.settings.get(name).cloned());
        let schedule = Schedule::parse(&text).map_err(|_| FunctionProblem::Field("schedule"))?;
        let use_monitor = self.json["useMonitor"].as_bool().unwrap_or_else(|| schedule.is_monitored_by_default());
        Ok(Trigger::Timer { binding, schedule, run_on_startup: self.json["runOnStartup"] == true, use_monitor })
    }

    fn text(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_default().to_owned()
    }
}

const METHODS: &[&str] = &["GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS", "TRACE"];

/// Only direct children of the folder that holds host.json, in name order.
fn function_files(root: &Path, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(root) else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join("function.json");
        if !file.is_file() {
            continue;
        }
        match fs::read_to_string(&file) {
            Ok(text) => {
                found.insert(name, text);
            }
            Err(error) => problems.push(Problem::Unreadable(format!("{name}/function.json"), error.kind())),
        }
    }
    found
}

fn is_function_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && !name.eq_ignore_ascii_case("host")
}

fn same_routes(functions: &[Function]) -> Vec<Problem> {
    let mut seen: BTreeMap<(String, &str), &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for function in functions {
        let Trigger::Http { methods, route, .. } = &function.trigger else { continue };
        let clash = methods.iter().find_map(|method| seen.insert((route.shape(), method), &function.name));
        if let Some(other) = clash.filter(|other| *other != function.name) {
            problems.push(Problem::SameRoute(other.to_owned(), function.name.clone()));
        }
    }
    problems
}
