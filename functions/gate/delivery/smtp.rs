//! Mails over SMTP (RFC 5321), for installations whose mail server is their own: by TLS that is verified, or not at all.
//!
//! The server takes exactly the bytes of the mail. Where its last answer is lost, the mail is sent again under the same
//! Message-ID, by which a receiver can tell: it comes at least once. What the server says goes nowhere.

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    address::Envelope,
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use zeroize::Zeroizing;

use super::{A_MINUTE, Answer, Outgoing, TIMEOUT};
use crate::{
    app::App,
    config::{SmtpSettings, SmtpTls},
    platform::ports::{PortError, PortErrorKind},
};

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
enum SmtpError {
    #[error("the password is not in the vault, or may not be read")]
    NoPassword(#[source] PortError),
    #[error("the vault does not answer")]
    Vault(#[source] PortError),
    #[error("an address cannot be used")]
    Address(#[source] lettre::address::AddressError),
    #[error("the mail server does not take the name or password")]
    Login(#[source] Error),
    #[error("no connection is there that is encrypted and of that server")]
    Tls(#[source] Error),
    #[error("the mail server does not answer")]
    Silent(#[source] Error),
    #[error("the mail server could not take it just now")]
    Busy(#[source] Error),
    #[error("the mail server refused the mail")]
    Refused(#[source] Error),
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(super) async fn send(app: &App, settings: &SmtpSettings, outgoing: &Outgoing) -> Answer {
    match Box::pin(sent(app, settings, outgoing)).await {
        Ok(()) => Answer::Accepted,
        Err(error) => {
            tracing::warn!(error = %error, "a mail is not taken");
            error.answer()
        }
    }
}

async fn sent(app: &App, settings: &SmtpSettings, outgoing: &Outgoing) -> Result<(), SmtpError> {
    let address = |text: &str| text.parse::<Address>().map_err(SmtpError::Address);
    let envelope = Envelope::new(Some(address(&settings.from)?), vec![address(&outgoing.to)?]);
    let envelope = envelope.map_err(|_| SmtpError::Address(lettre::address::AddressError::MissingParts))?;
    // The transport ends the last line itself.
    let body = outgoing.body.strip_suffix("\r\n").unwrap_or(outgoing.body.as_str());
    transport(app, settings).await?.send_raw(&envelope, body.as_bytes()).await.map(drop).map_err(SmtpError::of)
}

/// Connects and signs in, and sends nothing: for the doctor.
pub(super) async fn check(app: &App, settings: &SmtpSettings) -> Result<(), PortError> {
    let outcome = match transport(app, settings).await {
        Ok(transport) => transport.test_connection().await.map_err(SmtpError::of),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => Ok(()),
        Ok(false) => Err(PortError::new("mail server", PortErrorKind::Unavailable)),
        Err(error) => Err(PortError::new("mail server", error.kind()).advising(error.advice())),
    }
}

async fn transport(app: &App, settings: &SmtpSettings) -> Result<Transport, SmtpError> {
    let parameters = || TlsParameters::new_rustls(settings.host.clone()).map_err(SmtpError::Tls);
    let tls = match settings.tls {
        SmtpTls::Implicit => Tls::Wrapper(parameters()?),
        SmtpTls::Starttls => Tls::Required(parameters()?),
        SmtpTls::None => Tls::None,
    };
    let ourselves = ClientId::Domain(app.config.public_url.host_str().unwrap_or("localhost").to_owned());
    let server = settings.host.trim_start_matches('[').trim_end_matches(']');
    let builder = Transport::builder_dangerous(server).port(settings.port).tls(tls).timeout(Some(TIMEOUT)).hello_name(ourselves);
    let Some(login) = &settings.login else { return Ok(builder.build()) };
    let password = app.vault.secret(&login.password).await.map_err(|error| {
        let ours = matches!(error.kind, PortErrorKind::Missing | PortErrorKind::Denied | PortErrorKind::Invalid);
        if ours { SmtpError::NoPassword(error) } else { SmtpError::Vault(error) }
    })?;
    let password = Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned());
    Ok(builder.credentials(Credentials::new(login.user.clone(), password.as_str().to_owned())).build())
}

impl SmtpError {
    fn of(error: Error) -> Self {
        // RFC 4954 6: 530 to sign in first, 534 and 538 for a way of signing in, 535 for the credentials.
        let code = error.status().map(u16::from);
        if matches!(code, Some(530 | 534 | 535 | 538)) {
            Self::Login(error)
        } else if error.is_permanent() {
            Self::Refused(error)
        } else if error.is_transient() {
            Self::Busy(error)
        // A server without STARTTLS, or without a way of signing in that is known here, is told from our side.
        } else if error.is_tls() || error.is_client() || is_certificate(&error) {
            Self::Tls(error)
        } else {
            Self::Silent(error)
        }
    }

    fn answer(&self) -> Answer {
        let later = |why| Answer::Later { wait: A_MINUTE, why, may_have_it: matches!(self, Self::Silent(_)) };
        match self {
            Self::NoPassword(_) => Answer::Refused { why: "The mail server's password is not in the vault, or Assay may not read it." },
            Self::Vault(_) => later("The vault does not answer."),
            Self::Address(_) => Answer::Refused { why: "There is no address to mail." },
            Self::Login(_) => Answer::Refused { why: "The mail server does not take the name or the password." },
            // Certificates are renewed; nothing is sent until then.
            Self::Tls(_) => later("The mail server offers no TLS, or a certificate that is not trusted."),
            Self::Silent(_) => later("The mail server does not answer."),
            Self::Busy(_) => later("The mail server could not take it just now."),
            Self::Refused(_) => Answer::Refused { why: "The mail server refused the mail; see that it lets Assay use the sender address." },
        }
    }

    fn kind(&self) -> PortErrorKind {
        match self {
            Self::NoPassword(_) => PortErrorKind::Missing,
            Self::Login(_) | Self::Refused(_) => PortErrorKind::Denied,
            Self::Tls(_) | Self::Address(_) => PortErrorKind::Invalid,
            Self::Vault(_) | Self::Silent(_) | Self::Busy(_) => PortErrorKind::Unavailable,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoPassword(_) => "put the password into the vault under the name that ASSAY_SMTP_PASSWORD says",
            Self::Login(_) => "the mail server does not take ASSAY_SMTP_USER with its password",
            Self::Refused(_) => "the mail server does not let this app in",
            Self::Tls(_) => {
                "the server must offer TLS with a certificate for its name, of an authority that this system trusts; see ASSAY_SMTP_TLS and ASSAY_SMTP_PORT"
            }
            Self::Address(_) => "see ASSAY_MAIL_FROM",
            Self::Vault(_) => "the vault does not answer",
            Self::Silent(_) | Self::Busy(_) => "see that the mail server runs and that its name and port are right",
        }
    }
}

/// A handshake that failed comes as a broken connection with the reason below it.
fn is_certificate(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let below = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.to_string().contains("certificate") || below.is_some_and(|below| below.to_string().contains("certificate")) {
            return true;
        }
        cause = inner.source();
    }
    false
}
