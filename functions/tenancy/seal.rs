//! Sealing: AES-256-GCM under an owner's data keys, bound to where the text belongs.
//!
//! The additional data names owner, container, place, document, field, schema, revision and the data key's epoch, each
//! length-prefixed, so a sealed value that is copied to another client, place, document or field, or whose clear words
//! were changed, does not open. The stored form says which form it is and which data key opens it. The nonce is made inside
//! the cryptographic module (FIPS 140-3 IG C.H, scenario 2): nothing here hands one in.
//!
//! Earlier forms are still opened. `s2` does not name the place. `s1` knows one data key, one key for all containers, and
//! neither place, schema nor revision; it is written as long as the owner's key record is of an earlier release: such a
//! release then reads all.

use aws_lc_rs::{
    aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64_simd::STANDARD_NO_PAD as BASE64;
use zeroize::Zeroizing;

pub use super::epoch_key::KEY_BYTES;
use super::epoch_key::{EpochKey, Lasting};

/// What begins sealed bytes, before the epoch (4 bytes, big-endian). `s1` begins with its nonce, which is one of these
/// once in 2^63.
const MAGIC: &[u8; 8] = b"assay\0s3";
const MAGIC_2: &[u8; 8] = b"assay\0s2";
const HEADER: usize = MAGIC.len() + 4;
const TAG: usize = 16;

/// What a sealed value is bound to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding<'a> {
    /// The client's id, or `deployment`.
    pub owner: &'a str,
    pub container: &'a str,
    /// Which of the owner's places in the container (its partition key, without the owner); empty where that says nothing.
    pub place: &'a str,
    pub document: &'a str,
    pub field: &'a str,
    /// In which shape the text is; 0 where it has none.
    pub schema: u32,
    /// Which revision of the document this is; 0 where it counts none.
    pub revision: u64,
}

impl Binding<'_> {
    /// `epoch`: of the data key.
    fn bytes(&self, form: Form, epoch: u32) -> Vec<u8> {
        let [owner, container, place, document, field] =
            [self.owner, self.container, self.place, self.document, self.field].map(str::as_bytes);
        let (schema, revision, epoch) = (self.schema.to_be_bytes(), self.revision.to_be_bytes(), epoch.to_be_bytes());
        match form {
            Form::S1 => joined(&[b"s1", owner, container, document, field]),
            Form::S2 => joined(&[b"s2", owner, container, document, field, &schema, &revision, &epoch]),
            Form::S3 => joined(&[b"s3", owner, container, place, document, field, &schema, &revision, &epoch]),
        }
    }
}

/// How sealed values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    S1,
    S2,
    S3,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("sealed value has a form this release does not know")]
    Form,
    #[error("sealed value does not open with this key in this place")]
    Open,
    /// Perhaps of a rotation that this process has not seen yet.
    #[error("sealed value needs data key {epoch}, which is not among the owner's")]
    Epoch { epoch: u32 },
}

/// One owner's data keys, of which the newest seals. Keys for each use are derived from them, never the key itself.
pub struct DataKey {
    form: Form,
    /// Oldest first, never empty, epochs rising.
    epochs: Vec<EpochKey>,
    lasting: Lasting,
    /// Whether the newest is so new that messages of the one before it may still wait in a queue.
    takes_previous: bool,
}

impl DataKey {
    /// The one data key of a new owner.
    pub fn new(bytes: &[u8]) -> Result<Self, SealError> {
        Self::of(Form::S3, vec![EpochKey::new(FIRST_EPOCH, bytes)?])
    }

    pub(super) fn of(form: Form, epochs: Vec<EpochKey>) -> Result<Self, SealError> {
        let rises = epochs.windows(2).all(|pair| pair[0].epoch() < pair[1].epoch());
        let lasting = epochs.first().filter(|_| rises).ok_or(SealError::Form)?.lasting()?;
        Ok(Self { form, epochs, lasting, takes_previous: false })
    }

    /// With one more data key, which seals from now on.
    pub(super) fn with_next(&self, bytes: &[u8]) -> Result<Self, SealError> {
        let next = self.epoch().checked_add(1).ok_or(SealError::Form)?;
        let mut epochs = self.epochs.iter().map(EpochKey::again).collect::<Result<Vec<_>, _>>()?;
        epochs.push(EpochKey::new(next, bytes)?);
        Self::of(Form::S3, epochs)
    }

    /// The same keys, which write from now on as this release does.
    pub(super) fn in_present_form(&self) -> Result<Self, SealError> {
        Self::of(Form::S3, self.epochs.iter().map(EpochKey::again).collect::<Result<_, _>>()?)
    }

    /// Of the data key that seals; the first is 1.
    pub fn epoch(&self) -> u32 {
        self.newest().epoch()
    }

