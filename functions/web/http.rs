//! Requests and replies of HTTP functions, as plain data that tests build by hand.

use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
}

impl Method {
    /// GET and HEAD change nothing (design I10).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// The path after the route prefix, without a leading slash: `portal/inbox`. The route's own words are spelled as in
    /// its template (the host takes any case); the rest is as it arrived.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Exactly as sent, already within the function's limit.
    pub body: Bytes,
    /// The host's id of this invocation; the same when the proxy repeats a dropped request, so it is the idempotency
    /// key of a POST, PUT or DELETE without a body.
    pub invocation_id: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        form(self.query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The first value of a form field of a URL-encoded body, decoded.
    pub fn form_value(&self, name: &str) -> Option<String> {
        form(&self.body).find(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == "cookie")
            .flat_map(|(_, v)| v.split(';'))
            .find_map(|pair| pair.trim().split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v))
    }
}

fn form(bytes: &[u8]) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(bytes).into_owned()
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// ASCII only: the host answers 500 to anything else in a header.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// 303: the browser goes on with a GET. `location` is a path of ours, made from configuration.
    pub fn see_other(location: &str) -> Self {
        Self { status: 303, headers: vec![("location", location.to_owned())], body: Bytes::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}
