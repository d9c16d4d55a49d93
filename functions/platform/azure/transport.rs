//! What the credential, the queues, the blobs and the vaults call through: one HTTP client and its pool of connections.
//!
//! It is made by the first call, off the threads that answer the host: reading the machine's trusted certificates takes
//! longer than all the rest of the start. The client of Cosmos DB is its SDK's own.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, HttpClientOptions, Request, Transport, new_http_client},
};
use tokio::{sync::OnceCell, task::spawn_blocking};

/// A transport for one installation.
pub fn transport() -> Transport {
    Transport::new(Arc::new(OnFirstCall::default()))
}

#[derive(Debug, Default)]
struct OnFirstCall(OnceCell<Arc<dyn HttpClient>>);

#[async_trait]
impl HttpClient for OnFirstCall {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = self.0.get_or_try_init(|| async {
            // Unpacking is off: what was stored comes back as it is.
            let made = spawn_blocking(|| new_http_client(Some(HttpClientOptions { automatic_decompression: false })));
            // It panics where there is no trusted certificate at all.
            made.await.map_err(|panic| azure_core::Error::with_error(ErrorKind::Other, panic, "no HTTP client can be made here"))
        });
        client.await?.execute_request(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_client_is_made_by_the_first_call_and_kept() {
        let transport = OnFirstCall::default();
        // Refused without a connection.
        let request = Request::new("none:".parse().expect("a URL"), azure_core::http::Method::Get);
        let mut made = Vec::new();
        for _ in 0..2 {
            transport.execute_request(&request).await.expect_err("refused");
            made.push(Arc::clone(transport.0.get().expect("made")));
        }
        assert!(Arc::ptr_eq(&made[0], &made[1]));
    }
}
