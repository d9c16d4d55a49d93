//! The JSON envelope: what the host posts for every trigger that is not proxied HTTP, and what it must hear.
//!
//! `{"Data": {binding: value}, "Metadata": {...}}`. The host encodes bytes as base64, objects once, and everything
//! else as JSON text inside a JSON string (`ScriptInvocationContextExtensions.cs` of azure-functions-host).
//! `Metadata` is not read at all: top-level members of a JSON message overwrite the host's own keys there, so a
//! producer could forge them. The function is known from the path, the invocation from its header, the rest from the payload.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::web::Reply;

/// Far above the 66 kB of a full queue message; a retry's exception text takes some kilobytes more.
pub const MAX_ENVELOPE_BYTES: usize = 1024 * 1024;

/// What every function of ours but the HTTP ones gets.
#[derive(Debug)]
pub struct Envelope {
    data: Map<String, Value>,
}

#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope is not a JSON object with Data")]
    NotAnEnvelope(#[source] serde_json::Error),
    #[error("Data holds no member {0}")]
    Missing(String),
    #[error("Data is not what a {0} trigger gets")]
    Unexpected(&'static str),
    #[error("the message is not base64")]
    NotBase64(#[source] base64::DecodeError),
    /// Without proxying the host drops a body that the client sent chunked (azure-functions-host issues 4926, 7930).
    #[error("the host lost the body of a chunked request")]
    BodyLost,
}

/// `Data` of a timer trigger. Times are the host's text: year 1 means never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerInfo {
    pub past_due: bool,
    /// Absent without monitoring.
    pub last: Option<String>,
    pub next: Option<String>,
}

/// `Data` of an HTTP trigger that is not proxied. Holds function keys: never to be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpInput {
    pub method: String,
    pub url: String,
    /// Repeated keys joined by a comma: the host does that.
    pub query: Vec<(String, String)>,
    /// Names in lower case, one entry per value.
    pub headers: Vec<(String, String)>,
    /// Route parameters; an absent optional one is left out.
    pub params: Vec<(String, String)>,
    pub body: Bytes,
}

/// The one answer that completes an invocation: an empty body, 204 or `null` would hang it until `functionTimeout`,
/// which kills the process (measured on a running host). No outputs: we write with deterministic ids ourselves.
pub fn success() -> Reply {
    Reply::json(200, &json!({ "Outputs": {}, "Logs": [], "ReturnValue": null }))
}

/// Any status outside 200-299 fails the invocation: the message comes again. The host reads nothing of the body.
pub fn failure(status: u16, words: &str) -> Reply {
    Reply::json(status, &json!({ "error": words }))
}

impl Envelope {
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Posted {
            data: Map<String, Value>,
        }
        let posted: Posted = serde_json::from_slice(bytes).map_err(EnvelopeError::NotAnEnvelope)?;
        Ok(Self { data: posted.data })
    }

    /// The trigger's value: the member of that name, or the only one there is.
    fn value(&self, binding: &str) -> Result<&Value, EnvelopeError> {
        match (self.data.get(binding), self.data.len()) {
            (Some(value), _) => Ok(value),
            (None, 1) => self.data.values().next().ok_or_else(|| EnvelopeError::Missing(binding.to_owned())),
            _ => Err(EnvelopeError::Missing(binding.to_owned())),
        }
    }

    /// Exactly the bytes that were sent, whichever `dataType` the binding has. Text arrives as JSON text within the
    /// string: its quotation marks and braces are not in the alphabet of base64, so the two never mix.
    pub fn queue_message(&self, binding: &str) -> Result<Bytes, EnvelopeError> {
        let Value::String(text) = self.value(binding)? else {
            return Err(EnvelopeError::Unexpected("queue"));
        };
        match serde_json::from_str(text) {
            Ok(Value::String(message)) => Ok(Bytes::from(message)),
            Ok(Value::Object(_) | Value::Array(_)) => Ok(Bytes::from(text.clone())),
            // Digits, `true` and `null` are JSON too, and base64.
            _ => STANDARD.decode(text).map(Bytes::from).map_err(EnvelopeError::NotBase64),
        }
    }

    pub fn timer(&self, binding: &str) -> Result<TimerInfo, EnvelopeError> {
        let value = settle(self.value(binding)?);
        let past_due = value.get("IsPastDue").and_then(Value::as_bool).ok_or(EnvelopeError::Unexpected("timer"))?;
        let time = |name: &str| value.get("ScheduleStatus")?.get(name)?.as_str().map(str::to_owned);
        Ok(TimerInfo { past_due, last: time("Last"), next: time("Next") })
    }

    /// The changed documents of a Cosmos DB trigger. Read them again by id: the host may have rewritten their dates.
    pub fn documents(&self, binding: &str) -> Result<Vec<Value>, EnvelopeError> {
        match settle(self.value(binding)?) {
            Value::Array(documents) => Ok(documents),
            Value::String(text) => match settle(&Value::String(text)) {
                Value::Array(documents) => Ok(documents),
                _ => Err(EnvelopeError::Unexpected("Cosmos DB")),
            },
            _ => Err(EnvelopeError::Unexpected("Cosmos DB")),
        }
    }

    /// An Event Grid event, whether the host sent the object or its text.
    pub fn event(&self, binding: &str) -> Result<Value, EnvelopeError> {
        let value = settle(self.value(binding)?);
        let event = if value.is_string() { settle(&value) } else { value };
        if event.is_object() { Ok(event) } else { Err(EnvelopeError::Unexpected("Event Grid")) }
    }

    pub fn http(&self, binding: &str) -> Result<HttpInput, EnvelopeError> {
        let unexpected = || EnvelopeError::Unexpected("HTTP");
        let value = self.value(binding)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(unexpected);
        let headers: Vec<(String, String)> = object(value, "Headers")
            .flat_map(|(name, values)| {
                let name = name.to_ascii_lowercase();
                values.as_array().into_iter().flatten().filter_map(Value::as_str).map(move |v| (name.clone(), v.to_owned()))
            })
            .collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, v)| v.to_ascii_lowercase());
        let media_type = header("content-type").unwrap_or_default();
        let body = match value.get("Body") {
            None if header("transfer-encoding").is_some() => return Err(EnvelopeError::BodyLost),
            None => Bytes::new(),
            // Only these two kinds keep their bytes; any other binary type was damaged by text decoding before it came here.
            Some(Value::String(base64)) if media_type.starts_with("application/octet-stream") || media_type.starts_with("multipart/") => {
                STANDARD.decode(base64).map_err(EnvelopeError::NotBase64)?.into()
            }
            Some(Value::String(body)) => Bytes::from(body.clone()),
            Some(_) => return Err(unexpected()),
        };
        let pairs = |name| object(value, name).filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned()))).collect();
        Ok(HttpInput { method: text("Method")?, url: text("Url")?, query: pairs("Query"), params: pairs("Params"), headers, body })
    }
}

fn object<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

/// The decoding rule that fits every trigger: a string that is JSON text of a string, object or array means that;
/// any other string means itself.
fn settle(value: &Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::String(_) | Value::Object(_) | Value::Array(_))) => inner,
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}
