//! The address of something in Key Vault without a version: `https://VAULT/keys/NAME`, `https://VAULT/secrets/NAME`.

use url::Url;

use super::limits::check_key_name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUri {
    url: Url,
    name: String,
}

impl KeyUri {
    /// A key's; `None` for anything else: another scheme, a version, a query, a name that Key Vault does not take.
    pub fn parse(text: &str) -> Option<Self> {
        Self::in_collection("keys", text)
    }

    /// The same for a secret.
    pub fn parse_secret(text: &str) -> Option<Self> {
        Self::in_collection("secrets", text)
    }

    fn in_collection(collection: &str, text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| {
            url.scheme() == "https"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        })?;
        let mut segments = url.path_segments()?;
        let (Some(first), Some(name), None) = (segments.next(), segments.next(), segments.next()) else { return None };
        if first != collection {
            return None;
        }
        check_key_name(name).ok()?;
        let name = name.to_owned();
        Some(Self { url, name })
    }

    /// Another key in the same vault.
    pub fn key_beside(&self, name: &str) -> Option<Self> {
        let mut url = self.vault();
        url.set_path(&format!("keys/{name}"));
        Self::parse(url.as_str())
    }

    /// A secret of that name beside this key.
    pub fn secret_beside(&self, name: &str) -> Option<Self> {
        let mut url = self.vault();
        url.set_path(&format!("secrets/{name}"));
        Self::parse_secret(url.as_str())
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

    /// Whether both name the same thing: Key Vault does not tell upper and lower case apart.
    pub fn is(&self, other: &Self) -> bool {
        self.url.as_str().eq_ignore_ascii_case(other.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_named_by_vault_and_name_and_by_nothing_else() {
        let key = KeyUri::parse("https://v1.vault.azure.net/keys/client-a").expect("a key");
        assert_eq!((key.host(), key.name(), key.vault().as_str()), ("v1.vault.azure.net", "client-a", "https://v1.vault.azure.net/"));
        for other in [
            "client-a",
            "http://v1.vault.azure.net/keys/a",
            "https://v1.vault.azure.net/keys/",
            "https://v1.vault.azure.net/keys/a/",
            "https://v1.vault.azure.net/keys/a/0123",
            "https://v1.vault.azure.net/secrets/a",
            "https://v1.vault.azure.net/keys/a?x=1",
            "https://u:p@v1.vault.azure.net/keys/a",
            "https://v1.vault.azure.net/keys/a_b",
            "https://v1.vault.azure.net/keys/%61",
        ] {
            assert_eq!(KeyUri::parse(other), None, "{other}");
        }
    }

    #[test]
    fn one_key_in_two_spellings_is_one_key() {
        let key = |text| KeyUri::parse(text).expect("a key");
        let plain = key("https://v1.vault.azure.net/keys/client-a");
        assert!(plain.is(&key("https://V1.vault.azure.net:443/keys/Client-A")));
        assert!(!plain.is(&key("https://v1.vault.azure.net/keys/client-b")) && !plain.is(&key("https://v2.vault.azure.net/keys/client-a")));
    }

    #[test]
    fn a_secret_may_lie_beside_a_key() {
        let key = KeyUri::parse("https://v1.vault.azure.net/keys/deployment").expect("a key");
        assert_eq!(key.secret_beside("entra").expect("a secret").url().as_str(), "https://v1.vault.azure.net/secrets/entra");
        for name in ["", "a/b", "..", "a?b", "a b"] {
            assert_eq!(key.secret_beside(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_says_itself_again(text in "(https?://)?[a-zA-Z0-9.:@-]{0,20}/(keys|secrets|[a-z%]{0,5})/[a-zA-Z0-9%._/?#-]{0,12}") {
            if let Some(key) = KeyUri::parse(&text) {
                prop_assert_eq!(KeyUri::parse(key.url().as_str()), Some(key.clone()));
                prop_assert!(!key.host().is_empty() && check_key_name(key.name()).is_ok());
                prop_assert_eq!(key.url().as_str(), format!("{}keys/{}", key.vault(), key.name()));
            }
        }
    }
}
