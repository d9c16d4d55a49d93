//! The demo vendor: a make-believe ConnectWise and Autotask for two make-believe clients.
//!
//! It has the vendors' forms, hosts, signatures and paging, with today's dates and our own content, so that the demo goes
//! through the same verification, mapping and reading as a real tool would. Pure: `host` serves it on loopback, and
//! `config` refuses it outside the demo. Nothing of it is in a packaged binary (feature `demo`).

pub mod autotask;
pub mod connectwise;
mod seed;

pub use seed::{connections, seed};
use time::OffsetDateTime;
use uuid::{Uuid, uuid};

use crate::tenancy::{ConnectionId, PersonId, TenantId};

pub const HARBOR: TenantId = TenantId(uuid!("0f1c2a30-5b1e-4c5a-9c5d-2a6f0d3b7a01"));
pub const RIDGE: TenantId = TenantId(uuid!("0f1c2a30-5b1e-4c5a-9c5d-2a6f0d3b7a02"));

pub const CONNECTWISE: ConnectionId = ConnectionId(uuid!("7d3f9b10-8c44-4e0e-8a51-6b0c5e9d1c01"));
pub const AUTOTASK: ConnectionId = ConnectionId(uuid!("7d3f9b10-8c44-4e0e-8a51-6b0c5e9d1c02"));

/// Who can be picked at the demo's sign-in.
pub const PEOPLE: &[DemoPerson] = &[
    DemoPerson { id: person(1), name: "Marco Reyes", email: "marco@northgate.example", what: What::Engineer },
    DemoPerson { id: person(2), name: "Priya Nair", email: "priya@northgate.example", what: What::Approver },
    DemoPerson { id: person(3), name: "Sam Okafor", email: "sam@northgate.example", what: What::Approver },
    DemoPerson { id: person(4), name: "Olivia Hart", email: "olivia@northgate.example", what: What::Owner },
];

#[derive(Clone, Copy, Debug)]
pub struct DemoPerson {
    pub id: PersonId,
    pub name: &'static str,
    pub email: &'static str,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Engineer,
    Approver,
    Owner,
}

impl What {
    pub fn words(self) -> &'static str {
        match self {
            Self::Engineer => "Engineer at Northgate IT: connects tools, files evidence, proposes",
            Self::Approver => "Approver at Northgate IT: decides, never what they asked for themselves",
            Self::Owner => "Owner of Northgate IT: sees all clients and every connection",
        }
    }
}

const fn person(number: u128) -> PersonId {
    PersonId(Uuid::from_u128(0x5e0a_11c7_0b7d_4f6e_9a3c_0000_0000_0000 + number))
}

/// A callback as the vendor posts it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub connector: &'static str,
    pub connection: ConnectionId,
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// An answer of the vendor's API or key host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }

    fn not_found() -> Self {
        Self { status: 404, content_type: "application/json", body: r#"{"code":"NotFound","message":"no such resource"}"#.into() }
    }
}

/// What happened at the make-believe clients lately, oldest first.
pub fn deliveries(now: OffsetDateTime) -> Vec<Delivery> {
    let mut all = connectwise::deliveries(now);
    all.extend(autotask::deliveries(now));
    all
}

/// Answers a call that Assay makes to a vendor's host.
pub fn answer(host: &str, path: &str, query: &str, body: &[u8], now: OffsetDateTime) -> Answer {
    if host.ends_with("myconnectwise.net") {
        connectwise::answer(path, query, now)
    } else if host.ends_with("autotask.net") {
        autotask::answer(path, body, now)
    } else {
        Answer::not_found()
    }
}

/// `2026-11-25T09:30:00Z`
fn stamp(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Stable for the same day and name, so that a demo that is started again does not report everything twice.
fn event_id(now: OffsetDateTime, name: &str) -> Uuid {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{} {name}", now.date()).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
