//! Signed notes and the keys that verify them (C2SP signed-note).
//!
//! Strict where the text of the specification is: one spelling, no control characters, at most 64 signature lines. Lines of
//! keys that nobody asked for are ignored; a line of a known key that does not verify spoils the note. Making a signature
//! is not done here: whoever holds a key signs the text and hands in the bytes.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::tenancy::seal::hex;

/// More than a checkpoint with many witnesses has.
const MAX_NOTE_BYTES: usize = 256 * 1024;
const MAX_LINES: usize = 64;

/// What a signature line begins with.
const DASH: &str = "\u{2014} ";

/// DER of a P-256 public key (RFC 5480), up to the 65 bytes of the point.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

/// A key that verifies, and the name it signs under. As text: `name+id+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    /// Type 0x01.
    Ed25519([u8; 32]),
    /// Type 0x02: ECDSA over SHA-256, the signature as DER; the uncompressed point.
    P256([u8; 65]),
    /// Type 0x04: a witness's, Ed25519 over the text with a time (C2SP tlog-cosignature).
    Witness([u8; 32]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not a verifier key: it is written as name+8 hex digits+base64")]
    Form,
    #[error("the verifier key's number does not belong to its name and key: it was cut off or mistyped")]
    Id,
    #[error("the verifier key is of a type that this release does not know; it knows Ed25519, ECDSA on P-256 and cosignature/v1")]
    Type,
}

impl VerifierKey {
    pub fn ed25519(name: &str, key: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(name, PublicKey::Ed25519(*key))
    }

    /// `point` is uncompressed: 0x04 and both coordinates.
    pub fn p256(name: &str, point: &[u8]) -> Result<Self, KeyError> {
        let point: [u8; 65] = point.try_into().map_err(|_| KeyError::Form)?;
        if point[0] == 4 { Self::new(name, PublicKey::P256(point)) } else { Err(KeyError::Form) }
    }

    fn new(name: &str, key: PublicKey) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Form);
        }
        let hashed = match &key {
            PublicKey::Ed25519(_) | PublicKey::Witness(_) => digest(&SHA256, &[name.as_bytes(), b"\n", &key.material()].concat()),
            // As the implementation that the specification refers to does it: over the key alone.
            PublicKey::P256(_) => digest(&SHA256, &key.material()[1..]),
        };
        let mut id = [0; 4];
        id.copy_from_slice(&hashed.as_ref()[..4]);
        Ok(Self { name: name.to_owned(), id, key })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a witness's, which signs logs of others.
    pub fn is_witness(&self) -> bool {
        matches!(self.key, PublicKey::Witness(_))
    }

    /// Whether it is the one of the vault; the log's other kind is Ed25519.
    pub fn is_p256(&self) -> bool {
        matches!(self.key, PublicKey::P256(_))
    }

    /// SHA-256 of the key's text in hex: what two people compare by telephone.
    pub fn fingerprint(&self) -> String {
        hex(digest(&SHA256, self.to_string().as_bytes()).as_ref())
    }

    /// A signature line over what was signed with this key, with its line feed.
    pub fn line(&self, signature: &[u8]) -> String {
        format!("{DASH}{} {}\n", self.name, BASE64.encode([&self.id[..], signature].concat()))
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), signature).is_ok(),
            PublicKey::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(text.as_bytes(), signature).is_ok(),
            PublicKey::Witness(key) => time_of(signature).is_some_and(|(time, signature)| {
                let text = format!("cosignature/v1\ntime {time}\n{text}");
                UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), signature).is_ok()
            }),
        }
    }
}

impl PublicKey {
    /// The type's byte and the key, as a verifier key has them.
    fn material(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [&[1], &key[..]].concat(),
            Self::P256(point) => [&[2], &P256_INFO[..], point].concat(),
            Self::Witness(key) => [&[4], &key[..]].concat(),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex(&self.id), BASE64.encode(self.key.material()))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(KeyError::Form) };
        let material = BASE64.decode(key).map_err(|_| KeyError::Form)?;
        let key = match material.split_first().ok_or(KeyError::Form)? {
            (1, key) => Self::ed25519(name, key.try_into().map_err(|_| KeyError::Form)?),
            (2, key) => Self::p256(name, key.strip_prefix(&P256_INFO).ok_or(KeyError::Type)?),
            (4, key) => Self::new(name, PublicKey::Witness(key.try_into().map_err(|_| KeyError::Form)?)),
            _ => return Err(KeyError::Type),
        }?;
        if hex(&key.id) == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// No Unicode space and no plus, and something at all.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// A note taken apart: nothing in it counts before [`Note::verify`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is not a signed note: {0}")]
    Form(&'static str),
    #[error("it has no signature by {0}")]
    Unsigned(String),
    #[error("its signature by {0} does not hold: the text was changed, or somebody else signed it")]
    Signature(String),
}