    pub fn form(&self) -> Form {
        self.form
    }

    pub(super) fn newest(&self) -> &EpochKey {
        // Never empty: `of` sees to it.
        &self.epochs[self.epochs.len() - 1]
    }

    pub(super) fn epochs(&self) -> &[EpochKey] {
        &self.epochs
    }

    /// `s3.`, the epoch, `.`, and base64 of nonce, ciphertext and tag.
    pub fn seal(&self, binding: &Binding<'_>, plain: &[u8]) -> Result<String, SealError> {
        let sealed = self.seal_after(binding, plain, 0)?;
        let mut text = match self.form {
            Form::S1 => "s1.".to_owned(),
            Form::S2 => format!("s2.{}.", self.epoch()),
            Form::S3 => format!("s3.{}.", self.epoch()),
        };
        BASE64.encode_append(sealed, &mut text);
        Ok(text)
    }

    pub fn open(&self, binding: &Binding<'_>, text: &str) -> Result<Vec<u8>, SealError> {
        let (form, epoch, body) = parts(text)?;
        self.open_after(binding, BASE64.decode_to_vec(body).map_err(|_| SealError::Form)?, 0, form, epoch)
    }

    /// The same as bytes, for blobs and cookies.
    pub fn seal_bytes(&self, binding: &Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if self.form == Form::S1 {
            return self.seal_after(binding, plain, 0);
        }
        let mut sealed = self.seal_after(binding, plain, HEADER)?;
        sealed[..MAGIC.len()].copy_from_slice(MAGIC);
        sealed[MAGIC.len()..HEADER].copy_from_slice(&self.epoch().to_be_bytes());
        Ok(sealed)
    }

    pub fn open_bytes(&self, binding: &Binding<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        match epoch_of_bytes(&sealed) {
            Some((form, epoch)) => self.open_after(binding, sealed, HEADER, form, epoch),
            None => self.open_after(binding, sealed, 0, Form::S1, FIRST_EPOCH),
        }
    }

    /// Room for a header, then nonce, ciphertext and tag.
    fn seal_after(&self, binding: &Binding<'_>, plain: &[u8], header: usize) -> Result<Vec<u8>, SealError> {
        let key = self.newest();
        let start = header + NONCE_LEN;
        let mut sealed = Vec::with_capacity(start + plain.len() + TAG);
        sealed.resize(start, 0);
        sealed.extend_from_slice(plain);
        let aad = binding.bytes(self.form, key.epoch());
        let seal = |key: &RandomizedNonceKey, text: &mut [u8]| key.seal_in_place_separate_tag(Aad::from(&aad), text);
        let (nonce, tag) =
            key.sealing(self.form, binding.container, |key| seal(key, &mut sealed[start..]))?.map_err(|_| SealError::Form)?;
        sealed[header..start].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    fn open_after(&self, binding: &Binding<'_>, mut sealed: Vec<u8>, header: usize, form: Form, epoch: u32) -> Result<Vec<u8>, SealError> {
        let start = header + NONCE_LEN;
        if sealed.len() < start + TAG {
            return Err(SealError::Form);
        }
        let key = self.epochs.iter().find(|key| key.epoch() == epoch).ok_or(SealError::Epoch { epoch })?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed[header..start]).map_err(|_| SealError::Form)?;
        let aad = binding.bytes(form, epoch);
        let opened = key.sealing(form, binding.container, |key| {
            key.open_in_place(nonce, Aad::from(&aad), &mut sealed[start..]).map(|plain| plain.len())
        })?;
        let length = opened.map_err(|_| SealError::Open)?;
        sealed.copy_within(start..start + length, 0);
        sealed.truncate(length);
        Ok(sealed)
    }

    /// The same keys, of which the one before the newest still authenticates messages, or does not.
    pub(super) fn taking_previous(self, takes_previous: bool) -> Self {
        Self { takes_previous, ..self }
    }

    /// HMAC-SHA256 over the length-prefixed parts of a queue message, under the newest data key; which one that is.
    pub fn message_mac(&self, parts: &[&[u8]]) -> Result<(u32, [u8; 32]), SealError> {
        Ok((self.epoch(), tag(&self.newest().of_messages()?, parts)))
    }

    /// Whether this data key made it. Only the newest counts, and for a while the one before it: who learns an older one
    /// makes no message. [`SealError::Epoch`]: a newer one than these.
    pub fn message_mac_holds(&self, epoch: u32, parts: &[&[u8]], mac: &[u8]) -> Result<bool, SealError> {
        if epoch > self.epoch() {
            return Err(SealError::Epoch { epoch });
        }
        let newest_two = self.epochs.iter().rev().take(1 + usize::from(self.takes_previous));
        match newest_two.into_iter().find(|key| key.epoch() == epoch) {
            Some(key) => Ok(tag_holds(&key.of_messages()?, parts, mac)),
            None => Ok(false),
        }
    }

