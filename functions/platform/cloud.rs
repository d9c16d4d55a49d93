//! Which Azure cloud: where its sign-in, its services and its portal are. One table, so that nothing else names a host.
//!
//! Host suffixes of the services are checked when the settings are read: an address of another cloud would be handed
//! a token that is not meant for it.

use url::Url;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudProfile {
    pub name: &'static str,
    /// Where people and identities sign in.
    pub authority: Url,
    /// Where a custom cloud has them.
    pub graph: Option<Url>,
    /// Azure's own pages.
    pub portal: Option<Url>,
    /// The Marketplace's metering service; `None`: none is known there.
    pub metering: Option<Url>,
    /// For whom a token for Cosmos DB is made out; `None`: for the account's own address.
    pub cosmos_audience: Option<String>,
    pub storage_audience: String,
    /// For whom a managed identity's token is made out that stands for an app registration's secret.
    pub exchange_audience: String,
    /// Host suffixes; empty where a custom cloud may have any.
    pub cosmos_suffix: &'static str,
    pub storage_suffix: &'static str,
    pub vault_suffix: &'static str,
}

impl CloudProfile {
    pub fn public() -> Self {
        Self {
            name: "public",
            authority: known("https://login.microsoftonline.com/"),
            graph: Some(known("https://graph.microsoft.com/")),
            portal: Some(known("https://portal.azure.com/")),
            metering: Some(known("https://marketplaceapi.microsoft.com/")),
            cosmos_audience: Some("https://cosmos.azure.com".into()),
            storage_audience: "https://storage.azure.com".into(),
            exchange_audience: "api://AzureADTokenExchange".into(),
            cosmos_suffix: ".documents.azure.com",
            storage_suffix: ".core.windows.net",
            vault_suffix: ".vault.azure.net",
        }
    }

    /// Azure Government. Cosmos DB takes tokens for the account's own address in every cloud. Its Marketplace has only offers
    /// with a licence of one's own or a price by the hour ("Azure Government Marketplace"), so none is metered.
    pub fn government() -> Self {
        Self {
            name: "government",
            authority: known("https://login.microsoftonline.us/"),
            graph: Some(known("https://graph.microsoft.us/")),
            portal: Some(known("https://portal.azure.us/")),
            metering: None,
            cosmos_audience: None,
            storage_audience: "https://storage.azure.com".into(),
            exchange_audience: "api://AzureADTokenExchangeUSGov".into(),
            cosmos_suffix: ".documents.azure.us",
            storage_suffix: ".core.usgovcloudapi.net",
            vault_suffix: ".vault.usgovcloudapi.net",
        }
    }

    /// `name=value` pairs with `;` between them; says what is missing or not known.
    pub fn custom(text: &str) -> Result<Self, String> {
        let (mut authority, mut graph, mut portal, mut storage, mut exchange, mut cosmos) = (None, None, None, None, None, None);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or("expected name=value pairs with ; between them")?;
            let place = match name.trim() {
                "authority" => &mut authority,
                "graph" => &mut graph,
                "portal" => &mut portal,
                "storage" => &mut storage,
                "exchange" => &mut exchange,
                "cosmos" => &mut cosmos,
                _ => return Err("expected the names authority, graph, portal, storage, exchange and cosmos".into()),
            };
            *place = Some(value.trim().to_owned());
        }
        let address = |name: &str, value: Option<String>| {
            let url = value.and_then(|value| Url::parse(&value).ok()).filter(|url| url.scheme() == "https" && url.query().is_none());
            url.ok_or_else(|| format!("expected {name}=https://HOST/"))
        };
        Ok(Self {
            name: "custom",
            authority: address("authority", authority)?,
            graph: graph.map(|graph| address("graph", Some(graph))).transpose()?,
            portal: portal.map(|portal| address("portal", Some(portal))).transpose()?,
            metering: None,
            cosmos_audience: cosmos,
            storage_audience: storage.ok_or("expected storage=AUDIENCE")?,
            exchange_audience: exchange.ok_or("expected exchange=AUDIENCE")?,
            cosmos_suffix: "",
            storage_suffix: "",
            vault_suffix: "",
        })
    }
}

#[expect(clippy::expect_used, reason = "the addresses of this table; a test reads them all")]
fn known(address: &str) -> Url {
    Url::parse(address).expect("an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_own_hosts() {
        let (public, government) = (CloudProfile::public(), CloudProfile::government());
        assert_ne!(public.authority, government.authority);
        assert!(government.vault_suffix.ends_with("usgovcloudapi.net") && public.vault_suffix.ends_with("azure.net"));
    }

    #[test]
    fn a_custom_cloud_says_what_is_missing() {
        let whole = "authority=https://login.example/; graph=https://graph.example/;portal=https://portal.example/;storage=https://s;exchange=api://x";
        assert_eq!(CloudProfile::custom(whole).expect("whole").cosmos_audience, None);
        for (text, expected) in [
            ("", "authority=https"),
            ("authority=http://login.example/", "authority=https"),
            ("authority", "name=value"),
            ("aurhority=https://x/", "expected the names"),
        ] {
            assert!(CloudProfile::custom(text).expect_err("refused").contains(expected), "{text}");
        }
    }
}
