//! Outgoing HTTP with reqwest: https only, to names with public addresses only, no redirects, no proxy from the
//! environment, answers counted while they come and never unpacked.
//!
//! Origins that configuration chose (where people sign in, the witness of the logs) are called whatever their address is: a
//! custom cloud may be on this machine. In the demo nothing leaves the machine: every call goes to the demo vendor's loopback address, with the vendor's
//! host as the first path segment.

use std::{error::Error as _, sync::OnceLock};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use url::{Host, Url};

use super::public_names::{NotPublic, PublicNames};
use crate::platform::ports::{Http, HttpMethod, HttpRequest, HttpResponse, PortError, PortErrorKind};

#[derive(Default)]
pub struct HttpClient {
    // Made on first use: reading the trust store is not the start's business.
    client: OnceLock<reqwest::Client>,
    to_trusted: OnceLock<reqwest::Client>,
    demo_vendor: Option<Url>,
    /// Called wherever they are.
    trusted: Vec<Url>,
}

impl HttpClient {
    /// With `demo_vendor`, `https://HOST/path?q` is sent to `DEMO_URL/HOST/path?q`.
    pub fn new(demo_vendor: Option<Url>) -> Self {
        Self { demo_vendor, ..Self::default() }
    }

    /// Calls to exactly these origins go there, wherever that is.
    #[must_use]
    pub fn trusting(mut self, origins: impl IntoIterator<Item = Url>) -> Self {
        self.trusted.extend(origins);
        self
    }

    fn is_trusted(&self, url: &Url) -> bool {
        self.trusted.iter().any(|trusted| trusted.origin() == url.origin())
    }

    fn address(&self, url: &Url) -> Result<Url, PortError> {
        let invalid = || PortError::new("outgoing request", PortErrorKind::Invalid);
        let host = url.host_str().filter(|_| url.scheme() == "https").ok_or_else(invalid)?;
        if self.is_trusted(url) {
            return Ok(url.clone());
        }
        // An address in place of a name is never resolved, so nobody would judge it.
        if !matches!(url.host(), Some(Host::Domain(_))) {
            return Err(PortError::new("outgoing request", PortErrorKind::Denied));
        }
        let Some(demo) = &self.demo_vendor else { return Ok(url.clone()) };
        let mut address = demo.clone();
        address.set_path(&format!("/{host}{}", url.path()));
        address.set_query(url.query());
        Ok(address)
    }
}

#[async_trait]
impl Http for HttpClient {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, PortError> {
        let url = self.address(&request.url)?;
        let resource = format!("https://{}", request.url.host_str().unwrap_or_default());
        let method = match request.method {
            HttpMethod::Get => reqwest::Method::GET,
            HttpMethod::Post => reqwest::Method::POST,
            HttpMethod::Patch => reqwest::Method::PATCH,
        };
        let client = if self.is_trusted(&request.url) {
            client(&self.to_trusted)?
        } else if self.demo_vendor.is_some() {
            client(&self.client)?
        } else {
            public_client(&self.client)?
        };
        let mut call = client.request(method, url).timeout(request.timeout);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if !request.body.is_empty() {
            call = call.body(request.body);
        }
        let answer = call.send().await.map_err(|error| failure(&resource, error))?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = read(answer, &resource, request.max_response_bytes).await?;
        Ok(HttpResponse { status, headers, body })
    }
}

/// The process's client behind this cell, for addresses that the product itself chose.
pub(in crate::platform) fn client(cell: &OnceLock<reqwest::Client>) -> Result<&reqwest::Client, PortError> {
    made(cell, |builder| builder)
}

/// The same, for hosts that people typed and vendors named.
fn public_client(cell: &OnceLock<reqwest::Client>) -> Result<&reqwest::Client, PortError> {
    made(cell, |builder| builder.dns_resolver(PublicNames))
}

fn made(
    cell: &OnceLock<reqwest::Client>,
    with: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<&reqwest::Client, PortError> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    // Unpacking is on in the whole program as soon as one dependency asks for it; a limit must count what came.
    let plain = reqwest::Client::builder().no_gzip().no_deflate().no_brotli().no_zstd();
    let client = with(plain.redirect(reqwest::redirect::Policy::none()).no_proxy()).build();
    let client = client.map_err(|error| PortError::because("http client", PortErrorKind::Unavailable, error))?;
    Ok(cell.get_or_init(|| client))
}

/// The whole body, unless it is longer than `max`.
pub(in crate::platform) async fn read(mut answer: reqwest::Response, resource: &str, max: usize) -> Result<Bytes, PortError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(resource, error))? {
        if chunk.len() > max - body.len() {
            return Err(PortError::new(resource, PortErrorKind::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Without the URL: its path and query may carry credentials.
pub(in crate::platform) fn failure(resource: &str, error: reqwest::Error) -> PortError {
    let kind = if error.is_builder() {
        PortErrorKind::Invalid
    } else if is_not_public(&error) {
        PortErrorKind::Denied
    } else {
        PortErrorKind::Unavailable
    };
    PortError::because(resource, kind, error.without_url())
}

fn is_not_public(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_demo_every_vendor_host_is_an_address_of_this_machine() {
        let client = HttpClient::new(Some("http://127.0.0.1:7073".parse().expect("a URL")));
        let address = client.address(&"https://na.myconnectwise.net/v4/x?page=2".parse().expect("a URL")).expect("rewritten");
        assert_eq!(address.as_str(), "http://127.0.0.1:7073/na.myconnectwise.net/v4/x?page=2");
    }

    #[test]
    fn only_the_authority_that_was_configured_may_be_on_this_machine() {
        let client = HttpClient::new(None).trusting(Some("https://127.0.0.1:9443/".parse().expect("a URL")));
        let kind = |url: &str| client.address(&url.parse().expect("a URL")).map(|url| url.to_string()).map_err(|error| error.kind);
        assert_eq!(kind("https://127.0.0.1:9443/x/token?y"), Ok("https://127.0.0.1:9443/x/token?y".into()));
        for other in ["https://127.0.0.1/x", "https://127.0.0.1:9444/x", "https://[::1]:9443/", "https://10.0.0.1:9443/"] {
            assert_eq!(kind(other), Err(PortErrorKind::Denied), "{other}");
        }
        assert_eq!(kind("http://127.0.0.1:9443/x"), Err(PortErrorKind::Invalid));
        assert!(!client.is_trusted(&"https://localhost:9443/x".parse().expect("a URL")), "by another name it is another");
    }

    #[test]
    fn a_call_without_encryption_is_refused() {
        let error = HttpClient::new(None).address(&"http://na.myconnectwise.net/".parse().expect("a URL")).expect_err("refused");
        assert_eq!(error.kind, PortErrorKind::Invalid);
    }
}
