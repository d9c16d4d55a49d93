//! The queues on Azure Storage, as the Functions host reads them (`messageEncoding` base64 in host.json).
//!
//! A message never expires: the service's own default would drop it after seven days. Where the answer to a send is lost,
//! the SDK sends again, so a message may be there twice; every consumer takes that (design I2). Text that is not base64,
//! which the host moves to a `*-poison` queue without a call, is handed on as it is instead of stopping what lies behind it.
//! Makes no queue: one that is missing is told by name and by the setting of its account.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::http::Transport;
use azure_storage_queue::{
    QueueClient, QueueServiceClient, QueueServiceClientOptions,
    models::{QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions, QueueMessage, ReceivedMessage},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;

use super::{
    AzureSettings, Credential, call,
    storage::{account, refused},
};
use crate::platform::{
    limits::{MAX_RECEIVE, check_queue_name, hidden_seconds},
    ports::{MAX_MESSAGE_BYTES, PortError, PortErrorKind, Queue, Received},
};

/// "-1 indicating that the message does not expire" (Put Message, from version 2017-07-29 on).
const NEVER_EXPIRES: i32 = -1;

pub struct AzureQueue {
    service: QueueServiceClient,
}

impl AzureQueue {
    /// Calls nothing. An address without TLS is [`PortErrorKind::Invalid`]: a token is not sent over it.
    pub fn new(settings: &AzureSettings, credential: Arc<Credential>, transport: Option<&Transport>) -> Result<Self, PortError> {
        let options = QueueServiceClientOptions { client_options: call::options(transport), ..Default::default() };
        let service = QueueServiceClient::new(account(&settings.queues), Some(credential), Some(options));
        let service = service.map_err(|error| PortError::because("queues (ASSAY_QUEUE_URL)", PortErrorKind::Invalid, error))?;
        Ok(Self { service })
    }

    fn client(&self, queue: &str) -> Result<QueueClient, PortError> {
        check_queue_name(queue)?;
        self.service.queue_client(queue).map_err(|error| PortError::because(resource(queue), PortErrorKind::Invalid, error))
    }
}

#[async_trait]
impl Queue for AzureQueue {
    async fn send(&self, queue: &str, message: Bytes, delay: Duration) -> Result<(), PortError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(PortError::new(resource(queue), PortErrorKind::TooLarge));
        }
        let client = self.client(queue)?;
        let options = QueueClientSendMessageOptions {
            message_time_to_live: Some(NEVER_EXPIRES),
            visibility_timeout: Some(seconds(queue, delay)?),
            ..Default::default()
        };
        let resource = resource(queue);
        let sent = call::within(&resource, async {
            let message = QueueMessage { message_text: Some(BASE64.encode(&message)) };
            client.send_message(message.try_into()?, Some(options)).await
        });
        sent.await.map_err(refused)?;
        Ok(())
    }

    async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>, PortError> {
        let client = self.client(queue)?;
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: i32::try_from(max.clamp(1, MAX_RECEIVE)).ok(),
            visibility_timeout: Some(seconds(queue, lease.max(Duration::from_secs(1)))?),
            ..Default::default()
        };
        let answer = match call::within(&resource(queue), client.receive_messages(Some(options))).await {
            Ok(answer) => answer,
            // The host makes a poison queue with its first message: until then nothing is poisoned.
            Err(failure) if failure.code() == Some("QueueNotFound") && queue.ends_with("-poison") => return Ok(Vec::new()),
            Err(failure) => return Err(refused(failure)),
        };
        // Without the SDK's error: its text would carry the messages into the log.
        let unreadable = || PortError::new(resource(queue), PortErrorKind::Unreadable);
        let messages = answer.into_model().map_err(|_| unreadable())?.items.unwrap_or_default();
        messages.into_iter().map(|message| received(message).ok_or_else(unreadable)).collect()
    }

    async fn delete(&self, queue: &str, message: &Received) -> Result<(), PortError> {
        let client = self.client(queue)?;
        match call::within(&resource(queue), client.delete_message(&message.id, &message.pop_receipt, None)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some("MessageNotFound") => Ok(()),
            // Also `PopReceiptMismatch` (400): somebody else has it by now, and will delete it.
            Err(failure) => Err(refused(failure)),
        }
    }
}

/// `None` when the service left out what it always tells.
fn received(message: ReceivedMessage) -> Option<Received> {
    Some(Received {
        id: message.message_id?,
        pop_receipt: message.pop_receipt?,
        body: body(message.message_text.unwrap_or_default()),
        dequeue_count: message.dequeue_count?.try_into().unwrap_or(u32::MAX),
        inserted_at: message.insertion_time?,
    })
}

fn body(text: String) -> Bytes {
    match BASE64.decode(&text) {
        Ok(bytes) => bytes.into(),
        Err(_) => text.into(),
    }
}

fn seconds(queue: &str, duration: Duration) -> Result<i32, PortError> {
    i32::try_from(hidden_seconds(queue, duration)?).map_err(|_| PortError::new(resource(queue), PortErrorKind::Invalid))
}

fn resource(queue: &str) -> String {
    format!("queue {queue} (ASSAY_QUEUE_URL)")
}
