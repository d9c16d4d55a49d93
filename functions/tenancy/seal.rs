//! Sealing: AES-256-GCM under a data key, bound to where the text belongs.
//!
//! The additional data names owner, container, document and field, each length-prefixed, so a sealed value that is
//! copied to another client, document or field does not open. The stored form is versioned.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};

use crate::platform::ports::Ids;

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;

const VERSION: &str = "s1";

/// What a sealed value is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The client's id, or `deployment`.
    pub owner: &'a str,
    pub container: &'a str,
    pub document: &'a str,
    pub field: &'a str,
}

impl Binding<'_> {
    fn bytes(&self) -> Vec<u8> {
        let parts = [VERSION, self.owner, self.container, self.document, self.field];
        let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum());
        for part in parts {
            // A field longer than 4 GiB cannot occur; saturating keeps this total.
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("sealed value has a form this release does not know")]
    Form,
    #[error("sealed value does not open with this key in this place")]
    Open,
}

/// One owner's data key. Keys for other uses are derived from it, never the key itself.
pub struct DataKey {
    seal: LessSafeKey,
    mac: hmac::Key,
    pseudonym: hmac::Key,
}

impl DataKey {
    /// # Panics
    /// Never for a key of [`KEY_BYTES`]; the vault adapters refuse other lengths before.
    pub fn new(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() != KEY_BYTES {
            return Err(SealError::Form);
        }
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"assay data key 1").extract(bytes);
        let seal = UnboundKey::new(&AES_256_GCM, &derive(&prk, b"seal")?).map_err(|_| SealError::Form)?;
        Ok(Self {
            seal: LessSafeKey::new(seal),
            mac: hmac::Key::new(hmac::HMAC_SHA256, &derive(&prk, b"mac")?),
            pseudonym: hmac::Key::new(hmac::HMAC_SHA256, &derive(&prk, b"pseudonym")?),
        })
    }

    /// `s1.` and base64 of nonce, ciphertext and tag.
    pub fn seal(&self, binding: &Binding<'_>, plain: &[u8], ids: &dyn Ids) -> Result<String, SealError> {
        let sealed = self.seal_bytes(binding, plain, ids)?;
        Ok(format!("{VERSION}.{}", BASE64.encode(sealed)))
    }

    pub fn open(&self, binding: &Binding<'_>, text: &str) -> Result<Vec<u8>, SealError> {
        let body = text.strip_prefix(VERSION).and_then(|t| t.strip_prefix('.')).ok_or(SealError::Form)?;
        self.open_bytes(binding, BASE64.decode(body).map_err(|_| SealError::Form)?)
    }

    /// Nonce, ciphertext and tag as bytes, for blobs.
    pub fn seal_bytes(&self, binding: &Binding<'_>, plain: &[u8], ids: &dyn Ids) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        ids.random(&mut nonce);
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .seal
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(binding.bytes()), &mut sealed[NONCE_LEN..])
            .map_err(|_| SealError::Form)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub fn open_bytes(&self, binding: &Binding<'_>, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        if sealed.len() < NONCE_LEN {
            return Err(SealError::Form);
        }
        let mut text = sealed.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| SealError::Form)?;
        let length = self.seal.open_in_place(nonce, Aad::from(binding.bytes()), &mut text).map_err(|_| SealError::Open)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// HMAC-SHA256 over length-prefixed parts.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        tag(&self.mac, parts)
    }

    /// Compares in constant time.
    pub fn mac_holds(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        hmac::verify(&self.mac, &prefixed(parts), mac).is_ok()
    }

    /// A person's stable stand-in in this owner's log: 16 bytes, meaningless once the key is destroyed.
    pub fn pseudonym(&self, person: &str) -> String {
        hex(&tag(&self.pseudonym, &[person.as_bytes()])[..16])
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

fn derive(prk: &hkdf::Prk, label: &'static [u8]) -> Result<[u8; KEY_BYTES], SealError> {
    let mut key = [0; KEY_BYTES];
    prk.expand(&[label], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).map_err(|_| SealError::Form)?;
    Ok(key)
}

fn prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn tag(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(key, &prefixed(parts)).as_ref());
    out
}