    /// HMAC-SHA256 over length-prefixed parts. Under the first data key whatever the epoch: a form that is open and a cookie
    /// stay what they are when the key is rotated.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        tag(&self.lasting.mac, parts)
    }

    /// Compares in constant time.
    pub fn mac_holds(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        hmac::verify(&self.lasting.mac, &prefixed(parts), mac).is_ok()
    }

    /// A person's stable stand-in in this owner's log: 16 bytes, the same in every epoch, meaningless once the keys are
    /// destroyed.
    pub fn pseudonym(&self, person: &str) -> String {
        hex(&tag(&self.lasting.pseudonym, &[person.as_bytes()])[..16])
    }

    /// For the process's memory: which form, then epoch and key of each.
    pub(super) fn kept(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + self.epochs.len() * (4 + KEY_BYTES)));
        bytes.push(match (self.form, self.takes_previous) {
            (Form::S1, _) => 1,
            (Form::S2 | Form::S3, false) => 2,
            (Form::S2 | Form::S3, true) => 3,
        });
        for key in &self.epochs {
            bytes.extend_from_slice(&key.epoch().to_be_bytes());
            bytes.extend_from_slice(key.bytes());
        }
        bytes
    }

    pub(super) fn of_kept(bytes: &[u8]) -> Result<Self, SealError> {
        let (form, keys) = match bytes.split_first() {
            Some((1, keys)) => (Form::S1, keys),
            Some((2 | 3, keys)) => (Form::S3, keys),
            _ => return Err(SealError::Form),
        };
        Ok(Self::of(form, EpochKey::all_of(keys)?)?.taking_previous(bytes.first() == Some(&3)))
    }
}

/// The epoch of an owner's first data key.
pub const FIRST_EPOCH: u32 = 1;

/// Which data key sealed the text; for who looks for what an older one sealed.
pub fn epoch_of(text: &str) -> Result<(Form, u32), SealError> {
    parts(text).map(|(form, epoch, _)| (form, epoch))
}

fn parts(text: &str) -> Result<(Form, u32, &str), SealError> {
    if let Some(body) = text.strip_prefix("s1.") {
        return Ok((Form::S1, FIRST_EPOCH, body));
    }
    let (form, rest) = match text.split_at_checked(3) {
        Some(("s3.", rest)) => (Form::S3, rest),
        Some(("s2.", rest)) => (Form::S2, rest),
        _ => return Err(SealError::Form),
    };
    let (epoch, body) = rest.split_once('.').ok_or(SealError::Form)?;
    // One spelling for each number, as it is written.
    let epoch: u32 = epoch.parse().ok().filter(|number: &u32| number.to_string() == epoch).ok_or(SealError::Form)?;
    Ok((form, epoch, body))
}

fn epoch_of_bytes(sealed: &[u8]) -> Option<(Form, u32)> {
    let (form, rest) = match sealed.split_first_chunk()? {
        (MAGIC, rest) => (Form::S3, rest),
        (MAGIC_2, rest) => (Form::S2, rest),
        _ => return None,
    };
    Some((form, u32::from_be_bytes(*rest.first_chunk()?)))
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    text
}

/// SHA-256 as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Each with its length before it (4 bytes), so that no two lists give the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum());
    for part in parts {
        // A part longer than 4 GiB cannot occur; saturating keeps this total.
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

pub(super) fn tag(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(key, &prefixed(parts)).as_ref());
    out
}

pub(super) fn tag_holds(key: &hmac::Key, parts: &[&[u8]], mac: &[u8]) -> bool {
    hmac::verify(key, &prefixed(parts), mac).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_remembers_writes_as_before_and_knows_as_many_keys() {
        for (form, written) in [(Form::S1, "s1."), (Form::S3, "s3.2.")] {
            let epochs = if form == Form::S1 { 1..2 } else { 1..3 };
            let epochs = epochs.map(|epoch| EpochKey::new(epoch, &[7; KEY_BYTES])).collect::<Result<_, _>>().expect("keys");
            let keys = DataKey::of(form, epochs).expect("keys");
            let again = DataKey::of_kept(&keys.kept()).expect("as it was kept");
            assert_eq!((again.form(), again.epoch(), again.epochs().len()), (form, keys.epoch(), keys.epochs().len()));
            let sealed = again.seal(&Binding::default(), b"text").expect("sealed");
            assert!(sealed.starts_with(written), "{sealed}");
            assert_eq!(keys.open(&Binding::default(), &sealed).expect("opened"), b"text");
        }
        assert!(DataKey::of_kept(&[]).is_err() && DataKey::of_kept(&[0]).is_err() && DataKey::of_kept(&[1]).is_err());
    }
}
