//! Reads of the Autotask API: the zone, the shared allowance, and pages of rows.
//!
//! The allowance is one per database and shared with every other integration of the MSP, so Assay slows down at half of
//! it and stops at 60 %. An unknown user is answered 500 by the vendor: asking again would not help.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    app::App,
    connectors::{
        Connection, Credentials,
        call::{self, CallError},
    },
};

const ZONE_HOST: &str = "webservices.autotask.net";
const KEEP_ZONE: Duration = Duration::from_hours(12);
const KEEP_USAGE: Duration = Duration::from_mins(1);

/// From this share of the allowance on, one page a minute.
pub const SLOW_DOWN_AT: f64 = 0.5;
/// From this share on, nothing.
pub const STOP_AT: f64 = 0.6;

/// How fast reading may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Full,
    Slow,
    Stop,
}

impl Pace {
    pub fn of_usage(ratio: f64) -> Self {
        if ratio >= STOP_AT {
            Self::Stop
        } else if ratio >= SLOW_DOWN_AT {
            Self::Slow
        } else {
            Self::Full
        }
    }
}

#[derive(Debug)]
pub struct Page {
    /// Exactly as sent.
    pub rows: Vec<Box<RawValue>>,
    /// Where the next page is; on the zone's own host.
    pub next: Option<String>,
}

/// The question for a company's configuration items.
pub fn configurations_of(company: &str) -> Bytes {
    let company = company.parse::<i64>().map_or_else(|_| json!(company), |id| json!(id));
    Bytes::from(json!({ "filter": [{ "op": "eq", "field": "companyID", "value": company }] }).to_string())
}

/// At most one configuration item, for a live test: how many came. The user's zone is asked anew.
pub async fn one(app: &App, connection: &Connection) -> Result<usize, CallError> {
    app.cache.forget(&zone_name(connection));
    let question = json!({ "MaxRecords": 1, "filter": [{ "op": "gt", "field": "id", "value": 0 }] });
    Ok(page(app, connection, "ConfigurationItems", Bytes::from(question.to_string()), None).await?.rows.len())
}

/// One page of an entity such as `ConfigurationItems`; `next` is what the page before said.
pub async fn page(app: &App, connection: &Connection, entity: &str, question: Bytes, next: Option<&str>) -> Result<Page, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        items: Vec<Box<RawValue>>,
        page_details: Option<Details>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        next_page_url: Option<String>,
    }
    let zone = zone(app, connection).await?;
    let url = match next {
        Some(next) => on_zone(next, &zone).ok_or(CallError::Refused("next page leaves the zone"))?,
        None => zone.join(&format!("v1.0/{entity}/query")).map_err(|_| CallError::Refused("address not understood"))?,
    };
    let response = call::ask(app, url, headers(connection), question).await?;
    let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| CallError::come_back(60, "answer is not JSON"))?;
    let next = answer.page_details.and_then(|details| details.next_page_url).filter(|next| !next.is_empty());
    Ok(Page { rows: answer.items, next })
}

/// The share of the allowance that is used up, 0 to 1.
pub async fn usage(app: &App, connection: &Connection) -> Result<f64, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        external_request_threshold: f64,
        current_timeframe_request_count: f64,
    }
    let name = format!("autotask-usage/{}", connection.id);
    if let Some(kept) = app.cache.get(&name, app.now())
        && let Ok(bytes) = <[u8; 8]>::try_from(kept.as_slice())
    {
        return Ok(f64::from_be_bytes(bytes));
    }
    let zone = zone(app, connection).await?;
    let url = zone.join("v1.0/ThresholdInformation").map_err(|_| CallError::Refused("address not understood"))?;
    let response = call::get(app, url, headers(connection)).await?;
    let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| CallError::come_back(60, "answer is not JSON"))?;
    // Nothing allowed reads as everything used.
    let ratio = if answer.external_request_threshold > 0.0 {
        answer.current_timeframe_request_count / answer.external_request_threshold
    } else {
        1.0
    };
    app.cache.put(&name, Zeroizing::new(ratio.to_be_bytes().to_vec()), app.now(), KEEP_USAGE);
    Ok(ratio)
}

