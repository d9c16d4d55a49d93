//! The file vault: keys as files in `vault/`, secrets in `vault/secrets/`, for a machine of one's own.
//!
//! It does what Key Vault does for Assay (wrap, unwrap, sign, versions, revocation) and protects as far as the file
//! permissions of this account do, no further. A key that wraps is `NAME.json`, one that signs `NAME.sign.json`, each
//! made on its first use. Setting `"revoked": true` in a key's file refuses it from the next call on; deleting the file
//! destroys what it wrapped. A secret's file is put there by its owner.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey},
    digest::{Digest, SHA256},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{files, writer::kind_of_io};
use crate::platform::{
    limits::check_key_name,
    ports::{PortError, PortErrorKind, PublicKey, Signature, Vault, Wrapped},
};

const KEY_BYTES: usize = 32;
/// The version a key is made with; Key Vault's look alike.
const FIRST_VERSION: &str = "1";

pub struct FileVault {
    keys: Arc<Keys>,
}

struct Keys {
    folder: PathBuf,
    scratch: PathBuf,
    // Two first uses of one key must end with one key.
    making: Mutex<()>,
}

/// What a key is for; as in Key Vault, one key does not do both.
#[derive(Clone, Copy)]
enum Use {
    Wrap,
    Sign,
}

/// A key's file. `versions` are base64 of 32 bytes each, or of a PKCS#8 document where it signs; only `current` wraps and
/// signs, every one unwraps.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    current: String,
    #[serde(default)]
    revoked: bool,
    versions: BTreeMap<String, String>,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.versions.values_mut().for_each(Zeroize::zeroize);
    }
}

impl FileVault {
    pub(super) fn new(folder: PathBuf, scratch: &Path) -> Self {
        Self { keys: Arc::new(Keys { folder, scratch: scratch.join("key"), making: Mutex::new(()) }) }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Keys) -> Result<T, PortError> + Send + 'static) -> Result<T, PortError> {
        let keys = self.keys.clone();
        match tokio::task::spawn_blocking(move || work(&keys)).await {
            Ok(done) => done,
            Err(error) => Err(PortError::because("vault", PortErrorKind::Unavailable, error)),
        }
    }
}

#[async_trait]
impl Vault for FileVault {
    async fn wrap(&self, key: &str, plain: &[u8]) -> Result<Wrapped, PortError> {
        let (key, plain) = (key.to_owned(), Zeroizing::new(plain.to_vec()));
        self.blocking(move |keys| {
            let file = keys.load_or_make(&key, Use::Wrap)?;
            let mut bytes = plain.to_vec();
            let nonce = file
                .cipher(&key, &file.current)?
                .seal_in_place_append_tag(Aad::from(binding(&key, &file.current)), &mut bytes)
                .map_err(|_| error(&key, PortErrorKind::Unavailable))?;
            let wrapped = [nonce.as_ref().as_slice(), &bytes].concat();
            Ok(Wrapped { key, version: file.current.clone(), bytes: BASE64.encode(wrapped) })
        })
        .await
    }

    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let Wrapped { key, version, bytes } = wrapped.clone();
        self.blocking(move |keys| {
            let unreadable = || error(&key, PortErrorKind::Unreadable);
            let file = keys.load(&key, Use::Wrap)?.ok_or_else(|| error(&key, PortErrorKind::Missing))?;
            let bytes = BASE64.decode(&bytes).map_err(|_| unreadable())?;
            let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or_else(unreadable)?;
            let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
            let mut plain = Zeroizing::new(text.to_vec());
            let length = file
                .cipher(&key, &version)?
                .open_in_place(nonce, Aad::from(binding(&key, &version)), &mut plain)
                .map_err(|_| unreadable())?
                .len();
            plain.truncate(length);
            Ok(plain)
        })
        .await
    }

    async fn sign(&self, key: &str, digest: &[u8; 32]) -> Result<Signature, PortError> {
        let (key, digest) = (key.to_owned(), *digest);
        self.blocking(move |keys| {
            let file = keys.load_or_make(&key, Use::Sign)?;
            let unreadable = |_| error(&key, PortErrorKind::Unreadable);
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &file.bytes(&key, &file.current)?).map_err(unreadable)?;
            let digest = Digest::import_less_safe(&digest, &SHA256).map_err(|_| error(&key, PortErrorKind::Invalid))?;
            let signed = pair.sign_digest(&digest).map_err(|_| error(&key, PortErrorKind::Unavailable))?;
            Ok(Signature { version: file.current.clone(), bytes: signed.as_ref().to_vec(), key })
        })
        .await
    }

    async fn public_keys(&self, key: &str) -> Result<Vec<PublicKey>, PortError> {
        let key = key.to_owned();
        self.blocking(move |keys| {
            let file = keys.load_or_make(&key, Use::Sign)?;
            let mut versions: Vec<&String> = file.versions.keys().collect();
            versions.sort_by_key(|version| (version.parse::<u32>().unwrap_or_default(), *version));
            let public = |version: &String| {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &file.bytes(&key, version)?)
                    .map_err(|_| error(&key, PortErrorKind::Unreadable))?;
                Ok(PublicKey { version: version.clone(), point: pair.public_key().as_ref().to_vec() })
            };
            versions.into_iter().rev().map(public).collect()
        })
        .await
    }

    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        let name = name.to_owned();
        self.blocking(move |keys| keys.secret(&name)).await
    }

    fn makes_keys(&self) -> bool {
        true
    }

    async fn create_key(&self, name: &str) -> Result<String, PortError> {
        let name = name.to_owned();
        self.blocking(move |keys| keys.load_or_make(&name, Use::Wrap).map(|_| name)).await
    }

    async fn newest_version(&self, key: &str) -> Result<String, PortError> {
        let key = key.to_owned();
        self.blocking(move |keys| {
            let file = keys.load(&key, Use::Wrap)?.ok_or_else(|| error(&key, PortErrorKind::Missing))?;
            Ok(file.current.clone())
        })
        .await
    }
}

