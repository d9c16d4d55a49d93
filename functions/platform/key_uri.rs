//! The address of a Key Vault key without a version: `https://VAULT/keys/NAME`.

use url::Url;

use super::limits::check_key_name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUri {
    url: Url,
    name: String,
}

impl KeyUri {
    /// `None` for anything else: another scheme, a version, a query, a name that Key Vault does not take.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| {
            url.scheme() == "https"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        })?;
        let mut segments = url.path_segments()?;
        let (Some("keys"), Some(name), None) = (segments.next(), segments.next(), segments.next()) else { return None };
        check_key_name(name).ok()?;
        let name = name.to_owned();
        Some(Self { url, name })
    }

    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The vault's own address.
    pub fn vault(&self) -> Url {
        let mut vault = self.url.clone();
        vault.set_path("/");
        vault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_vault_and_name_and_by_nothing_else() {
        let key = KeyUri::parse("https://v1.vault.azure.net/keys/client-a").expect("a key");
        assert_eq!((key.host(), key.name(), key.vault().as_str()), ("v1.vault.azure.net", "client-a", "https://v1.vault.azure.net/"));
        for other in [
            "client-a",
            "http://v1.vault.azure.net/keys/a",
            "https://v1.vault.azure.net/keys/",
            "https://v1.vault.azure.net/keys/a/0123",
            "https://v1.vault.azure.net/secrets/a",
            "https://v1.vault.azure.net/keys/a?x=1",
            "https://u:p@v1.vault.azure.net/keys/a",
            "https://v1.vault.azure.net/keys/a_b",
        ] {
            assert_eq!(KeyUri::parse(other), None, "{other}");
        }
    }
}
