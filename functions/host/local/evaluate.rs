//! What the host makes of a handler's answer to an envelope, and of the outputs in it.
//!
//! azure-functions-host, `DefaultHttpWorkerService.cs` and `HttpScriptInvocationResultExtensions.cs`: success is a 2xx
//! with a JSON Content-Type and a JSON object; an empty body or `null` never completes; everything else has failed and
//! its outputs and logs are lost. Output bindings are judged by the same rules although the product declares none.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::appfolder::{Output, OutputKind};

/// A handler's answer as it came over the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Succeeded(Effects),
    /// The host waits until functionTimeout and then kills the process.
    NeverCompletes,
    Failed(Failure),
}

/// What a successful answer brings about besides success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Queue and message, in order.
    pub messages: Vec<(String, Bytes)>,
    /// At Information, tied to the invocation.
    pub logs: Vec<String>,
    /// What the caller of an HTTP function sees.
    pub http: Option<HttpResult>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResult {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("status {0}")]
    Status(u16),
    #[error("no formatter for {0}")]
    ContentType(String),
    #[error("body is not a JSON object")]
    NotAnObject,
    #[error("Logs must be an array of strings")]
    Logs,
    #[error("the http output must be a JSON object")]
    HttpOutput,
}

/// `outputs` are the function's output bindings.
pub fn evaluate(answer: &Answer, outputs: &[Output]) -> Verdict {
    match read(answer) {
        Ok(Some(envelope)) => effects(&envelope, outputs).map_or_else(Verdict::Failed, Verdict::Succeeded),
        Ok(None) => Verdict::NeverCompletes,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// `None` when the answer counts as no answer at all.
fn read(answer: &Answer) -> Result<Option<Map<String, Value>>, Failure> {
    if !(200..300).contains(&answer.status) {
        return Err(Failure::Status(answer.status));
    }
    if answer.body.is_empty() {
        return Ok(None);
    }
    let content_type = answer.content_type.as_deref().unwrap_or("application/octet-stream");
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    if !matches!(media_type.as_str(), "application/json" | "text/json") {
        return Err(Failure::ContentType(media_type));
    }
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(envelope)) => Ok(Some(envelope)),
        Ok(Value::Null) => Ok(None),
        _ => Err(Failure::NotAnObject),
    }
}

fn effects(envelope: &Map<String, Value>, bindings: &[Output]) -> Result<Effects, Failure> {
    let logs = match member(envelope, "Logs") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(lines)) => {
            lines.iter().map(|line| line.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>().ok_or(Failure::Logs)?
        }
        Some(_) => return Err(Failure::Logs),
    };
    let outputs = match member(envelope, "Outputs") {
        None | Some(Value::Null) => None,
        Some(Value::Object(outputs)) => Some(outputs),
        Some(_) => return Err(Failure::NotAnObject),
    };
    let mut effects = Effects { logs, ..Effects::default() };
    for binding in bindings {
        let value =
            if binding.name == "$return" { member(envelope, "ReturnValue") } else { outputs.and_then(|o| member(o, &binding.name)) };
        match (&binding.kind, value) {
            (OutputKind::Http, None) if outputs.is_none() => {
                effects.http = Some(HttpResult { status: 204, headers: Vec::new(), body: Bytes::new() });
            }
            (OutputKind::Http, None) => effects.http = Some(HttpResult::text(200, "{}")),
            (OutputKind::Http, Some(value)) => effects.http = Some(http_result(value)?),
            (OutputKind::Queue(_), None | Some(Value::Null)) => {}
            (OutputKind::Queue(queue), Some(value)) => effects.messages.extend(messages(value).into_iter().map(|m| (queue.clone(), m))),
        }
    }
    Ok(effects)
}

impl HttpResult {
    fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), "text/plain; charset=utf-8".into())],
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }
}

/// `{statusCode, headers, body}`, or the JSON text of one.
fn http_result(value: &Value) -> Result<HttpResult, Failure> {
    let parsed;
    let object = match value {
        Value::Object(object) => object,
        Value::String(text) => {
            parsed = serde_json::from_str::<Map<String, Value>>(text).map_err(|_| Failure::HttpOutput)?;
            &parsed
        }
        _ => return Err(Failure::HttpOutput),
    };
    let status = match member(object, "statusCode") {
        Some(Value::Number(number)) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        _ => Some(200),
    };
    let body = match member(object, "body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => indented(other),
    };
    let mut result = HttpResult::text(status.ok_or(Failure::HttpOutput)?, &body);
    for (name, value) in member(object, "headers").and_then(Value::as_object).into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            // An array becomes indented text with line breaks, which no server takes as a header (measured).
            Value::Array(_) | Value::Object(_) => return Ok(HttpResult { status: 500, headers: Vec::new(), body: Bytes::new() }),
            other => other.to_string(),
        };
        if name.eq_ignore_ascii_case("content-type") {
            let charset = if text.to_lowercase().contains("charset=") { "" } else { "; charset=utf-8" };
            result.headers[0].1 = format!("{text}{charset}");
        } else {
            result.headers.push((name.clone(), text));
        }
    }
    Ok(result)
}

/// The messages of a queue output, by the rules in their order: base64 is decoded, an array splits, JSON text is parsed
/// and written again, an object is written indented. Only base64 keeps bytes exact.
fn messages(value: &Value) -> Vec<Bytes> {
    match value {
        Value::String(text) => {
            if let Ok(bytes) = BASE64.decode(text) {
                return vec![bytes.into()];
            }
            let trimmed = text.trim();
            let is_json = trimmed.starts_with('{') && trimmed.ends_with('}') || trimmed.starts_with('[') && trimmed.ends_with(']');
            match serde_json::from_str::<Value>(trimmed) {
                Ok(Value::Array(elements)) if is_json => elements.iter().map(element).collect(),
                Ok(object) if is_json => vec![indented(&object).into()],
                _ => vec![text.clone().into()],
            }
        }
        Value::Array(elements) => elements.iter().map(element).collect(),
        other => vec![element(other)],
    }
}

fn element(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.clone().into(),
        other => indented(other).into(),
    }
}

/// As the .NET JSON library writes it: indented, with date-like strings rewritten (a fraction's trailing zeros go).
fn indented(value: &Value) -> String {
    fn dates(value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(rewritten_date(text).unwrap_or_else(|| text.clone())),
            Value::Array(list) => list.iter().map(dates).collect(),
            Value::Object(object) => object.iter().map(|(k, v)| (k.clone(), dates(v))).collect::<Map<_, _>>().into(),
            other => other.clone(),
        }
    }
    serde_json::to_string_pretty(&dates(value)).unwrap_or_default()
}

fn rewritten_date(text: &str) -> Option<String> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC).format(&Rfc3339).ok()
}

/// The host's JSON settings find members without regard to case.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}