impl Keys {
    fn load(&self, key: &str, usage: Use) -> Result<Option<KeyFile>, PortError> {
        let path = self.path(key, usage)?;
        let text = match fs::read(path) {
            Ok(text) => Zeroizing::new(text),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(failure) => return Err(because(format!("vault key {key}"), failure)),
        };
        // Not with the parser's message: it may quote the file.
        let file: KeyFile = serde_json::from_slice(&text).map_err(|_| error(key, PortErrorKind::Unreadable))?;
        if file.revoked { Err(error(key, PortErrorKind::Denied)) } else { Ok(Some(file)) }
    }

    fn load_or_make(&self, key: &str, usage: Use) -> Result<KeyFile, PortError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.load(key, usage)? {
            return Ok(file);
        }
        let bytes = usage.new_key().map_err(|_| error(key, PortErrorKind::Unavailable))?;
        let file = KeyFile {
            current: FIRST_VERSION.into(),
            revoked: false,
            versions: BTreeMap::from([(FIRST_VERSION.into(), BASE64.encode(&bytes))]),
        };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&file).map_err(|_| error(key, PortErrorKind::Unreadable))?);
        files::write_durably(&self.scratch, &self.path(key, usage)?, &text)
            .map_err(|failure| because(format!("vault key {key}"), failure))?;
        Ok(file)
    }

    fn path(&self, key: &str, usage: Use) -> Result<PathBuf, PortError> {
        check_key_name(key)?;
        // A name has no dot, so no key's file is another's.
        Ok(match usage {
            Use::Wrap => self.folder.join(format!("{key}.json")),
            Use::Sign => self.folder.join(format!("{key}.sign.json")),
        })
    }

    fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        check_key_name(name)?;
        let resource = format!("vault secret {name}");
        let bytes = match fs::read(self.folder.join("secrets").join(name)) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Err(PortError::new(resource, PortErrorKind::Missing)),
            Err(failure) => return Err(because(resource, failure)),
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| PortError::new(resource, PortErrorKind::Unreadable))?;
        // An editor ends a file with a line's end, which no secret has.
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Use {
    fn new_key(self) -> Result<Zeroizing<Vec<u8>>, aws_lc_rs::error::Unspecified> {
        match self {
            Self::Wrap => {
                let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
                aws_lc_rs::rand::fill(&mut bytes)?;
                Ok(bytes)
            }
            Self::Sign => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }
}

impl KeyFile {
    fn bytes(&self, key: &str, version: &str) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let text = self.versions.get(version).ok_or_else(|| error(key, PortErrorKind::Missing))?;
        BASE64.decode(text).map(Zeroizing::new).map_err(|_| error(key, PortErrorKind::Unreadable))
    }

    fn cipher(&self, key: &str, version: &str) -> Result<RandomizedNonceKey, PortError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes(key, version)?).map_err(|_| error(key, PortErrorKind::Unreadable))
    }
}

fn binding(key: &str, version: &str) -> Vec<u8> {
    [b"assay file vault 1\0", key.as_bytes(), b"\0", version.as_bytes()].concat()
}

fn error(key: &str, kind: PortErrorKind) -> PortError {
    PortError::new(format!("vault key {key}"), kind)
}

fn because(resource: String, failure: io::Error) -> PortError {
    PortError::because(resource, kind_of_io(&failure), failure)
}