impl Note {
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form("it is too long"));
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::Form("it is not UTF-8"))?;
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Form("there are control characters in it"));
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form("no empty line stands before its signatures"))?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Form("it is cut off, or has no signature"))?;
        let lines: Vec<Line> = signatures
            .split('\n')
            .take(MAX_LINES + 1)
            .map(line)
            .collect::<Option<_>>()
            .ok_or(NoteError::Form("a signature line is none"))?;
        if lines.len() > MAX_LINES {
            return Err(NoteError::Form("it has too many signatures"));
        }
        Ok(Self { text: format!("{text}\n"), lines })
    }

    /// What is signed, with its last line feed: to be looked at only when [`Note::verify`] found nothing.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this key signed it, and so for each key that is asked for.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut signed = false;
        for line in self.lines.iter().filter(|line| line.name == key.name && line.id == key.id) {
            if !key.verifies(&self.text, &line.signature) {
                return Err(NoteError::Signature(key.name.clone()));
            }
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::Unsigned(key.name.clone())) }
    }

    /// When this witness last cosigned it, in seconds since 1970; every line of its key must hold.
    pub fn cosigned_at(&self, key: &VerifierKey) -> Result<u64, NoteError> {
        self.verify(key)?;
        let of_key = self.lines.iter().filter(|line| line.name == key.name && line.id == key.id);
        let latest = of_key.filter_map(|line| time_of(&line.signature)).map(|(time, _)| time).max();
        latest.filter(|_| key.is_witness()).ok_or_else(|| NoteError::Unsigned(key.name.clone()))
    }
}

/// A cosignature's time in seconds since 1970, and what follows it; later than 2^63 - 1 there is none.
fn time_of(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = signature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    i64::try_from(time).is_ok().then_some((time, signature))
}

fn line(text: &str) -> Option<Line> {
    let (name, signature) = text.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = BASE64.decode(signature).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    (is_name(name) && !signature.is_empty()).then(|| Line { name: name.into(), id: *id, signature: signature.into() })
}

/// A signature of P-256 as DER (RFC 3279 2.2.3), from r and s of 32 bytes each, as a vault gives it.
pub fn der(signature: &[u8; 64]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        let digits = &bytes[start..];
        // A first bit of one would make it negative.
        let zero: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
        [&[0x02, short(zero.len() + digits.len())], zero, digits].concat()
    };
    let (r, s) = signature.split_at(32);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, short(body.len())], &body[..]].concat()
}

