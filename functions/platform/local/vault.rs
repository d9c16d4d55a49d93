//! The file vault: key-encryption keys as files in `vault/`, for a machine of one's own.
//!
//! It does what Key Vault does for Assay (wrap, unwrap, versions, revocation) and protects as far as the file
//! permissions of this account do, no further. Setting `"revoked": true` in a key's file refuses it from the next call
//! on; deleting the file destroys what it wrapped.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{files, writer::kind_of_io};
use crate::platform::{
    limits::check_key_name,
    ports::{PortError, PortErrorKind, Vault, Wrapped},
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

/// A key's file. `versions` are base64 of 32 bytes each; only `current` wraps, every one unwraps.
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
            let file = keys.load_or_make(&key)?;
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
            let file = keys.load(&key)?.ok_or_else(|| error(&key, PortErrorKind::Denied))?;
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

    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        let name = name.to_owned();
        self.blocking(move |keys| keys.secret(&name)).await
    }
}

impl Keys {
    /// A text file in `secrets/` beside the keys, without the line end that editors add.
    fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        check_key_name(name)?;
        let resource = || format!("vault secret {name}");
        match fs::read_to_string(self.folder.join("secrets").join(name)).map(Zeroizing::new) {
            Ok(text) => Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => Err(PortError::new(resource(), PortErrorKind::Missing)),
            Err(failure) => Err(PortError::because(resource(), kind_of_io(&failure), failure)),
        }
    }

    fn load(&self, key: &str) -> Result<Option<KeyFile>, PortError> {
        let path = self.path(key)?;
        let text = match fs::read(path) {
            Ok(text) => Zeroizing::new(text),
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(failure) => return Err(because(key, failure)),
        };
        // Not with the parser's message: it may quote the file.
        let file: KeyFile = serde_json::from_slice(&text).map_err(|_| error(key, PortErrorKind::Unreadable))?;
        if file.revoked { Err(error(key, PortErrorKind::Denied)) } else { Ok(Some(file)) }
    }

    fn load_or_make(&self, key: &str) -> Result<KeyFile, PortError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.load(key)? {
            return Ok(file);
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| error(key, PortErrorKind::Unavailable))?;
        let file = KeyFile {
            current: FIRST_VERSION.into(),
            revoked: false,
            versions: BTreeMap::from([(FIRST_VERSION.into(), BASE64.encode(&bytes))]),
        };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&file).map_err(|_| error(key, PortErrorKind::Unreadable))?);
        files::write_durably(&self.scratch, &self.path(key)?, &text).map_err(|failure| because(key, failure))?;
        Ok(file)
    }

    fn path(&self, key: &str) -> Result<PathBuf, PortError> {
        check_key_name(key)?;
        Ok(self.folder.join(format!("{key}.json")))
    }
}

impl KeyFile {
    fn cipher(&self, key: &str, version: &str) -> Result<RandomizedNonceKey, PortError> {
        let text = self.versions.get(version).ok_or_else(|| error(key, PortErrorKind::Denied))?;
        let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| error(key, PortErrorKind::Unreadable))?);
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| error(key, PortErrorKind::Unreadable))
    }
}

fn binding(key: &str, version: &str) -> Vec<u8> {
    [b"assay file vault 1\0", key.as_bytes(), b"\0", version.as_bytes()].concat()
}

fn error(key: &str, kind: PortErrorKind) -> PortError {
    PortError::new(format!("vault key {key}"), kind)
}

fn because(key: &str, failure: io::Error) -> PortError {
    PortError::because(format!("vault key {key}"), kind_of_io(&failure), failure)
}