/// The base address of the user's database, ending with a slash; on the connection's own host.
pub async fn zone(app: &App, connection: &Connection) -> Result<Url, CallError> {
    let name = zone_name(connection);
    if let Some(kept) = app.cache.get(&name, app.now()) {
        let zone = trusted_zone(&String::from_utf8_lossy(&kept)).ok_or(CallError::Refused("zone address not trusted"))?;
        return of_connection(zone, connection);
    }
    let zone = of_connection(fetch_zone(app, connection).await?, connection)?;
    app.cache.put(&name, Zeroizing::new(zone.as_str().as_bytes().to_vec()), app.now(), KEEP_ZONE);
    Ok(zone)
}

fn zone_name(connection: &Connection) -> String {
    format!("autotask-zone/{}", connection.id)
}

async fn fetch_zone(app: &App, connection: &Connection) -> Result<Url, CallError> {
    #[derive(Deserialize)]
    struct Answer {
        url: String,
    }
    let Credentials::Autotask { user, .. } = &connection.credentials else { return Err(CallError::Refused("not an Autotask connection")) };
    let mut url = Url::parse(&format!("https://{ZONE_HOST}/atservicesrest/v1.0/zoneInformation"))
        .map_err(|_| CallError::Refused("address not understood"))?;
    url.query_pairs_mut().append_pair("user", user);
    let response = match call::get(app, url, Vec::new()).await {
        Err(CallError::ComeBack { why: "failing", .. }) => return Err(CallError::Refused("no zone for this user")),
        other => other?,
    };
    let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| CallError::come_back(60, "answer is not JSON"))?;
    trusted_zone(&answer.url).ok_or(CallError::Refused("zone address not trusted"))
}

/// The secrets were typed for this host (see `form`); another one gets them only when a person types them again.
fn of_connection(zone: Url, connection: &Connection) -> Result<Url, CallError> {
    if zone.host_str() == Some(connection.host.as_str()) {
        Ok(zone)
    } else {
        Err(CallError::Refused("this API user lives in another zone than the connection's API host; correct the API host"))
    }
}

/// Our credentials go only to the vendor's own hosts.
fn trusted_zone(text: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/'))).ok()?;
    let host = url.host_str()?;
    (url.scheme() == "https" && host.ends_with(".autotask.net") && url.port().is_none() && url.username().is_empty()).then_some(url)
}

fn on_zone(next: &str, zone: &Url) -> Option<Url> {
    let url = Url::parse(next).ok()?;
    (url.scheme() == "https" && url.host_str() == zone.host_str() && url.port().is_none() && url.username().is_empty()).then_some(url)
}

fn headers(connection: &Connection) -> Vec<(String, String)> {
    let Credentials::Autotask { user, secret, integration_code, .. } = &connection.credentials else { return Vec::new() };
    vec![
        ("ApiIntegrationCode".into(), integration_code.0.clone()),
        ("UserName".into(), user.clone()),
        ("Secret".into(), secret.0.clone()),
        ("Content-Type".into(), "application/json".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_allowance_slows_and_sixty_percent_stops() {
        assert_eq!(Pace::of_usage(0.499), Pace::Full);
        assert_eq!(Pace::of_usage(0.521), Pace::Slow);
        assert_eq!(Pace::of_usage(0.6), Pace::Stop);
    }

    #[test]
    fn credentials_go_only_to_the_vendor_and_pages_stay_in_the_zone() {
        let zone = trusted_zone("https://webservices5.autotask.net/ATServicesRest/").expect("the vendor's");
        assert_eq!(zone.as_str(), "https://webservices5.autotask.net/ATServicesRest/");
        assert!(trusted_zone("https://autotask.net.attacker.example/").is_none());
        assert!(trusted_zone("http://webservices5.autotask.net/").is_none());
        assert!(on_zone("https://webservices5.autotask.net/ATServicesRest/V1.0/Tickets/query/next?paging=x", &zone).is_some());
        assert!(on_zone("https://webservices6.autotask.net/x", &zone).is_none());
    }
}
