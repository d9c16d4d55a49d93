//! The settings of Entra sign-in, checked: which app, whose people, who is the first owner.
//!
//! The directories are an allow-list: whoever Entra vouches for in another one is nobody here.

use url::Url;
use uuid::Uuid;

use super::Reader;
use crate::platform::cloud::CloudProfile;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraSettings {
    /// Where people of this cloud sign in, such as `https://login.microsoftonline.com/`.
    pub authority: Url,
    /// The app registration; tokens are made out for it.
    pub client_id: Uuid,
    /// Directories (tenants of Entra, not clients of the MSP) whose people may sign in; the first is the MSP's own.
    pub directories: Vec<Uuid>,
    pub credential: EntraCredential,
    /// The object id, in the first directory, of the person who is an owner without being let in; others are by the app role.
    pub owner: Option<Uuid>,
    /// Whether guests of the one directory may sign in.
    pub guests: bool,
    /// The authentication context of Entra's Conditional Access that a step-up must have met, such as `c1`.
    pub auth_context: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntraCredential {
    /// A token of the managed identity stands for a secret.
    ManagedIdentity,
    /// The name (or the whole URI) of a secret in the vault.
    Secret(String),
}

impl EntraSettings {
    /// An address of the authority for the people who may sign in: of the one directory, or of any organization's.
    pub fn address(&self, path: &str) -> String {
        let whose = match self.directories[..] {
            [only] => only.to_string(),
            _ => "organizations".into(),
        };
        format!("{}/{whose}/{path}", self.base())
    }

    /// Who must have made a token for somebody of this directory, to the letter.
    pub fn issuer(&self, directory: &str) -> String {
        format!("{}/{directory}/v2.0", self.base())
    }

    /// The authority's scheme, host and port.
    pub fn origin(&self) -> String {
        self.authority.origin().ascii_serialization()
    }

    fn base(&self) -> &str {
        self.authority.as_str().trim_end_matches('/')
    }
}

/// `None` when something is missing; the reader has the errors.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<&CloudProfile>, in_azure: bool) -> Option<EntraSettings> {
    let client_id = id(reader, "ASSAY_ENTRA_CLIENT_ID", "the application (client) id of the app registration");
    let directories = directories(reader);
    let credential = credential(reader, in_azure);
    // Empty: owners come by the app role alone.
    let owner = if reader.get("ASSAY_ENTRA_OWNER").is_empty() {
        Some(None)
    } else {
        id(reader, "ASSAY_ENTRA_OWNER", "the object id of the person who owns this installation").map(Some)
    };
    let auth_context = auth_context(reader);
    let guests = reader.one_of("ASSAY_ENTRA_GUESTS", &["refuse", "allow"]);
    // Where any organization's people are asked, Entra makes the token of a guest's home directory: nobody is a guest.
    if guests == Some("allow") && directories.as_ref().is_some_and(|ids| ids.len() > 1) {
        let problem = "with several directories Entra signs everybody in with their own, and no guest comes in: set it to refuse and \
                       name the guests' own directories in ASSAY_ENTRA_TENANTS, or leave only the MSP's own there";
        reader.fail("ASSAY_ENTRA_GUESTS", problem);
    }
    Some(EntraSettings {
        authority: cloud?.authority.clone(),
        client_id: client_id?,
        directories: directories?,
        credential: credential?,
        owner: owner?,
        guests: guests? == "allow",
        auth_context,
    })
}

fn id(reader: &mut Reader<'_>, name: &'static str, what: &str) -> Option<Uuid> {
    let found = guid(reader.get(name));
    if found.is_none() {
        reader.fail(name, format!("expected {what}, such as 01234567-89ab-cdef-0123-456789abcdef"));
    }
    found
}

/// Only in the form in which Entra writes it: a token's text is compared with it.
fn guid(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok().filter(|id| !id.is_nil() && id.to_string() == text.to_ascii_lowercase())
}

fn directories(reader: &mut Reader<'_>) -> Option<Vec<Uuid>> {
    const NAME: &str = "ASSAY_ENTRA_TENANTS";
    let found: Option<Vec<Uuid>> = reader.get(NAME).split(',').map(|text| guid(text.trim())).collect();
    if found.is_none() {
        reader.fail(NAME, "expected directory (tenant) ids with commas between them, the MSP's own first");
    }
    found
}

/// Entra has `c1` to `c99`.
fn auth_context(reader: &mut Reader<'_>) -> Option<String> {
    const NAME: &str = "ASSAY_ENTRA_AUTH_CONTEXT";
    let text = reader.get(NAME).to_owned();
    let number = text.strip_prefix('c').filter(|number| !number.starts_with('0')).and_then(|number| number.parse::<u8>().ok());
    if !text.is_empty() && number.is_none_or(|number| number > 99) {
        reader.fail(NAME, "expected an authentication context of Conditional Access, c1 to c99, or nothing");
    }
    (!text.is_empty()).then_some(text)
}

