//! A machine of one's own has no identity in Entra ID.

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::platform::ports::{Identity, PortError, PortErrorKind};

pub struct NoIdentity;

#[async_trait]
impl Identity for NoIdentity {
    async fn assertion(&self) -> Result<Zeroizing<String>, PortError> {
        Err(PortError::new("managed identity", PortErrorKind::Missing))
    }

    async fn mail_token(&self) -> Result<Zeroizing<String>, PortError> {
        self.assertion().await
    }

    async fn metering_token(&self) -> Result<Zeroizing<String>, PortError> {
        self.assertion().await
    }

    async fn check(&self) -> Result<(), PortError> {
        self.assertion().await.map(|_| ())
    }
}