/// A length below 128, which is one byte: here 70 at most.
fn short(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
    };
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "assay.example/log";

    fn ed25519() -> (VerifierKey, Ed25519KeyPair) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        (VerifierKey::ed25519(NAME, pair.public_key().as_ref().try_into().expect("32 bytes")).expect("a name"), pair)
    }

    fn p256() -> (VerifierKey, EcdsaKeyPair) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        (VerifierKey::p256(NAME, pair.public_key().as_ref()).expect("a point"), pair)
    }

    fn vault_signature(pair: &EcdsaKeyPair, text: &str) -> Vec<u8> {
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).expect("signs");
        der(signature.as_ref().try_into().expect("64 bytes"))
    }

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key: VerifierKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().expect("a key");
        let note = Note::parse("This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".as_bytes())
            .expect("a note");
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(note.text(), "This is an example message.\n");
    }

    #[test]
    fn two_keys_sign_one_text_and_each_line_counts_for_its_key_only() {
        let ((one, one_pair), (two, two_pair)) = (ed25519(), p256());
        let text = "log\n3\nroot\n";
        for _ in 0..64 {
            // r and s have every length now and then.
            let lines = one.line(one_pair.sign(text.as_bytes()).as_ref()) + &two.line(&vault_signature(&two_pair, text));
            let note = Note::parse(format!("{text}\n{lines}").as_bytes()).expect("a note");
            assert_eq!((note.verify(&one), note.verify(&two)), (Ok(()), Ok(())));
            let other = VerifierKey::ed25519("assay.example/other", &[3; 32]).expect("a key");
            assert_eq!(note.verify(&other), Err(NoteError::Unsigned("assay.example/other".into())));
            let changed = Note::parse(format!("log\n4\nroot\n\n{lines}").as_bytes()).expect("a note");
            assert_eq!(changed.verify(&one), Err(NoteError::Signature(NAME.into())));
            assert_eq!(changed.verify(&two), Err(NoteError::Signature(NAME.into())));
        }
    }

    #[test]
    fn a_witness_signs_the_text_with_its_time_and_stands_for_no_key_of_the_log() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key");
        let point: [u8; 32] = pair.public_key().as_ref().try_into().expect("32 bytes");
        let witness = VerifierKey::new("witness.example/w1", PublicKey::Witness(point)).expect("a name");
        assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
        assert!(witness.is_witness() && !witness.is_p256() && !ed25519().0.is_witness());
        let text = "log\n3\nroot\n";
        let line = |time: u64, said: &str| {
            let signature = pair.sign(format!("cosignature/v1\ntime {said}\n{text}").as_bytes());
            witness.line(&[&time.to_be_bytes()[..], signature.as_ref()].concat())
        };
        let note = |lines: &str| Note::parse(format!("{text}\n{lines}").as_bytes()).expect("a note");
        assert_eq!(note(&line(7, "7")).cosigned_at(&witness), Ok(7));
        assert_eq!(note(&(line(7, "7") + &line(9, "9"))).cosigned_at(&witness), Ok(9));
        let bad = Err(NoteError::Signature("witness.example/w1".into()));
        let too_late = 1 << 63;
        let plain = witness.line(pair.sign(text.as_bytes()).as_ref());
        for lines in
            [line(7, "8"), line(7, "07"), line(too_late, &too_late.to_string()), plain, line(7, "7") + &line(7, "8"), witness.line(&[0; 7])]
        {
            assert_eq!(note(&lines).cosigned_at(&witness), bad, "{lines}");
        }
        // The same key as a log's signs something else, and its line is another's.
        let log = VerifierKey::ed25519("witness.example/w1", &point).expect("a name");
        assert_eq!(note(&line(7, "7")).verify(&log), Err(NoteError::Unsigned("witness.example/w1".into())));
        assert_eq!(
            note(&log.line(pair.sign(text.as_bytes()).as_ref())).cosigned_at(&log),
            Err(NoteError::Unsigned("witness.example/w1".into()))
        );
    }

    #[test]
    fn a_name_is_something_without_a_space_a_control_character_or_a_plus() {
        for name in ["", "a b", "a\u{a0}b", "a\tb", "a\u{7f}b", "a+b"] {
            assert!(VerifierKey::ed25519(name, &[3; 32]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_note_is_read_up_to_its_limits_and_not_beyond() {
        let (key, pair) = ed25519();
        let signed = |text: &str, lines: usize| {
            let line = key.line(pair.sign(text.as_bytes()).as_ref());
            format!("{text}\n{}", line.repeat(lines))
        };
        let rest = signed("\n", 1).len() - 1;
        for (length, lines, read) in
            [(MAX_NOTE_BYTES, 1, true), (MAX_NOTE_BYTES + 1, 1, false), (6000, MAX_LINES, true), (6000, MAX_LINES + 1, false)]
        {
            let note = signed(&format!("{}\n", "x".repeat(length - rest - 1)), lines);
            assert_eq!(Note::parse(note.as_bytes()).is_ok(), read, "{length} bytes, {lines} lines");
        }
    }

    #[test]
    fn the_shortest_integers_of_a_signature_are_one_byte_and_none_is_negative() {
        assert_eq!(der(&[0; 64]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let mut large = [0; 64];
        (large[31], large[63]) = (0x7f, 0x80);
        assert_eq!(der(&large), [0x30, 7, 2, 1, 0x7f, 2, 2, 0, 0x80]);
    }

    #[test]
    fn a_key_reads_as_it_is_written_and_a_slip_is_seen() {
        for key in [ed25519().0, p256().0] {
            let text = key.to_string();
            assert_eq!(key.fingerprint(), hex(digest(&SHA256, text.as_bytes()).as_ref()));
            assert_eq!(text.parse(), Ok(key));
            for n in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[n] = if bytes[n] == b'f' { b'e' } else { b'f' };
                let bent = String::from_utf8(bytes).expect("ASCII");
                // ECDSA's number does not cover the name; the name is then simply another signer's.
                assert!(bent.parse::<VerifierKey>().map_or(true, |other| other.name != NAME), "{bent}");
            }
            assert!(text[..text.len() - 4].parse::<VerifierKey>().is_err());
        }
        for text in ["", "a", "a+b", "a+00000000+AA==", "a b+00000000+AA=="] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_forms_of_a_note_are_refused() {
        let (key, pair) = ed25519();
        let line = key.line(pair.sign(b"text\n").as_ref());
        let good = format!("text\n\n{line}");
        assert!(Note::parse(good.as_bytes()).expect("a note").verify(&key).is_ok());
        let bad = [
            good.replace('\n', "\r\n"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good} \n"),
            format!("text\n{line}"),
            "text\n\n".into(),
            good.replace('\u{2014}', "-"),
            good.replace("=\n", "\n"),
            good.replace(NAME, "a+b"),
            format!("text\n\n{}", line.repeat(65)),
            format!("{}\n\n{line}", "a".repeat(MAX_NOTE_BYTES)),
        ];
        for note in bad {
            assert!(matches!(Note::parse(note.as_bytes()), Err(NoteError::Form(_))), "{}", &note[..note.len().min(200)]);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_note_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\PC\n]{0,80}") {
            let _ = Note::parse(&bytes);
            let note = format!("{text}\n\n\u{2014} a AAAAAAA=\n");
            if let Ok(parsed) = Note::parse(note.as_bytes()) {
                prop_assert!(parsed.text().ends_with('\n') && note.starts_with(parsed.text()));
            }
            let _ = text.parse::<VerifierKey>();
        }
    }
}
