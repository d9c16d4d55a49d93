//! A request's body that survives a failed challenge.
//!
//! The SDK sends a client's first request without its body, to be told whom to ask for a token. When that request fails
//! and is sent again (busy, connection lost), the SDK has forgotten the body: it goes out empty, and Key Vault calls it
//! a mistake. This policy stands before the retries, keeps the body, and sends such a request once more.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{
    Context, Request, StatusCode,
    headers::{CONTENT_LENGTH, CONTENT_TYPE},
    policies::{Policy, PolicyResult},
};

#[derive(Debug)]
pub(super) struct KeepsBody;

#[async_trait]
impl Policy for KeepsBody {
    #[expect(elided_lifetimes_in_paths, reason = "the trait binds this lifetime late")]
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "no transport"));
        };
        let body = request.body().clone();
        let response = first.send(ctx, request, rest).await?;
        let lost = request.body().is_empty() == Some(true) && body.is_empty() == Some(false);
        if !lost || response.status() != StatusCode::BadRequest {
            return Ok(response);
        }
        request.set_body(body);
        // That of the empty one: with it the body would be cut off on its way.
        request.headers_mut().remove(CONTENT_LENGTH);
        request.insert_header(CONTENT_TYPE, "application/json");
        first.send(ctx, request, rest).await
    }
}
