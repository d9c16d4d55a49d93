//! The Marketplace's metering service as its documentation has it (api-version 2018-08-31): one event for each resource,
//! dimension and calendar hour, none of the future or of more than 24 hours ago, and a duplicate shows what it has.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use assay::platform::ports::{Clock as _, HttpRequest, HttpResponse, Identity, PortError, PortErrorKind};
use async_trait::async_trait;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{TestApp, clock::VirtualClock, http::response};

pub const USAGE: &str = "https://marketplaceapi.microsoft.com/api/usageEvent?api-version=2018-08-31";
pub const APP: &str =
    "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/msp/providers/Microsoft.Solutions/applications/assay";

/// The settings of an installation whose clients are reported.
pub const METERED: &[(&str, &str)] = &[("ASSAY_METERING_PLAN", "managed"), ("ASSAY_METERING_RESOURCE", APP)];

const TOKEN: &str = "a token for the Marketplace";

pub struct Marketplace {
    clock: Arc<VirtualClock>,
    /// Quantity by resource, dimension and hour.
    taken: Mutex<BTreeMap<(String, String, String), u64>>,
    /// What it says next, in place of an answer of its own.
    says: Mutex<VecDeque<Saying>>,
    /// Every body that it was sent.
    asked: Mutex<Vec<Value>>,
}

/// What it does instead of answering as it should.
#[derive(Clone, Copy)]
pub enum Saying {
    Status(u16),
    /// It takes the event, and the answer is lost.
    Lost,
}

impl Marketplace {
    /// In place of the vendors; the App has a token for it from now on.
    pub fn of(test: &mut TestApp) -> Arc<Self> {
        let (taken, says, asked) = Default::default();
        let marketplace = Arc::new(Self { clock: test.clock.clone(), taken, says, asked });
        let answers = marketplace.clone();
        test.http.answer_with(move |request| answers.answer(request));
        test.identity = Some(Arc::new(ManagedIdentity));
        test.restart();
        marketplace
    }

    pub fn says(&self, sayings: &[Saying]) {
        self.says.lock().unwrap().extend(sayings);
    }

    /// Somebody else's event, or one of before the database was put back.
    pub fn has(&self, hour: &str, quantity: u64) {
        self.taken.lock().unwrap().insert((APP.into(), "clients".into(), hour.into()), quantity);
    }

    /// How many clients are on the bill of a month, such as `2026-03`.
    pub fn billed(&self, month: &str) -> u64 {
        self.taken.lock().unwrap().iter().filter(|((.., hour), _)| hour.starts_with(month)).map(|(_, quantity)| quantity).sum()
    }

    /// What it was sent since this was last asked.
    pub fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// `None`: it is not for the Marketplace.
    pub fn answer(&self, request: &HttpRequest) -> Option<Result<HttpResponse, PortError>> {
        if request.url.as_str() != USAGE {
            return None;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.asked.lock().unwrap().push(body.clone());
        let saying = self.says.lock().unwrap().pop_front();
        if let Some(Saying::Status(status)) = saying {
            return Some(Ok(response(status, &[], json!({ "code": "as the story has it" }).to_string())));
        }
        let is_ours = request.headers.contains(&("Authorization".to_owned(), format!("Bearer {TOKEN}")));
        let answer = if is_ours { self.take(&body) } else { (403, json!({ "code": "Forbidden" })) };
        if let Some(Saying::Lost) = saying {
            return Some(Err(PortError::new("stub", PortErrorKind::Unavailable)));
        }
        Some(Ok(response(answer.0, &[], answer.1.to_string())))
    }

    fn take(&self, body: &Value) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let at = OffsetDateTime::parse(&text("effectiveStartTime"), &Rfc3339).unwrap();
        let quantity = body["quantity"].as_u64().unwrap_or_default();
        let ago = self.clock.now() - at;
        if quantity == 0 || ago.is_negative() || ago > Duration::hours(24) || text("planId") != "managed" {
            return (400, json!({ "code": "BadArgument", "message": "One or more errors have occurred." }));
        }
        let named: Vec<String> = ["resourceUri", "resourceId"].map(&text).into_iter().filter(|name| !name.is_empty()).collect();
        let [resource] = named.as_slice() else {
            return (400, json!({ "code": "BadArgument", "message": "One of resourceId and resourceUri." }));
        };
        let key = (resource.clone(), text("dimension"), text("effectiveStartTime")[..13].to_owned());
        let event =
            |status: &str, quantity: u64| json!({ "usageEventId": format!("event of {}", key.2), "status": status, "quantity": quantity });
        let mut taken = self.taken.lock().unwrap();
        if let Some(there) = taken.get(&key) {
            return (409, json!({ "code": "Conflict", "additionalInfo": { "acceptedMessage": event("Duplicate", *there) } }));
        }
        taken.insert(key.clone(), quantity);
        (200, event("Accepted", quantity))
    }
}

struct ManagedIdentity;

#[async_trait]
impl Identity for ManagedIdentity {
    async fn assertion(&self) -> Result<Zeroizing<String>, PortError> {
        Err(PortError::new("stub", PortErrorKind::Missing))
    }

    async fn mail_token(&self) -> Result<Zeroizing<String>, PortError> {
        Err(PortError::new("stub", PortErrorKind::Missing))
    }

    async fn metering_token(&self) -> Result<Zeroizing<String>, PortError> {
        Ok(Zeroizing::new(TOKEN.into()))
    }

    async fn check(&self) -> Result<(), PortError> {
        Ok(())
    }
}
