//! A request's body as it streams in: read up to a counted limit, or drained.
//!
//! The limit counts what arrives. `Content-Length` is not asked for it: the host sends envelopes chunked, so a limit that
//! wants a length refuses every one of them. Only who declares more than the host lets through is refused before a byte is
//! read, and their connection ends. A refused upload is still read to its end (within bounds), because the
//! host passes an early answer on only when the handler took the whole request; otherwise the client sees a bare 500.
//! Measured on a running host, with proxying.

use std::{fmt, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout;

/// The host itself takes no larger body by default (`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`).
pub(super) const DRAIN_BYTES: usize = 104_857_600;
/// The host gives up on a stalled body after 5 to 8 s; a stream slower than this is cut.
pub const DRAIN_TIME: Duration = Duration::from_secs(20);

/// Whether a call declares more than the host lets through.
pub(super) fn is_beyond_the_host(headers: &[(String, String)]) -> bool {
    let mut declared = headers.iter().filter(|(name, _)| name == "content-length").filter_map(|(_, length)| length.parse::<usize>().ok());
    declared.any(|length| length > DRAIN_BYTES)
}

pub struct Body {
    // `None` once its end, or its failure, was seen.
    chunks: Option<Chunks>,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// The client or the host hung up in the middle of the body.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
pub struct Broken;

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Body {
    pub fn new(chunks: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static) -> Self {
        Self { chunks: Some(Box::pin(chunks)) }
    }

    pub fn empty() -> Self {
        Self { chunks: None }
    }

    /// The whole body, which may be `limit` bytes long and no longer.
    pub async fn read(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if first.len() + more.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            // Most bodies are one chunk: that one is handed on without a copy.
            if first.is_empty() && more.is_empty() {
                first = chunk;
            } else {
                if more.is_empty() {
                    more.extend_from_slice(&std::mem::take(&mut first));
                }
                more.extend_from_slice(&chunk);
            }
        }
        Ok(if more.is_empty() { first } else { more.freeze() })
    }

    /// Reads what is left and drops it; gives up at the bounds.
    pub async fn drain(&mut self) {
        let mut seen = 0;
        let rest = async {
            while let Some(Ok(chunk)) = self.next().await {
                seen += chunk.len();
                if seen > DRAIN_BYTES {
                    break;
                }
            }
        };
        // Cut at the bound: the connection is closed by the server then.
        let _ = timeout(DRAIN_TIME, rest).await;
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        let chunk = self.chunks.as_mut()?.next().await;
        if !matches!(chunk, Some(Ok(_))) {
            self.chunks = None;
        }
        chunk
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        let bytes = bytes.into();
        Self::new(stream::once(async move { Ok(bytes) }))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("ended", &self.chunks.is_none()).finish()
    }
}
