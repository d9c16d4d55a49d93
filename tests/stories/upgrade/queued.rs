//! Messages that are on their way when a release is replaced by another one: the queues outlive it.

use std::{fs, path::Path};

use bytes::Bytes;

use super::forms::Forms;
use crate::support::queue::Copies;

/// Queue and body of each.
pub(super) type Messages = Vec<(String, Bytes)>;

const FOLDER: &str = "queues";

/// Beside the store: of what was sent, the newest message of each form.
pub(super) fn keep(folder: &Path, sent: &Copies) {
    let mut kept: Vec<Forms> = Vec::new();
    for (queue, body) in sent.lock().unwrap().iter().rev() {
        let form = Forms::default().with(&[(queue.clone(), body.clone())]);
        if !kept.contains(&form) {
            let of_queue = folder.join(FOLDER).join(queue);
            fs::create_dir_all(&of_queue).unwrap();
            fs::write(of_queue.join(format!("{:03}.json", kept.len())), body).unwrap();
            kept.push(form);
        }
    }
}

/// None where an earlier release left the store.
pub(super) fn left(folder: &Path) -> Messages {
    let Ok(queues) = fs::read_dir(folder.join(FOLDER)) else { return Vec::new() };
    let mut messages = Messages::new();
    for queue in queues.map(|queue| queue.unwrap()) {
        let bodies = fs::read_dir(queue.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        messages.extend(bodies.map(|body| (queue.file_name().into_string().unwrap(), body.into())));
    }
    messages.sort();
    messages
}
