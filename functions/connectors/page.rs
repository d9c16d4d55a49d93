//! One page of a company's configurations, asked of its vendor and put into the form of all vendors.

use super::{
    Connection, Credentials, autotask,
    call::CallError,
    connectwise_manage,
    event::{Entity, Event},
    lines,
};
use crate::app::App;

const SLOW_PACE: std::time::Duration = std::time::Duration::from_mins(1);

/// Rows of one page in the form of all vendors.
pub struct Page {
    pub rows: Vec<Row>,
    pub unreadable: u64,
    pub next: Option<String>,
    pub pace: std::time::Duration,
}

pub struct Row {
    pub event: Event,
    /// SHA-256 of the row exactly as sent.
    pub hash: String,
    pub marking: Option<crate::evidence::cui::Marking>,
}

/// One page of a company's configurations.
pub(super) async fn read_page(app: &App, connection: &Connection, company: &str, next: Option<&str>) -> Result<Page, CallError> {
    let (sent, next, wait) = match &connection.credentials {
        Credentials::ConnectwiseManage { .. } => {
            use connectwise_manage::pull as vendor;
            let query = next.map_or_else(|| vendor::configurations_of(company), str::to_owned);
            let answer = vendor::page(app, connection, "company/configurations", &query).await?;
            (answer.rows, answer.next, std::time::Duration::ZERO)
        }
        Credentials::Autotask { .. } => {
            use autotask::pull as vendor;
            let allowed = vendor::Pace::of_usage(vendor::usage(app, connection).await?);
            if allowed == vendor::Pace::Stop {
                return Err(CallError::come_back(300, "the vendor's allowance is used up to 60 %"));
            }
            let answer = vendor::page(app, connection, "ConfigurationItems", vendor::configurations_of(company), next).await?;
            (answer.rows, answer.next, if allowed == vendor::Pace::Slow { SLOW_PACE } else { std::time::Duration::ZERO })
        }
    };
    if sent.len() > lines::MOST_ROWS {
        return Err(CallError::Refused("more rows in one answer than were asked for"));
    }
    let mut page = Page { rows: Vec::with_capacity(sent.len()), unreadable: 0, next, pace: wait };
    for entry in sent {
        match row(connection, entry.get()) {
            Some(row) => page.rows.push(row),
            None => page.unreadable += 1,
        }
    }
    Ok(page)
}

fn row(connection: &Connection, raw: &str) -> Option<Row> {
    let value = serde_json::from_str(raw).ok()?;
    let hash = crate::tenancy::seal::sha256(raw.as_bytes());
    let event = match &connection.credentials {
        Credentials::ConnectwiseManage { .. } => connectwise_manage::event::row(Entity::Configuration, &value, hash.clone()),
        Credentials::Autotask { .. } => autotask::event::row(Entity::Configuration, &value, hash.clone()),
    }?;
    Some(Row { event, hash, marking: super::event::marking(&value) })
}
