//! One data key of an owner, and what is derived from it by HKDF-SHA256: a key for each container that is sealed, and for
//! each other use. Derived when it is first needed; the module wipes its copies when they go (`OPENSSL_free` cleanses).

use std::sync::OnceLock;

use aws_lc_rs::{
    aead::{AES_256_GCM, RandomizedNonceKey},
    hkdf, hmac,
};
use zeroize::Zeroizing;

use super::seal::{Form, SealError};

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;

/// Containers whose key is derived once; of another it is derived each time.
const KNOWN: [&str; 6] = ["deployment", "clients", "audit", "heads", "raw", "cookie"];

/// HKDF wants a salt in FIPS mode; these two also tell apart what each form derives.
const SALT_1: &[u8] = b"assay data key 1";
const SALT_2: &[u8] = b"assay data key 2";

pub(super) struct EpochKey {
    epoch: u32,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    /// One for everything: form `s1`.
    sealing_1: OnceLock<RandomizedNonceKey>,
    sealing_2: [OnceLock<RandomizedNonceKey>; KNOWN.len()],
}

/// What must stay the same in every epoch, derived from the first data key.
pub(super) struct Lasting {
    pub(super) mac: hmac::Key,
    pub(super) pseudonym: hmac::Key,
}

impl EpochKey {
    pub(super) fn new(epoch: u32, bytes: &[u8]) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| SealError::Form)?);
        Ok(Self { epoch, bytes, sealing_1: OnceLock::new(), sealing_2: Default::default() })
    }

    pub(super) fn again(&self) -> Result<Self, SealError> {
        Self::new(self.epoch, &*self.bytes)
    }

    /// As [`super::seal::DataKey::kept`] writes them, one after the other.
    pub(super) fn all_of(kept: &[u8]) -> Result<Vec<Self>, SealError> {
        let keys = kept.chunks(4 + KEY_BYTES).map(|one| {
            let (epoch, bytes) = one.split_first_chunk::<4>().ok_or(SealError::Form)?;
            Self::new(u32::from_be_bytes(*epoch), bytes)
        });
        keys.collect()
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Does it with the key that seals this container in this form.
    pub(super) fn sealing<T>(&self, form: Form, container: &str, work: impl FnOnce(&RandomizedNonceKey) -> T) -> Result<T, SealError> {
        let place = match form {
            Form::S1 => Some(&self.sealing_1),
            Form::S2 | Form::S3 => KNOWN.iter().position(|known| *known == container).map(|index| &self.sealing_2[index]),
        };
        if let Some(key) = place.and_then(OnceLock::get) {
            return Ok(work(key));
        }
        let bytes = match form {
            Form::S1 => derived(SALT_1, &*self.bytes, &[b"seal"])?,
            Form::S2 | Form::S3 => self.for_use("seal", container)?,
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*bytes).map_err(|_| SealError::Form)?;
        Ok(match place {
            Some(place) => work(place.get_or_init(|| key)),
            None => work(&key),
        })
    }

    /// The key of one use; the lengths in it keep two uses from being one.
    pub(super) fn for_use(&self, usage: &str, of: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        derived(SALT_2, &*self.bytes, &[&length(usage), usage.as_bytes(), &length(of), of.as_bytes()])
    }

    pub(super) fn lasting(&self) -> Result<Lasting, SealError> {
        let hmac = |label: &[u8]| Ok(hmac::Key::new(hmac::HMAC_SHA256, &*derived(SALT_1, &*self.bytes, &[label])?));
        Ok(Lasting { mac: hmac(b"mac")?, pseudonym: hmac(b"pseudonym")? })
    }

    /// Authenticates queue messages. Of the first data key it is the one that authenticates everything else too: earlier
    /// releases know no other.
    pub(super) fn of_messages(&self) -> Result<hmac::Key, SealError> {
        if self.epoch == super::seal::FIRST_EPOCH {
            return Ok(self.lasting()?.mac);
        }
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*self.for_use("mac", "queue messages")?))
    }

    /// Authenticates the record that holds this key.
    pub(super) fn of_record(&self) -> Result<hmac::Key, SealError> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*self.for_use("mac", "data-key record")?))
    }
}

fn derived(salt: &[u8], key: &[u8], info: &[&[u8]]) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    prk.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| SealError::Form)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::Aad;

    use super::*;

    fn key(epoch: u32) -> EpochKey {
        EpochKey::new(epoch, &[7; KEY_BYTES]).expect("a key")
    }

    fn seals(by: &EpochKey, form: Form, container: &str) -> Vec<u8> {
        let mut text = b"text".to_vec();
        let seal = |key: &RandomizedNonceKey| key.seal_in_place_append_tag(Aad::empty(), &mut text).expect("sealed");
        let nonce = by.sealing(form, container, seal).expect("a key");
        [nonce.as_ref().as_slice(), &text].concat()
    }

    fn opens(by: &EpochKey, form: Form, container: &str, sealed: &[u8]) -> bool {
        let (nonce, text) = sealed.split_at(12);
        let mut text = text.to_vec();
        let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).expect("a nonce");
        by.sealing(form, container, |key| key.open_in_place(nonce, Aad::empty(), &mut text).is_ok()).expect("a key")
    }

    #[test]
    fn each_container_has_a_key_of_its_own_whichever_was_used_first_and_whether_it_is_kept() {
        let containers: Vec<&str> = KNOWN.into_iter().chain(["another"]).collect();
        let used = key(1);
        let sealed: Vec<_> = containers.iter().map(|container| seals(&used, Form::S3, container)).collect();
        for (n, container) in containers.iter().enumerate() {
            let fresh = key(1);
            for (other, sealed) in sealed.iter().enumerate() {
                assert_eq!(opens(&fresh, Form::S3, container, sealed), n == other, "{container} {}", containers[other]);
                assert_eq!(opens(&used, Form::S2, container, sealed), n == other);
                assert!(!opens(&used, Form::S1, container, sealed));
            }
        }
    }

    #[test]
    fn messages_have_a_key_of_their_own_but_in_the_first_epoch() {
        let tags = |key: &EpochKey| {
            [key.lasting().expect("keys").mac, key.of_messages().expect("a key"), key.of_record().expect("a key")]
                .map(|key| hmac::sign(&key, b"m").as_ref().to_vec())
        };
        let [lasting, messages, record] = tags(&key(1));
        assert!(messages == lasting && record != lasting);
        let [lasting, messages, record] = tags(&key(2));
        assert!(messages != lasting && record != lasting && record != messages);
    }
}
