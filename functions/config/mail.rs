//! The settings of the service by which mails go out, checked: Azure Communication Services, or a mail server over SMTP.
//!
//! Nothing is sent in the clear: without TLS only a server on this machine is taken.

use url::{Host, Url};

use super::Reader;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailService {
    Acs(AcsSettings),
    Smtp(SmtpSettings),
}

/// A resource of Azure Communication Services, and whom its mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcsSettings {
    pub endpoint: Url,
    pub from: String,
}

/// A server that takes mails for submission (RFC 6409), and whom they are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// `None`: the server asks for none.
    pub login: Option<SmtpLogin>,
    pub from: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpLogin {
    pub user: String,
    /// The name of a secret in the vault.
    pub password: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte (RFC 8314 3.3).
    Implicit,
    /// STARTTLS (RFC 3207), without which nothing is sent.
    Starttls,
    /// On this machine only.
    None,
}

/// `None` when mails go elsewhere, or something is wrong; the reader has the errors.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<MailService> {
    match reader.get("ASSAY_MAIL") {
        "acs" => acs(reader).map(MailService::Acs),
        "smtp" => smtp(reader).map(MailService::Smtp),
        _ => None,
    }
}

fn acs(reader: &mut Reader<'_>) -> Option<AcsSettings> {
    let endpoint = reader.url("ASSAY_ACS_URL");
    let ours = |url: &Url| {
        let host = url.host_str().and_then(|host| host.strip_suffix(".communication.azure.com"));
        url.scheme() == "https" && url.port().is_none() && host.is_some_and(|name| !name.is_empty())
    };
    if endpoint.as_ref().is_some_and(|url| !ours(url)) {
        reader.fail("ASSAY_ACS_URL", "expected the endpoint of the resource, https://NAME.communication.azure.com");
        return None;
    }
    let from = from(reader, "expected an address of a domain of the resource, such as DoNotReply@mail.example.net");
    Some(AcsSettings { endpoint: endpoint?, from: from? })
}

fn from(reader: &mut Reader<'_>, expected: &str) -> Option<String> {
    let from = reader.text("ASSAY_MAIL_FROM");
    let plain = from.is_ascii() && from.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    if !plain || from.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | ',')) {
        reader.fail("ASSAY_MAIL_FROM", expected);
        return None;
    }
    Some(from)
}

fn smtp(reader: &mut Reader<'_>) -> Option<SmtpSettings> {
    let host = reader.text("ASSAY_SMTP_HOST");
    let parsed = Host::parse(&host).ok();
    if parsed.is_none() {
        reader.fail("ASSAY_SMTP_HOST", "expected the name of the mail server, such as smtp.example.net");
    }
    let port = reader.number("ASSAY_SMTP_PORT", 1, 65_535);
    let tls = match reader.one_of("ASSAY_SMTP_TLS", &["starttls", "implicit", "none"])? {
        "implicit" => SmtpTls::Implicit,
        "none" => SmtpTls::None,
        _ => SmtpTls::Starttls,
    };
    if tls == SmtpTls::None && !parsed.as_ref().is_some_and(is_this_machine) {
        reader.fail("ASSAY_SMTP_TLS", "without TLS only a mail server on this machine is used; set it to starttls or implicit");
    }
    let (user, password) = (reader.text("ASSAY_SMTP_USER"), reader.secret("ASSAY_SMTP_PASSWORD"));
    let login = match (user.is_empty(), password) {
        (true, None) => None,
        (false, Some(password)) => Some(SmtpLogin { user, password }),
        (false, None) => {
            reader.fail("ASSAY_SMTP_PASSWORD", "with ASSAY_SMTP_USER set, expected secret:NAME, the name of a secret in the vault");
            None
        }
        (true, Some(_)) => {
            reader.fail("ASSAY_SMTP_USER", "with ASSAY_SMTP_PASSWORD set, expected the name with which Assay signs in at the mail server");
            None
        }
    };
    let from = from(reader, "expected the address that mails are from, which the mail server lets Assay use, such as assay@example.net")?;
    parsed?;
    Some(SmtpSettings { host, port: u16::try_from(port).ok()?, tls, login, from })
}

fn is_this_machine(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RawConfig, check};

    fn with(changes: &[(&str, &str)]) -> Result<SmtpSettings, Vec<&'static str>> {
        let base = [("ASSAY_MAIL", "smtp"), ("ASSAY_SMTP_HOST", "smtp.example.net"), ("ASSAY_MAIL_FROM", "assay@example.net")];
        let raw: RawConfig = base.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match check(&raw) {
            Ok(config) => match config.delivery.service {
                Some(MailService::Smtp(smtp)) => Ok(smtp),
                other => panic!("{other:?}"),
            },
            Err(errors) => Err(errors.into_iter().map(|error| error.setting).collect()),
        }
    }

    #[test]
    fn by_default_it_is_submission_with_starttls_and_a_password_is_the_name_of_a_secret() {
        let smtp = with(&[]).expect("good");
        assert_eq!((smtp.port, smtp.tls, smtp.login), (587, SmtpTls::Starttls, None));
        let smtp = with(&[
            ("ASSAY_SMTP_PORT", "465"),
            ("ASSAY_SMTP_TLS", "implicit"),
            ("ASSAY_SMTP_USER", "assay"),
            ("ASSAY_SMTP_PASSWORD", "secret:assay-smtp"),
        ]);
        let smtp = smtp.expect("good");
        assert_eq!((smtp.port, smtp.tls), (465, SmtpTls::Implicit));
        assert_eq!(smtp.login, Some(SmtpLogin { user: "assay".into(), password: "assay-smtp".into() }));
        assert_eq!(with(&[("ASSAY_SMTP_USER", "assay"), ("ASSAY_SMTP_PASSWORD", "hush")]), Err(vec!["ASSAY_SMTP_PASSWORD"; 2]));
        assert_eq!(with(&[("ASSAY_SMTP_USER", "assay")]), Err(vec!["ASSAY_SMTP_PASSWORD"]));
        assert_eq!(with(&[("ASSAY_SMTP_PASSWORD", "secret:x")]), Err(vec!["ASSAY_SMTP_USER"]));
    }

    #[test]
    fn in_the_clear_only_to_this_machine() {
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(with(&[("ASSAY_SMTP_HOST", here), ("ASSAY_SMTP_TLS", "none")]).is_ok(), "{here}");
        }
        for elsewhere in ["smtp.example.net", "10.0.0.4", "localhost.example.net"] {
            assert_eq!(with(&[("ASSAY_SMTP_HOST", elsewhere), ("ASSAY_SMTP_TLS", "none")]), Err(vec!["ASSAY_SMTP_TLS"]), "{elsewhere}");
        }
        assert_eq!(with(&[("ASSAY_SMTP_TLS", "opportunistic")]), Err(vec!["ASSAY_SMTP_TLS"]));
        assert_eq!(with(&[("ASSAY_SMTP_HOST", "")]), Err(vec!["ASSAY_SMTP_HOST"]));
        assert_eq!(with(&[("ASSAY_MAIL_FROM", "Assay <assay@example.net>")]), Err(vec!["ASSAY_MAIL_FROM"]));
    }
}
