//! Who cosigns the checkpoints of the audit logs, if anybody does.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use url::Url;

use super::Reader;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessSettings {
    /// The submission prefix (C2SP tlog-witness): requests go to `add-checkpoint` below it.
    pub url: Url,
    /// `NAME+ID+KEY`, of the form of a witness's key; whether the id belongs to it, `audit` asks.
    pub key: String,
}

/// Both or neither.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<WitnessSettings> {
    const URL: &str = "ASSAY_WITNESS_URL";
    const KEY: &str = "ASSAY_WITNESS_KEY";
    let (url, key) = (reader.text(URL), reader.text(KEY));
    if url.is_empty() && key.is_empty() {
        return None;
    }
    let url = Url::parse(&url).ok().filter(|url| url.scheme() == "https" && url.query().is_none() && url.fragment().is_none());
    if url.is_none() {
        reader.fail(URL, "expected the https address of the witness, to which add-checkpoint is added; or leave both settings empty");
    }
    if !is_key(&key) {
        reader
            .fail(KEY, "expected the witness's key as NAME+ID+KEY, of the type for cosignature/v1 (Ed25519); or leave both settings empty");
    }
    Some(WitnessSettings { url: url?, key })
}

fn is_key(text: &str) -> bool {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let is_id = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    !name.is_empty() && is_id && BASE64.decode(key).is_ok_and(|key| key.len() == 33 && key[0] == 4)
}

#[cfg(test)]
mod tests {
    use crate::config::{RawConfig, check};

    #[test]
    fn a_witness_has_an_address_and_a_key_of_its_kind_or_there_is_none() {
        let key = format!("witness.example/w1+0a1b2c3d+{}", "BAAA".to_owned() + &"A".repeat(40));
        let with = |url: &str, key: &str| {
            let raw = RawConfig::from([("ASSAY_WITNESS_URL".into(), url.into()), ("ASSAY_WITNESS_KEY".into(), key.into())]);
            check(&raw).map(|config| config.witness.map(|witness| witness.url.to_string())).map_err(|errors| errors[0].setting)
        };
        assert_eq!(with("", ""), Ok(None));
        assert_eq!(with("https://witness.example/w1", &key), Ok(Some("https://witness.example/w1".into())));
        for url in ["", "http://witness.example/w1", "witness.example", "https://witness.example/w1?x=1"] {
            assert_eq!(with(url, &key), Err("ASSAY_WITNESS_URL"), "{url}");
        }
        let ed25519 = key.replace("+BAAA", "+AQAA");
        for other in ["", "witness.example/w1", &ed25519, &key.replace("0a1b2c3d", "0A1B2C3D"), &key[..key.len() - 4]] {
            assert_eq!(with("https://witness.example/w1", other), Err("ASSAY_WITNESS_KEY"), "{other}");
        }
    }
}