fn credential(reader: &mut Reader<'_>, in_azure: bool) -> Option<EntraCredential> {
    const NAME: &str = "ASSAY_ENTRA_CREDENTIAL";
    let text = reader.get(NAME);
    if text == "managed-identity" {
        if !in_azure {
            reader.fail(NAME, "a managed identity is there only with ASSAY_STORE=azure; name a secret of the vault, as secret:NAME");
            return None;
        }
        return Some(EntraCredential::ManagedIdentity);
    }
    let name = text.strip_prefix("secret:").filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()));
    if name.is_none() {
        reader.fail(NAME, "expected managed-identity, or secret:NAME");
    }
    name.map(|name| EntraCredential::Secret(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::config::{RawConfig, SignIn, check};

    const HOME: &str = "11111111-2222-4333-8444-555555555555";

    fn settings(changes: &[(&str, &str)]) -> RawConfig {
        let mut raw = RawConfig::from(
            [
                ("ASSAY_SIGN_IN", "entra"),
                ("ASSAY_ENTRA_CLIENT_ID", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
                ("ASSAY_ENTRA_TENANTS", HOME),
                ("ASSAY_ENTRA_CREDENTIAL", "secret:assay-sign-in"),
                ("ASSAY_ENTRA_OWNER", "0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        raw.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        raw
    }

    #[test]
    fn one_directory_is_asked_by_its_id_and_several_as_organizations() {
        let config = check(&settings(&[("ASSAY_CLOUD", "government")])).expect("good");
        let entra = config.entra().expect("entra");
        assert_eq!(entra.address("v2.0/x"), format!("https://login.microsoftonline.us/{HOME}/v2.0/x"));
        assert_eq!((entra.origin().as_str(), entra.guests), ("https://login.microsoftonline.us", false));
        let both = format!("{HOME}, 99999999-2222-4333-8444-555555555555");
        let config = check(&settings(&[("ASSAY_ENTRA_TENANTS", both.as_str())])).expect("good");
        let SignIn::Entra(entra) = config.sign_in else { panic!("entra") };
        assert_eq!(entra.address("v2.0"), "https://login.microsoftonline.com/organizations/v2.0");
        assert_eq!(entra.issuer(HOME), format!("https://login.microsoftonline.com/{HOME}/v2.0"));
    }

    #[test]
    fn guests_are_allowed_in_one_directory_and_with_several_it_says_what_to_do() {
        let config = check(&settings(&[("ASSAY_ENTRA_GUESTS", "allow")])).expect("good");
        assert!(config.entra().is_some_and(|entra| entra.guests && entra.address("v2.0").contains(HOME)));
        let both = format!("{HOME},99999999-2222-4333-8444-555555555555");
        let errors = check(&settings(&[("ASSAY_ENTRA_GUESTS", "allow"), ("ASSAY_ENTRA_TENANTS", both.as_str())])).expect_err("no guest");
        assert_eq!(errors.iter().map(|error| error.setting).collect::<Vec<_>>(), ["ASSAY_ENTRA_GUESTS"]);
        assert!(errors[0].problem.contains("ASSAY_ENTRA_TENANTS"), "{}", errors[0].problem);
    }

    #[test]
    fn whatever_is_wrong_with_it_is_named_at_once() {
        let wrong = settings(&[
            ("ASSAY_CLOUD", "moon"),
            ("ASSAY_PUBLIC_URL", "http://assay.example.net"),
            ("ASSAY_ENTRA_CLIENT_ID", "assay"),
            ("ASSAY_ENTRA_TENANTS", "11111111-2222-4333-8444-555555555555,"),
            ("ASSAY_ENTRA_CREDENTIAL", "hush"),
            ("ASSAY_ENTRA_OWNER", "{0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e}"),
            ("ASSAY_ENTRA_AUTH_CONTEXT", "c100"),
            ("ASSAY_ENTRA_GUESTS", "some"),
        ]);
        let errors = check(&wrong).expect_err("all of them");
        let names: Vec<_> = errors.iter().map(|error| error.setting).collect();
        let expected = [
            "ASSAY_CLOUD",
            "ASSAY_PUBLIC_URL",
            "ASSAY_ENTRA_CLIENT_ID",
            "ASSAY_ENTRA_TENANTS",
            "ASSAY_ENTRA_CREDENTIAL",
            "ASSAY_ENTRA_OWNER",
            "ASSAY_ENTRA_AUTH_CONTEXT",
            "ASSAY_ENTRA_GUESTS",
        ];
        assert_eq!(names, expected);
        assert!(errors.iter().all(|error| !error.problem.contains("hush")));
    }

    #[test]
    fn a_managed_identity_is_for_azure_and_this_machine_needs_no_https() {
        let errors = check(&settings(&[("ASSAY_ENTRA_CREDENTIAL", "managed-identity")])).expect_err("not on this machine");
        assert_eq!(errors.iter().map(|error| error.setting).collect::<Vec<_>>(), ["ASSAY_ENTRA_CREDENTIAL"]);
        assert!(check(&settings(&[("ASSAY_PUBLIC_URL", "http://localhost:7071")])).is_ok());
        assert!(check(&settings(&[("ASSAY_PUBLIC_URL", "https://assay.example.net")])).is_ok());
    }
}
