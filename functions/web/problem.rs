//! Errors at the border: problem documents (RFC 9457) with a stable type. Internal text never leaves the process (I15).

use std::time::Duration;

use serde_json::json;

use super::Reply;
use crate::{
    platform::ports::PortErrorKind,
    tenancy::{KeyTrouble, StoreError},
};

/// When nobody knows better.
const A_MINUTE: Duration = Duration::from_mins(1);

/// What a caller is told. `detail` is written for them: what happened, what was kept, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {kind}: {detail}")]
pub struct Problem {
    pub status: u16,
    /// The last part of the type URI: stable, for programs.
    pub kind: &'static str,
    pub title: &'static str,
    pub detail: String,
    /// When a program may try again: what it asks for at 503 (RFC 9110 15.6.4).
    pub retry_after: Option<Duration>,
    /// What the `WWW-Authenticate` header asks for (RFC 9110 11.6.1).
    pub challenge: Option<String>,
    /// Which of the kind's reasons, for programs.
    pub reason: Option<&'static str>,
}

impl Problem {
    pub fn new(status: u16, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), retry_after: (status == 503).then_some(A_MINUTE), challenge: None, reason: None }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", "The request could not be read", detail)
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(401, "not-verified", "The sender could not be verified", detail)
    }

    /// A person, not a program.
    pub fn not_signed_in(detail: impl Into<String>) -> Self {
        Self::new(401, "not-signed-in", "You are not signed in", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "not-allowed", "Not allowed", detail)
    }

    /// Who is signed in must prove it once more: see [`super::step_up`].
    pub const STEP_UP: &str = "insufficient-user-authentication";

    pub const FOREIGN_FORM: &str = "foreign-form";

    /// A form that is not one of ours, or not of this session.
    pub fn foreign_form(detail: impl Into<String>) -> Self {
        Self::new(403, Self::FOREIGN_FORM, "Not allowed", detail)
    }

    pub fn not_found() -> Self {
        Self::new(404, "not-found", "Nothing here", "There is nothing at this address, or nothing that you may see.")
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "Somebody was faster", detail)
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "too-large", "Too large", format!("At most {limit} bytes are taken here; nothing was kept."))
    }

    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "Not available just now", "Nothing was changed. Try again in a minute.")
    }

    pub const UNREADABLE: &str = "record-unreadable";

    /// A record that does not open. It is there, and nobody mends it by waiting.
    pub fn unreadable() -> Self {
        let detail = "A record that this needs was changed or damaged outside of Assay, so it is not shown, and nothing was changed now. Trying again does not help. Tell whoever runs Assay the reference below: the log of the function app names the record, which is restored from a backup.";
        Self::new(500, Self::UNREADABLE, "This record cannot be read", detail)
    }

    pub const SWITCHED_OFF: &str = "client-switched-off";

    /// A client that an owner switched off: locked (RFC 4918 11.3) until it is switched on again.
    pub fn switched_off() -> Self {
        let detail = "An owner switched this client off. Its records are neither read nor changed until an owner takes that back, under Clients, Offboarding; nothing was done now. Other clients are not affected.";
        Self::new(423, Self::SWITCHED_OFF, "This client is switched off", detail)
    }

    pub const KEY_UNAVAILABLE: &str = "key-unavailable";

    /// One client's key: locked (RFC 4918 11.3) until somebody mends it, or not available for a while.
    fn key_unavailable(trouble: KeyTrouble, error: &StoreError) -> Self {
        let asked = match error {
            StoreError::Key { source, .. } => match source.kind {
                PortErrorKind::Throttled { retry_after } => retry_after,
                _ => None,
            },
            _ => None,
        };
        let detail = format!("{} Other clients are not affected.", trouble.sentence());
        let status = if trouble.lasts() { 423 } else { 503 };
        let problem = Self::new(status, Self::KEY_UNAVAILABLE, "The client's key cannot be used", detail);
        Self { reason: Some(trouble.word()), retry_after: asked.or(problem.retry_after), ..problem }
    }

    /// `application/problem+json`, with the reference that the log line carries too.
    pub fn reply(&self, reference: &str) -> Reply {
        let mut body = json!({
            "type": format!("urn:assay:problem:{}", self.kind),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": reference,
        });
        if let Some(reason) = self.reason {
            body["reason"] = json!(reason);
        }
        let reply = Reply::new(self.status, "application/problem+json", body.to_string()).with("cache-control", "no-store");
        let wait = self.retry_after.map(|wait| wait.as_millis().div_ceil(1000).max(1).to_string());
        let reply = wait.into_iter().fold(reply, |reply, wait| reply.with("retry-after", wait));
        self.challenge.iter().fold(reply, |reply, challenge| reply.with("www-authenticate", challenge.as_str()))
    }
}

impl From<StoreError> for Problem {
    /// Logs the whole chain; the caller hears only what they can act on.
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = chain(&error), "store refused");
        if let Some(trouble) = error.key_trouble().filter(|_| !error.is_of_the_installation()) {
            return Self::key_unavailable(trouble, &error);
        }
        match &error {
            StoreError::Refused { .. } => {
                Self::conflict("Somebody else changed this at the same moment. Nothing of yours was written; look again and repeat.")
            }
            StoreError::NewerRelease { .. } => Self::new(503, "newer-release", "Written by a newer release", error.to_string()),
            StoreError::Port(source) | StoreError::Key { source, .. } => match source.kind {
                PortErrorKind::Throttled { retry_after: Some(wait) } => Self { retry_after: Some(wait), ..Self::unavailable() },
                _ => Self::unavailable(),
            },
            StoreError::SwitchedOff { .. } => Self::switched_off(),
            StoreError::Sealed { .. } | StoreError::Shape { .. } => Self::unreadable(),
            StoreError::Elsewhere { .. } | StoreError::Destroyed { .. } => Self::unavailable(),
        }
    }
}

/// The error and what caused it down to the last cause, for the log: a service says only there what it refused.
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::ports::PortError;

    #[test]
    fn the_log_hears_what_the_service_said_and_the_caller_does_not() {
        let said = std::io::Error::other("Caller is not authorized by the vault's firewall");
        let source = PortError::because("key https://v.vault.azure.net/keys/a", PortErrorKind::Denied, said);
        let error = StoreError::Key { owner: "client".into(), source };
        let logged = chain(&error);
        assert!(logged.contains("https://v.vault.azure.net/keys/a: access denied") && logged.ends_with("the vault's firewall"), "{logged}");
        let told = Problem::from(error).to_string();
        assert!(!told.contains("vault.azure.net") && !told.contains("firewall"), "{told}");
    }
}
