//! Step-up: before changes of great effect somebody must have proved who they are within the last ten minutes, and where
//! the settings ask for one, in an authentication context of Conditional Access (RFC 9470).
//!
//! What the authority says counts, not when the session began: a browser comes back signed in without anybody having
//! been asked anything. An authority that does not say when, proves nothing.

use time::Duration;

use super::Problem;
use crate::{app::App, tenancy::directory::Session};

/// How long a proof counts.
pub const FRESH: Duration = Duration::minutes(10);

/// How far the authority's clock and ours may be apart: whatever a sign-in says within that, everything that asks for a fresh
/// one takes.
pub const CLOCK_SKEW: Duration = Duration::minutes(5);

/// Whether this session is good enough for a change of great effect.
pub fn is_proved(app: &App, session: &Session) -> bool {
    let fresh = session.proof.at.is_some_and(|at| app.now() - at <= FRESH);
    fresh && meets_context(app, session.proof.contexts.iter().map(String::as_str))
}

/// Whether a sign-in in these contexts is as strong as the settings ask for, where they do.
pub fn meets_context<'c>(app: &App, mut met: impl Iterator<Item = &'c str>) -> bool {
    let wanted = app.config.entra().and_then(|entra| entra.auth_context.as_deref());
    wanted.is_none_or(|wanted| met.any(|context| context == wanted))
}

/// What whoever asked is told (RFC 9470 3), for a session whose proof is older than `within` or not strong enough.
pub fn problem(app: &App, session: &Session, within: Duration) -> Problem {
    let context = app.config.entra().and_then(|entra| entra.auth_context.as_deref());
    let detail: String = match (session.proof.at, context) {
        (None, _) => {
            "This needs a fresh proof of who you are, and the sign-in service does not say when you gave it. Nobody can do this until whoever runs Assay adds the optional claim \u{201c}auth_time\u{201d} to the ID token of the app registration.".into()
        }
        (Some(at), Some(_)) if app.now() - at <= within => {
            "This needs a stronger sign-in than the one you have. Nothing was changed: confirm that it is you, and send it from the page that opens then.".into()
        }
        _ => format!(
            "This needs a fresh proof of who you are: you gave it more than {} minutes ago. Nothing was changed: confirm that it is you, and send it from the page that opens then.",
            within.whole_minutes()
        ),
    };
    let values = context.map_or_else(String::new, |context| format!(", acr_values=\"{context}\""));
    let challenge = format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{}\"{values}", within.whole_seconds());
    let problem = Problem::new(401, Problem::STEP_UP, "Confirm that it is you", detail);
    Problem { challenge: Some(challenge), ..problem }
}
