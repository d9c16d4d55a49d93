//! Where a list goes on, as a browser carries it: sealed under the owner's key and bound to one list, so that nobody reads
//! or writes a store's own continuation, and one of another client opens nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::{Place, Store, StoreError};
use crate::platform::ports::Continuation;

const CONTAINER: &str = "onward";
/// A token is a little longer than the store's own.
const MOST: usize = 4096;

impl<P: Place> Store<'_, P> {
    /// For the address of the next page of the list with this name.
    pub fn sealed_onward(&self, list: &str, next: &Continuation) -> Result<String, StoreError> {
        Ok(BASE64URL.encode(self.seal_blob(CONTAINER, list, next.0.as_bytes())?))
    }

    /// Where that page begins; `None`: the token is of another list, of another client, or nobody's.
    pub async fn onward(&self, list: &str, token: &str) -> Result<Option<Continuation>, StoreError> {
        let Some(sealed) = Some(token).filter(|token| token.len() <= MOST).and_then(|token| BASE64URL.decode(token).ok()) else {
            return Ok(None);
        };
        // Who has no key yet has sealed nothing.
        if self.key().is_err() {
            return Ok(None);
        }
        match self.open_blob(CONTAINER, list, sealed).await {
            Ok(opened) => Ok(String::from_utf8(opened).ok().map(Continuation)),
            Err(StoreError::Sealed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
