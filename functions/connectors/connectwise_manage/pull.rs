//! Reads of the ConnectWise API: where it is, and pages of rows.
//!
//! The address holds the release's codebase, which changes with every upgrade: it is asked for, kept for half a day, and
//! asked for once more when an address is not found. Of a next link only the query is taken, so no answer can lead us to
//! another host.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    app::App,
    connectors::{
        Connection, Credentials,
        call::{self, CallError},
    },
};

/// Most rows per page (the vendor's maximum).
pub const PAGE_SIZE: usize = 1000;

const KEEP_CODEBASE: Duration = Duration::from_hours(12);
/// The API version this release was written against.
const ACCEPT: &str = "application/vnd.connectwise.com+json; version=2025.16";

#[derive(Debug)]
pub struct Page {
    /// Exactly as sent.
    pub rows: Vec<Box<RawValue>>,
    /// The query of the next page.
    pub next: Option<String>,
}

/// The first query for a company's configurations.
pub fn configurations_of(company: &str) -> String {
    query(&[("conditions", &format!("company/id={company}")), ("pageSize", &PAGE_SIZE.to_string())])
}

/// The query for every company.
pub fn companies() -> String {
    query(&[("pageSize", &PAGE_SIZE.to_string())])
}

/// At most one configuration, for a live test: how many came. Where the API is, is asked anew, with the login company.
pub async fn one(app: &App, connection: &Connection) -> Result<usize, CallError> {
    app.cache.forget(&codebase_name(connection));
    Ok(page(app, connection, "company/configurations", &query(&[("pageSize", "1")])).await?.rows.len())
}

/// One page of `path`, such as `company/configurations`.
pub async fn page(app: &App, connection: &Connection, path: &str, query: &str) -> Result<Page, CallError> {
    match page_once(app, connection, path, query).await {
        // After an upgrade of the vendor's the old codebase is not found.
        Err(CallError::NotFound) => {
            app.cache.forget(&codebase_name(connection));
            page_once(app, connection, path, query).await
        }
        other => other,
    }
}

async fn page_once(app: &App, connection: &Connection, path: &str, query: &str) -> Result<Page, CallError> {
    let base = base(app, connection).await?;
    let mut url = Url::parse(&format!("{base}/{path}")).map_err(|_| CallError::Refused("address not understood"))?;
    url.set_query(Some(query));
    let response = call::get(app, url, headers(connection)).await?;
    let rows: Vec<Box<RawValue>> = serde_json::from_slice(&response.body).map_err(|_| CallError::come_back(60, "answer is not JSON"))?;
    let next = response.header("link").and_then(next_query);
    Ok(Page { rows, next })
}

/// `https://api-na.myconnectwise.net/v2026_1/apis/3.0`.
pub async fn base(app: &App, connection: &Connection) -> Result<String, CallError> {
    let name = codebase_name(connection);
    let codebase = if let Some(kept) = app.cache.get(&name, app.now()) {
        String::from_utf8_lossy(&kept).into_owned()
    } else {
        let codebase = fetch_codebase(app, connection).await?;
        app.cache.put(&name, Zeroizing::new(codebase.clone().into_bytes()), app.now(), KEEP_CODEBASE);
        codebase
    };
    Ok(format!("https://{}/{codebase}/apis/3.0", api_host(&connection.host)))
}

async fn fetch_codebase(app: &App, connection: &Connection) -> Result<String, CallError> {
    #[derive(Deserialize)]
    struct CompanyInfo {
        #[serde(rename = "Codebase")]
        codebase: Option<String>,
    }
    let Credentials::ConnectwiseManage { company, .. } = &connection.credentials else {
        return Err(CallError::Refused("not a ConnectWise connection"));
    };
    let url = Url::parse(&format!("https://{}/login/companyinfo/{company}", connection.host));
    let response = call::get(app, url.map_err(|_| CallError::Refused("address not understood"))?, Vec::new()).await?;
    let info: Option<CompanyInfo> = serde_json::from_slice(&response.body).map_err(|_| CallError::come_back(60, "answer is not JSON"))?;
    // Null stands for a company the vendor does not know.
    let codebase = info.ok_or(CallError::Refused("login company not known"))?.codebase.unwrap_or_else(|| "v4_6_release/".into());
    let codebase = codebase.trim_matches('/');
    let good = !codebase.is_empty() && codebase.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if good && !codebase.contains("..") { Ok(codebase.to_owned()) } else { Err(CallError::Refused("codebase not understood")) }
}

fn codebase_name(connection: &Connection) -> String {
    format!("connectwise-codebase/{}", connection.id)
}

/// The vendor's cloud has a host of its own for the API.
fn api_host(host: &str) -> String {
    match host.strip_suffix(".myconnectwise.net") {
        Some(region) if !region.starts_with("api-") && !region.contains('.') => format!("api-{host}"),
        _ => host.to_owned(),
    }
}

fn headers(connection: &Connection) -> Vec<(String, String)> {
    let Credentials::ConnectwiseManage { company, public_key, private_key, client_id } = &connection.credentials else { return Vec::new() };
    let basic = BASE64.encode(format!("{company}+{}:{}", public_key.0, private_key.0));
    vec![("Authorization".into(), format!("Basic {basic}")), ("clientId".into(), client_id.clone()), ("Accept".into(), ACCEPT.into())]
}

/// The query of `rel="next"` in a Link header (RFC 8288).
fn next_query(link: &str) -> Option<String> {
    let target = link.split(',').find(|part| part.replace(' ', "").contains("rel=\"next\""))?;
    let url = target.trim().strip_prefix('<')?.split('>').next()?;
    url.split_once('?').map(|(_, query)| query.to_owned())
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_answers_on_hosts_of_its_own() {
        assert_eq!(api_host("na.myconnectwise.net"), "api-na.myconnectwise.net");
        assert_eq!(api_host("api-eu.myconnectwise.net"), "api-eu.myconnectwise.net");
        assert_eq!(api_host("psa.northgate.example"), "psa.northgate.example");
    }

    #[test]
    fn of_a_next_link_only_the_query_is_taken() {
        let link = "<https://evil.example/x?pageSize=3&page=2>; rel=\"next\", <https://evil.example/x?page=9>; rel=\"last\"";
        assert_eq!(next_query(link), Some("pageSize=3&page=2".into()));
        assert_eq!(next_query("<https://a.example/x?page=9>; rel=\"last\""), None);
    }
}
