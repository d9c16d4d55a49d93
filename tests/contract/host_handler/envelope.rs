//! Properties of what arrives from outside: nothing panics, and a message's bytes come through whatever they are.

use assay::{host::envelope::Envelope, triggers::route::Template};
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

fn posted(message: &str) -> Envelope {
    Envelope::parse(json!({ "Data": { "message": message }, "Metadata": null }).to_string().as_bytes()).unwrap()
}

proptest! {
    #[test]
    fn the_bytes_of_a_message_come_through(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(posted(&STANDARD.encode(&bytes)).queue_message("message").unwrap(), bytes);
    }

    #[test]
    fn the_text_of_a_message_comes_through(text in any::<String>()) {
        let double_encoded = json!(text).to_string();
        prop_assert_eq!(posted(&double_encoded).queue_message("message").unwrap(), text);
    }

    #[test]
    fn no_text_makes_an_accessor_panic(text in any::<String>(), member in "message|req|timer|IsPastDue|Body") {
        let body = json!({ "Data": { member: text } }).to_string();
        for bytes in [text.as_bytes(), body.as_bytes()] {
            if let Ok(envelope) = Envelope::parse(bytes) {
                let _ = envelope.queue_message("message");
                let _ = envelope.timer("timer");
                let _ = envelope.http("req");
                let _ = envelope.documents("message");
                let _ = envelope.event("message");
            }
        }
    }

    #[test]
    fn a_matched_path_matches_again_as_itself(path in "[Pp]ortal(/[a-zA-Z%é./]{0,8}){0,3}") {
        let template = Template::parse("portal/{*rest}").unwrap();
        let spelled = template.matches(&path).unwrap_or_default();
        prop_assert_eq!(template.matches(&spelled).unwrap_or_default(), spelled);
    }
}
