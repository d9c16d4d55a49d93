//! The CUI guard: finds a marking of Controlled Unclassified Information in text that comes from a client's tools.
//!
//! Pure and total. It knows the banner (`CUI`, `CUI//SP-CTI`, `CONTROLLED` alone on a line), the portion mark (`(CUI)`),
//! and the phrase; `32 CFR 2002.20` and the marking handbook of the `DoD` say how they look. It reads through tricks of spelling:
//! invisible and full-width characters, look-alike letters, case. It cannot tell unmarked CUI, and says so nowhere else.

/// What was found: the form, never the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marking {
    /// `CUI` or `CONTROLLED` as a line of its own or at its head, or with categories after slashes.
    Banner,
    /// `(CUI)`.
    Portion,
    /// The words written out.
    Phrase,
}

impl Marking {
    pub fn word(self) -> &'static str {
        match self {
            Self::Banner => "banner marking",
            Self::Portion => "portion marking",
            Self::Phrase => "the phrase written out",
        }
    }
}

/// The first marking in the text.
pub fn find(text: &str) -> Option<Marking> {
    // Most texts cannot hold one, and are not copied.
    let plain = plain(text);
    if is_phrase(&plain) {
        return Some(Marking::Phrase);
    }
    plain.split(['\n', '\r', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}', '\u{85}']).find_map(of_line)
}

fn of_line(line: &str) -> Option<Marking> {
    let upper = line.to_uppercase();
    if is_alone(&upper) || has_categories(&upper) || is_head(line) {
        return Some(Marking::Banner);
    }
    is_portion(&upper).then_some(Marking::Portion)
}

/// The words with anything but letters between them.
fn is_phrase(plain: &str) -> bool {
    let mut words = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut state = 0;
    words.any(|word| {
        state = match (state, word) {
            (_, w) if w.eq_ignore_ascii_case("controlled") => 1,
            (1, w) if w.eq_ignore_ascii_case("unclassified") => 2,
            (2, w) if w.eq_ignore_ascii_case("information") => 3,
            _ => 0,
        };
        state == 3
    })
}

/// Nothing on the line but the mark and decoration: `*** CUI ***`, `C U I`, `C.U.I.`, `CONTROLLED`.
fn is_alone(upper: &str) -> bool {
    let letters: String = upper.chars().filter(|c| c.is_alphanumeric()).collect();
    letters == "CUI" || letters == "CONTROLLED"
}

/// `CUI//SP-CTI`, `CUI // FEDCON`, `CONTROLLED//NF`; a single slash counts when a specified category follows.
fn has_categories(upper: &str) -> bool {
    ["CUI", "CONTROLLED"].iter().any(|mark| {
        occurrences(upper, mark).any(|rest| {
            let rest = rest.trim_start();
            rest.strip_prefix('/').is_some_and(|rest| {
                let rest = rest.trim_start();
                rest.starts_with('/') || rest.starts_with("SP-")
            })
        })
    })
}

/// `(CUI)`, `[CUI]`, `{ CUI }`, also with categories.
fn is_portion(upper: &str) -> bool {
    upper.match_indices(['(', '[', '{']).any(|(at, _)| {
        let inside = upper[at + 1..].trim_start();
        inside.strip_prefix("CUI").is_some_and(|rest| rest.trim_start().starts_with([')', ']', '}', '/']))
    })
}

/// `CUI: drawing 17`, `CUI - drawing 17`: in capitals at the head of the line, set off from what follows.
fn is_head(line: &str) -> bool {
    let head = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    head.strip_prefix("CUI").is_some_and(|rest| {
        let set_off = rest.trim_start();
        set_off.starts_with([':', '|', '\u{2013}', '\u{2014}']) || (set_off.starts_with('-') && set_off.len() < rest.len())
    })
}

/// What follows each occurrence of the mark as a word of its own.
fn occurrences<'a>(upper: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    upper.match_indices(mark).filter(|(at, _)| !upper[..*at].ends_with(char::is_alphanumeric)).map(move |(at, _)| &upper[at + mark.len()..])
}

/// The text as a reader sees it: without invisible characters, full-width and look-alike letters as ASCII.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).map(look).collect()
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}')
}

