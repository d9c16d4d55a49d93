//! A notice as an Adaptive Card 1.4 in the message that a Teams Workflows webhook takes.
//!
//! Every text stands in a `TextRun`, where nothing is markup: a `TextBlock` or a `FactSet` would read Markdown from data.
//! The only action opens our own link; nothing is decided in a card, and nothing is fetched by it.

use serde_json::{Value, json};

use super::notice::Notice;
use crate::web::visible::visible;

/// Teams refuses more than about 28 KB.
pub const MAX_BYTES: usize = 27 * 1024;

/// Stands where a text was cut.
pub const CUT: &str = " ... (full text in the portal)";

/// The body of the webhook's POST, at most [`MAX_BYTES`]: the longest texts are cut, and say so.
pub fn message(notice: &Notice) -> Vec<u8> {
    let mut notice = notice.clone();
    loop {
        let body = json!({
            "type": "message",
            "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card(&notice) }],
        });
        let bytes = body.to_string().into_bytes();
        if bytes.len() <= MAX_BYTES || !shorten(&mut notice) {
            return bytes;
        }
    }
}

pub fn card(notice: &Notice) -> Value {
    let mut body = vec![line(&[json!({ "type": "TextRun", "text": plain(&notice.title), "weight": "bolder", "size": "large" })])];
    body.extend(
        notice
            .facts
            .iter()
            .map(|(label, value)| line(&[json!({ "type": "TextRun", "text": format!("{label}: "), "weight": "bolder" }), run(value)])),
    );
    body.extend(notice.items.iter().map(|item| line(&[run(item)])));
    body.extend(notice.foot.iter().map(|text| line(&[json!({ "type": "TextRun", "text": plain(text), "size": "small" })])));
    let (label, url) = &notice.link;
    json!({
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "lang": "en",
        "body": body,
        "actions": [{ "type": "Action.OpenUrl", "title": label, "url": url }],
    })
}

fn line(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": plain(text) })
}

/// One line without hidden characters; braces that a card's date functions or templates begin with stand apart.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = String::with_capacity(line.len());
    let mut before = ' ';
    for c in visible(&line).chars() {
        if c == '{' && matches!(before, '{' | '$') {
            out.push(' ');
        }
        out.push(c);
        before = c;
    }
    out
}

/// Cuts the longest text to half; `false` when none is left that is worth cutting.
fn shorten(notice: &mut Notice) -> bool {
    let texts = notice.facts.iter_mut().map(|(_, value)| value).chain(&mut notice.items).chain([&mut notice.title]);
    let Some(longest) = texts.max_by_key(|text| text.len()).filter(|text| text.len() > 200) else { return false };
    let kept = longest.strip_suffix(CUT).unwrap_or(longest);
    let half: String = kept.chars().take(kept.chars().count() / 2).collect();
    *longest = half + CUT;
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::visible::is_hidden;

    fn notice(text: &str) -> Notice {
        Notice::of_proposal(text, text, &[text.to_owned()], "Mon 9 Mar 2026, 09:00 UTC".into(), "https://assay.example.net/x".into(), false)
    }

    /// Every element of a card, with its type.
    fn elements(value: &Value, found: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(kind)) = members.get("type") {
                    found.push((kind.clone(), value.clone()));
                }
                members.values().for_each(|member| elements(member, found));
            }
            Value::Array(values) => values.iter().for_each(|value| elements(value, found)),
            _ => {}
        }
    }

    #[test]
    fn a_card_is_a_title_three_facts_and_one_way_and_its_texts_are_runs() {
        let body: Value =
            serde_json::from_slice(&message(&notice("[x](https://other.example) **MET** {{DATE(2026-01-01,SHORT)}} ${a}"))).expect("json");
        let content = &body["attachments"][0]["content"];
        assert_eq!((&content["version"], &content["actions"].as_array().expect("one").len()), (&json!("1.4"), &1));
        assert_eq!(content["actions"][0]["type"], "Action.OpenUrl");
        let mut found = Vec::new();
        elements(content, &mut found);
        let kinds: std::collections::BTreeSet<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Action.OpenUrl", "AdaptiveCard", "RichTextBlock", "TextRun"]);
        let text = content["body"][0]["inlines"][0]["text"].as_str().expect("the title");
        assert_eq!(text, "[x](https://other.example) **MET** { {DATE(2026-01-01,SHORT)}} $ {a}");
        assert!(content.to_string().matches("https://").count() == 4, "three texts that hold one, and the action");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so_and_the_link_stays() {
        let long = notice(&"\u{e9}\"".repeat(40_000));
        let bytes = message(&long);
        let text = String::from_utf8(bytes.clone()).expect("utf-8");
        assert!(bytes.len() <= MAX_BYTES, "{}", bytes.len());
        assert!(text.contains("(full text in the portal)") && text.contains("https://assay.example.net/x"));
        assert!(!String::from_utf8(message(&notice("short"))).expect("utf-8").contains("full text"));
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_fits_and_hides_nothing(text in "(\\PC|[\\u{0}-\\u{20}\\u{202e}{$\"\\\\]){0,400}", times in 1_usize..200) {
            let bytes = message(&notice(&text.repeat(times)));
            prop_assert!(bytes.len() <= MAX_BYTES);
            let body: Value = serde_json::from_slice(&bytes).expect("json");
            let mut found = Vec::new();
            elements(&body["attachments"][0]["content"], &mut found);
            for (_, run) in found.iter().filter(|(kind, _)| kind == "TextRun") {
                let text = run["text"].as_str().expect("text");
                let inert = !text.chars().any(is_hidden) && !text.contains("{{") && !text.contains("${");
                prop_assert!(inert);
            }
        }
    }
}
