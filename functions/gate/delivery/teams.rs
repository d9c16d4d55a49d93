//! Posts to a Teams Workflows webhook. Its address is a secret: whoever has it can post, so it stands in the vault, is
//! never logged, and leads nowhere but to Microsoft's workflow hosts.

use std::time::Duration;

use bytes::Bytes;
use url::Url;
use zeroize::Zeroizing;

use super::{A_MINUTE, Answer, MAX_ANSWER_BYTES, TIMEOUT, ask};
use crate::{
    app::App,
    platform::ports::{HttpMethod, HttpRequest, PortErrorKind},
};

/// Whether it is the address of a workflow's trigger: https, a host of Microsoft's, with its signature.
pub fn is_workflow(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|name| !name.is_empty());
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.query_pairs().any(|(name, value)| name == "sig" && !value.is_empty())
        && (below(".logic.azure.com") || below(".api.powerplatform.com"))
}

/// `secret`: the name in the vault under which the address stands.
pub(super) async fn post(app: &App, secret: &str, body: Vec<u8>) -> Answer {
    let address = match app.vault.secret(secret).await {
        Ok(address) => Zeroizing::new(address.trim().to_owned()),
        Err(error) if matches!(error.kind, PortErrorKind::Missing | PortErrorKind::Denied | PortErrorKind::Invalid) => {
            return Answer::Refused { why: "The webhook's address is not in the vault, or Assay may not read it." };
        }
        Err(_) => return Answer::Later { wait: A_MINUTE, why: "The vault does not answer.", may_have_it: false },
    };
    let Some(url) = Url::parse(&address).ok().filter(is_workflow) else {
        return Answer::Refused { why: "What the vault holds is not the address of a Teams workflow." };
    };
    let request = HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: Bytes::from(body),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER_BYTES,
    };
    ask(app, request, of_status, "Teams does not answer.", "The webhook's address cannot be called.").await
}

fn of_status(status: u16, asked: Option<Duration>) -> Answer {
    match status {
        // 202 says that the workflow began, not that anybody saw a card.
        200..=299 => Answer::Accepted,
        429 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "Teams asks to wait.", may_have_it: false },
        408 | 500..=599 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "Teams could not take it just now.", may_have_it: true },
        401 | 403 => Answer::Refused {
            why: "Teams does not take the address any more. Make the workflow's webhook anew and put its address into the vault.",
        },
        404 | 410 => Answer::Refused {
            why: "The workflow is not there any more; it goes when its owner leaves. Make another and put its address into the vault.",
        },
        413 => Answer::Refused { why: "Teams found the card too large." },
        _ => Answer::Refused { why: "Teams refused the card." },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signed_address_at_microsofts_workflow_hosts_is_called() {
        let good = [
            "https://prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=x",
            "https://prod-12.westus.logic.azure.com:443/workflows/a?sig=x",
            "https://default1.aa.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/a?sig=x",
        ];
        let bad = [
            "http://prod-12.westus.logic.azure.com/workflows/a?sig=x",
            "https://prod-12.westus.logic.azure.com/workflows/a",
            "https://prod-12.westus.logic.azure.com/workflows/a?sig=",
            "https://prod-12.westus.logic.azure.com.evil.example/workflows/a?sig=x",
            "https://evil-logic.azure.com/a?sig=x",
            "https://evil.example/.logic.azure.com?sig=x",
            "https://.logic.azure.com/a?sig=x",
            "https://u:p@prod-12.westus.logic.azure.com/a?sig=x",
            "https://prod-12.westus.logic.azure.com:8443/a?sig=x",
            "https://prod-12.westus.logic.azure.com/a?sig=x#y",
            "https://127.0.0.1/a?sig=x",
        ];
        for url in good {
            assert!(is_workflow(&Url::parse(url).expect("a url")), "{url}");
        }
        for url in bad {
            assert!(!Url::parse(url).is_ok_and(|url| is_workflow(&url)), "{url}");
        }
    }

    #[test]
    fn every_status_has_its_answer() {
        let wait = Duration::from_secs(7);
        assert_eq!((of_status(202, None), of_status(200, None)), (Answer::Accepted, Answer::Accepted));
        assert!(matches!(of_status(429, Some(wait)), Answer::Later { wait: said, .. } if said == wait));
        assert!(matches!(of_status(503, None), Answer::Later { wait: A_MINUTE, .. }));
        for status in [302, 400, 401, 403, 404, 410, 413] {
            assert!(matches!(of_status(status, None), Answer::Refused { .. }), "{status}");
        }
    }
}
