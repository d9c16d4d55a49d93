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

    /// Whether every field of a URL-encoded body is text. Reading a field takes what is not UTF-8, overlong forms included,
    /// for U+FFFD, so two different bodies could be read as one.
    pub fn form_is_text(&self) -> bool {
        let mut bytes = self.body.iter();
        let mut decoded = Vec::with_capacity(self.body.len());
        while let Some(&byte) = bytes.next() {
            let rest = bytes.as_slice();
            let hex = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
            match (byte, hex(0), hex(1)) {
                (b'%', Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    bytes.nth(1);
                }
                _ => decoded.push(byte),
            }
        }
        std::str::from_utf8(&decoded).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_text_or_it_is_none() {
        let of = |body: &[u8]| Request {
            method: Method::Post,
            path: "portal/x".into(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body),
            invocation_id: "i".into(),
        };
        for text in [&b""[..], b"comment=a%20b+c", b"comment=%E2%80%AE", "comment=\u{e9}".as_bytes(), b"x=100%", b"x=%zz%4", b"x=%00"] {
            assert!(of(text).form_is_text(), "{text:?}");
        }
        for other in [&b"comment=\xc0\x80"[..], b"comment=%c0%80", b"comment=%C0%80&x=y", b"\xff", b"x=%ed%a0%80", b"x=%E2%80"] {
            assert!(!of(other).form_is_text(), "{other:?}");
        }
    }
}