fn look(c: char) -> char {
    match c {
        // Full-width forms of ASCII lie at a fixed distance.
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        '\u{3000}' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => ' ',
        // Circled and mathematical capitals and small letters run in alphabets of 26.
        '\u{24b6}'..='\u{24cf}' => letter(c, 0x24b6, b'A'),
        '\u{24d0}'..='\u{24e9}' => letter(c, 0x24d0, b'a'),
        '\u{1d400}'..='\u{1d6a3}' => {
            let at = (u32::from(c) - 0x1d400) % 52;
            u8::try_from(at).map_or(c, |at| char::from(if at < 26 { b'A' + at } else { b'a' + at - 26 }))
        }
        // Cyrillic, Greek and Roman-numeral letters that look like those of the mark.
        '\u{421}' | '\u{3f9}' | '\u{216d}' => 'C',
        '\u{441}' | '\u{3f2}' | '\u{217d}' => 'c',
        '\u{406}' | '\u{399}' | '\u{4c0}' | '\u{2160}' => 'I',
        '\u{456}' | '\u{3b9}' | '\u{131}' | '\u{2170}' => 'i',
        '\u{222a}' | '\u{54d}' => 'U',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        _ => c,
    }
}

fn letter(c: char, first: u32, a: u8) -> char {
    u8::try_from(u32::from(c) - first).map_or(c, |at| char::from(a + at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARKED: &[&str] = &[
        "CUI",
        "  *** CUI ***  ",
        "cui",
        "first line\nCUI\nlast line",
        "CUI//SP-CTI//NOFORN",
        "drawing, cui//sp-export, rev B",
        "CUI / SP-CTI",
        "CUI // FEDCON",
        "CONTROLLED",
        "CONTROLLED//NF",
        "(CUI) the tolerance is 4 um",
        "see [cui] attachment",
        "(CUI//SP-CTI) text",
        "Controlled Unclassified Information",
        "CONTROLLED-UNCLASSIFIED  INFORMATION",
        "CUI: drawing 17",
        "CUI - drawing 17",
        "C U I",
        "C.U.I.",
    ];

    const PLAIN: &[&str] = &[
        "",
        "Short circuit on board 4",
        "CIRCUIT//BREAKER tripped",
        "Review of the CUI policy",
        "CUI policy needs an approval",
        "CUI-handling training is due",
        "Where do we keep CUI?",
        "Biscuit (cuisine) order",
        "access is controlled; information is unclassified",
        "Cuirass / SP-1",
        "Temperature controlled room",
    ];

    #[test]
    fn markings_are_found() {
        for text in MARKED {
            assert!(find(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn plain_sentences_pass() {
        for text in PLAIN {
            assert_eq!(find(text), None, "{text:?}");
        }
    }

    #[test]
    fn full_width_and_look_alike_letters_do_not_hide_a_marking() {
        assert!(find("\u{ff23}\u{ff35}\u{ff29}").is_some());
        assert!(find("\u{421}U\u{406}//SP-CTI").is_some());
        assert!(find("\u{1d402}\u{1d414}\u{1d408}").is_some());
        assert!(find("\u{ff08}\u{ff23}\u{ff35}\u{ff29}\u{ff09}").is_some());
    }

    proptest! {
        #[test]
        fn it_never_panics(text in "\\PC*") {
            let _ = find(&text);
        }

        #[test]
        fn invisible_characters_between_the_letters_change_nothing(
            which in 0..MARKED.len(),
            at in any::<prop::sample::Index>(),
            with in prop::sample::select(vec!['\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{fe0f}']),
        ) {
            let mut chars: Vec<char> = MARKED[which].chars().collect();
            chars.insert(at.index(chars.len() + 1), with);
            prop_assert!(find(&chars.into_iter().collect::<String>()).is_some());
        }

        #[test]
        fn full_width_spelling_changes_nothing(which in 0..MARKED.len()) {
            let wide: String = MARKED[which]
                .chars()
                .map(|c| if ('!'..='~').contains(&c) { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) } else { c })
                .collect();
            prop_assert!(find(&wide).is_some());
        }

        #[test]
        fn a_marked_line_is_found_wherever_it_stands(before in "[a-z ]{0,40}", which in 0..MARKED.len(), after in "[a-z ]{0,40}") {
            let text = format!("{before}\n{}\n{after}", MARKED[which]);
            prop_assert!(find(&text).is_some());
        }

        #[test]
        fn lower_case_sentences_without_the_mark_pass(text in "[abdefghjklmnopqrstvwxyz ,.]{0,80}") {
            prop_assert_eq!(find(&text), None);
        }
    }
}
