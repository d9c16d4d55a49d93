//! One way to call Azure: the pipeline's options, the deadline of a call, and what its failure means.
//!
//! A service that asks to wait (429 or 503 with Retry-After) is waited for only when that is short; otherwise the caller
//! hears at once, with the time, and the message is delivered again later. A storm of refusals so never holds an
//! invocation until the host kills the process.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        ClientOptions, Context, ExponentialRetryOptions, Request, RetryOptions, StatusCode, Transport,
        headers::{HeaderName, Headers},
        policies::{Policy, PolicyResult},
    },
};

use crate::platform::{
    ports::{PortError, PortErrorKind},
    retry_after,
};

/// The longest that one call may take with all its retries: far below the handler's own deadline, so that an invocation
/// that makes several can still answer by itself.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// A longer Retry-After is handed to the caller instead of being waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const RETRIES: u32 = 3;

/// What a person does, by what the service said of a refusal.
pub(super) const ROLE: &str =
    "give Assay's identity the role that the guide names, on this resource; a new role takes some minutes to work";
const FIREWALL: &str = "let the network from which Assay calls through this resource's firewall, or join the two by a private endpoint";
const CLOCK: &str = "set this machine's clock: a token is valid only for a time, and the two clocks differ";
const TENANT: &str = "the token is made out by another directory or for another cloud: this resource's subscription must be of the identity's directory, and ASSAY_CLOUD be its cloud";
const ENABLE: &str = "enable it again in the vault, or see that its dates allow it now";

/// Words of Azure's services in lower case, and what they ask for; the first that is found counts.
const WORDS: &[(&str, &str)] = &[
    ("date header", CLOCK),
    ("time frame", CLOCK),
    ("lifetime validation failed", CLOCK),
    ("token is expired", CLOCK),
    ("token is not yet valid", CLOCK),
    ("firewall", FIREWALL),
    ("forbiddenbyconnection", FIREWALL),
    ("authorizationfailure", FIREWALL),
    ("authorizationpermissionmismatch", ROLE),
    ("forbiddenbyrbac", ROLE),
    ("forbiddenbypolicy", ROLE),
    ("keydisabled", ENABLE),
    ("secretdisabled", ENABLE),
    ("invalid issuer", TENANT),
    ("issuer validation failed", TENANT),
    ("audience", TENANT),
    ("invalidauthenticationinfo", TENANT),
];

/// What to do about a refusal of which a service said this.
pub(super) fn advice(said: &str) -> Option<&'static str> {
    let said = said.to_lowercase();
    WORDS.iter().find(|(word, _)| said.contains(word)).map(|(_, advice)| *advice)
}

const DATE: HeaderName = HeaderName::from_static("date");
const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_AFTER_MS: [HeaderName; 2] = [HeaderName::from_static("retry-after-ms"), HeaderName::from_static("x-ms-retry-after-ms")];

/// Options of every SDK client; without a `transport` it makes its own.
pub fn options(transport: Option<&Transport>) -> ClientOptions {
    let retry = ExponentialRetryOptions {
        initial_delay: azure_core::time::Duration::milliseconds(100),
        max_retries: RETRIES,
        max_total_elapsed: azure_core::time::Duration::seconds(8),
        max_delay: azure_core::time::Duration::seconds(2),
    };
    ClientOptions {
        retry: RetryOptions::exponential(retry),
        per_try_policies: vec![Arc::new(ShortWaits)],
        transport: transport.cloned(),
        ..ClientOptions::default()
    }
}

/// Makes an answer that asks for a long wait the last one.
#[derive(Debug)]
struct ShortWaits;

#[async_trait]
impl Policy for ShortWaits {
    #[expect(elided_lifetimes_in_paths, reason = "the trait binds this lifetime late")]
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let response = match next.split_first() {
            Some((first, rest)) => first.send(ctx, request, rest).await?,
            None => return Err(azure_core::Error::with_message(ErrorKind::Other, "no transport")),
        };
        match asked_for(response.headers()) {
            Some(wait) if wait > LONGEST_WAIT && is_busy(response.status()) => {
                let raw = response.try_into_raw_response().await?;
                let kind = ErrorKind::HttpResponse { status: raw.status(), error_code: None, raw_response: Some(Box::new(raw)) };
                Err(azure_core::Error::with_message(kind, "the service asks for a longer wait"))
            }
            _ => Ok(response),
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TooManyRequests | StatusCode::ServiceUnavailable)
}

