//! Characters that nobody sees, made visible: what an approver reads is what is there.
//!
//! Text from vendors, directories and people can hold characters that turn the direction of reading, have no width, or
//! break a line that should be one (Unicode TR 36, 2.10 and TR 39). They are shown as `[U+202E]`. Records keep what came:
//! this is for pages, mails and cards only. Letters that merely look alike are not told apart here.

use std::borrow::Cow;

/// Whether a reader could not see that it is there. Line ends and tabs can be seen.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, joiners, letters without a shape.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Zero width, and what turns the direction.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        // Tags and the further variation selectors, in which whole texts can hide.
        | '\u{e0000}'..='\u{e0fff}')
}

/// The text with a mark for each character of that kind.
pub fn visible(text: &str) -> Cow<'_, str> {
    // Most text is plain, and whole pages come through here.
    let plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    if text.bytes().all(plain) || !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { out.push_str(&mark(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn mark(c: char) -> String {
    format!("[U+{:04X}]", u32::from(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_turns_or_hides_is_marked_and_ordinary_writing_is_left_alone() {
        assert_eq!(visible("Keep \u{202e}eteled\u{202c} data"), "Keep [U+202E]eteled[U+202C] data");
        assert_eq!(visible("AC.L2-3.1.1\u{200b}"), "AC.L2-3.1.1[U+200B]");
        assert_eq!(visible("a\0b\u{1b}[31m"), "a[U+0000]b[U+001B][31m");
        for plain in ["Zoë Okafor", "two\r\nlines\tand a tab", "東京", "שלום", "e\u{301}", "a <b> & c"] {
            assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_nothing_else_is_lost(text in "(\\PC|[\\u{0}-\\u{20}\\u{200b}-\\u{202e}\\u{e0001}\\u{feff}]){0,40}") {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(is_hidden));
            let plain: String = text.chars().filter(|c| !is_hidden(*c)).collect();
            let kept: String = text.chars().filter(|c| is_hidden(*c)).fold(shown.into_owned(), |shown, c| shown.replacen(&mark(c), "", 1));
            prop_assert_eq!(kept, plain);
        }
    }
}
