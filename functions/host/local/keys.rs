//! The function keys of the stand-in: one master key, one host key, one key per function with `authLevel: function`.
//!
//! Made once and kept in a file of the data folder that only its owner can read; the real host keeps them in storage.
//! A header wins over the query, the master key opens everything, a wrong key is a 401 with an empty body.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use serde::{Deserialize, Serialize};

use super::appfolder::{AppFolder, AuthLevel, Trigger};
use crate::platform::ports::Ids;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Keys {
    pub master: String,
    /// Opens every function of level `function`.
    pub host: String,
    pub functions: BTreeMap<String, String>,
}

impl Keys {
    /// Reads the file, adds what is missing, writes it back when something was.
    pub fn load(file: &Path, app: &AppFolder, ids: &dyn Ids) -> io::Result<Self> {
        let mut keys: Self = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        let mut made = false;
        let mut complete = |key: &mut String| {
            if key.is_empty() {
                *key = new_key(ids);
                made = true;
            }
        };
        complete(&mut keys.master);
        complete(&mut keys.host);
        for function in &app.functions {
            if matches!(function.trigger, Trigger::Http { level: AuthLevel::Function, .. }) {
                complete(keys.functions.entry(function.name.clone()).or_default());
            }
        }
        if made {
            let handle = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(file)?;
            serde_json::to_writer_pretty(handle, &keys)?;
        }
        Ok(keys)
    }

    pub fn opens(&self, function: &str, level: AuthLevel, given: Option<&str>) -> bool {
        let is = |key: &str| given.is_some_and(|given| equal(given, key));
        match level {
            AuthLevel::Anonymous => true,
            AuthLevel::Function => is(&self.master) || is(&self.host) || self.functions.get(function).is_some_and(|key| is(key)),
            AuthLevel::Admin => is(&self.master),
        }
    }
}

/// 40 random bytes, as many as the real ones have.
pub(super) fn new_key(ids: &dyn Ids) -> String {
    let mut bytes = [0; 40];
    ids.random(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn equal(a: &str, b: &str) -> bool {
    !b.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