fn asked_for(headers: &Headers) -> Option<Duration> {
    let number = |name: &HeaderName| headers.get_optional_str(name)?.trim().parse::<u64>().ok();
    // By the service's own clock, since ours may differ.
    let now = headers.get_optional_str(&DATE).and_then(retry_after::date);
    let asked = || retry_after::wait(headers.get_optional_str(&RETRY_AFTER)?, now);
    RETRY_AFTER_MS.iter().find_map(number).map(Duration::from_millis).or_else(asked)
}

/// The call's answer, or why there is none, within [`DEADLINE`].
pub async fn within<T>(resource: &str, call: impl Future<Output = azure_core::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => answer.map_err(|error| Failure { resource: resource.to_owned(), error: Some(error) }),
        Err(_) => Err(Failure { resource: resource.to_owned(), error: None }),
    }
}

/// The service's own word for what is wrong, such as `QueueNotFound`.
pub(super) fn code(error: &azure_core::Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::HttpResponse { error_code, .. } => error_code.as_deref(),
        _ => None,
    }
}

/// A call that did not work; adapters look at the status where it is an answer (404, 409, 412).
#[derive(Debug)]
pub struct Failure {
    resource: String,
    /// `None`: it took too long.
    error: Option<azure_core::Error>,
}

impl Failure {
    pub fn status(&self) -> Option<u16> {
        self.error.as_ref().and_then(azure_core::Error::http_status).map(u16::from)
    }

    /// The service's own word for it.
    pub fn code(&self) -> Option<&str> {
        self.error.as_ref().and_then(code)
    }

    /// Whether the service's refusal names this reason.
    pub fn says(&self, reason: &str) -> bool {
        self.words().is_some_and(|said| said.contains(reason))
    }

    /// By what the service said; its words go no further.
    fn advice(&self) -> Option<&'static str> {
        advice(&self.words()?)
    }

    fn words(&self) -> Option<String> {
        match self.error.as_ref()?.kind() {
            ErrorKind::HttpResponse { error_code, raw_response, .. } => {
                let body = raw_response.as_ref().map(|raw| String::from_utf8_lossy(raw.body()));
                Some(format!("{} {}", error_code.as_deref().unwrap_or_default(), body.unwrap_or_default()))
            }
            _ => None,
        }
    }

    fn kind(&self) -> PortErrorKind {
        let Some(error) = &self.error else { return PortErrorKind::Unavailable };
        match error.kind() {
            ErrorKind::HttpResponse { status, raw_response, .. } => {
                let wait = raw_response.as_ref().and_then(|raw| asked_for(raw.headers()));
                kind_of_status((*status).into(), wait)
            }
            ErrorKind::Credential => kind_of_no_token(error),
            _ => PortErrorKind::Unavailable,
        }
    }
}

/// No token: the place that gives them cannot be reached, or the identity is not there or not allowed to have one.
pub fn kind_of_no_token(error: &(dyn std::error::Error + 'static)) -> PortErrorKind {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let found = causes.filter_map(|cause| cause.downcast_ref::<azure_core::Error>()).find_map(|cause| match cause.kind() {
        ErrorKind::HttpResponse { status, .. } if matches!(u16::from(*status), 400..=404) => Some(PortErrorKind::Denied),
        ErrorKind::HttpResponse { .. } | ErrorKind::Connection | ErrorKind::Io => Some(PortErrorKind::Unavailable),
        _ => None,
    });
    found.unwrap_or(PortErrorKind::Denied)
}

/// What an HTTP status of an Azure service means where it is not an answer.
pub fn kind_of_status(status: u16, retry_after: Option<Duration>) -> PortErrorKind {
    match status {
        401 | 403 => PortErrorKind::Denied,
        404 | 410 => PortErrorKind::Missing,
        400 | 405 | 409 | 411 | 412 | 416 => PortErrorKind::Invalid,
        413 => PortErrorKind::TooLarge,
        429 => PortErrorKind::Throttled { retry_after },
        503 if retry_after.is_some() => PortErrorKind::Throttled { retry_after },
        507 => PortErrorKind::Full,
        _ => PortErrorKind::Unavailable,
    }
}

impl From<Failure> for PortError {
    fn from(failure: Failure) -> Self {
        let kind = failure.kind();
        let advice = if kind == PortErrorKind::Denied { failure.advice() } else { None };
        let Failure { resource, error } = failure;
        match error {
            Some(error) => Self::because(resource, kind, error).advising(advice),
            None => Self::because(resource, kind, Slow),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} seconds", DEADLINE.as_secs())]
struct Slow;
