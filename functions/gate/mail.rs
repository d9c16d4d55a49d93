//! One mail as RFC 5322 bytes: a text part and an HTML part with the same content, nothing remote in either.
//!
//! Both parts are made from the same list of blocks, so they cannot differ. Headers take text from people and vendors:
//! control characters become spaces, others that nobody sees are marked, what is not ASCII is encoded (RFC 2047), and an
//! address that is not plain is refused.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{tenancy::seal::sha256, web::visible::visible};

const TEXT_WIDTH: usize = 76;
/// Bytes of a line (RFC 5322 2.1.1); only a link under a very long host name is longer, and it must stay whole.
const MAX_LINE: usize = 998;
/// Leaves room for the header's name.
const HEADER_WIDTH: usize = 66;

#[derive(Clone, Debug)]
pub struct Mail {
    pub from: Mailbox,
    pub to: Mailbox,
    pub subject: String,
    pub at: OffsetDateTime,
    /// Without angle brackets.
    pub message_id: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub struct Mailbox {
    pub name: String,
    pub address: String,
}

#[derive(Clone, Debug)]
pub enum Block {
    Heading(String),
    Paragraph(String),
    Fact { label: &'static str, value: String },
    Link { label: &'static str, url: String },
}

/// When a mail of ours was written, from its header.
pub fn written_at(mail: &[u8]) -> Option<OffsetDateTime> {
    let head = std::str::from_utf8(mail).ok()?.split("\r\n\r\n").next()?;
    let date = head.split("\r\n").find_map(|line| line.strip_prefix("Date: "))?;
    OffsetDateTime::parse(date, &Rfc2822).ok()
}

impl Mail {
    /// The text part and the HTML part, without what an RFC 5322 message has around them.
    pub fn parts(&self) -> (String, String) {
        (text(&self.blocks), html(&self.blocks, &self.subject))
    }

    /// The subject as one line of plain text, for services that build the message themselves.
    pub fn plain_subject(&self) -> String {
        one_line(&self.subject)
    }

    /// The whole message with CRLF line ends.
    pub fn bytes(&self) -> Vec<u8> {
        // At most 70 characters (RFC 2046 5.1.1), and nothing that content could contain by chance.
        let boundary = format!("assay-{}", &sha256(self.message_id.as_bytes())[..32]);
        let date = self.at.format(&Rfc2822).unwrap_or_default();
        let mut mail = String::new();
        for (name, value) in [
            ("From", self.from.header()),
            ("To", self.to.header()),
            ("Subject", header_text(&self.subject)),
            ("Date", date),
            ("Message-ID", format!("\r\n <{}>", self.message_id)),
            ("Auto-Submitted", "auto-generated".into()),
            ("MIME-Version", "1.0".into()),
            ("Content-Type", format!("multipart/alternative;\r\n boundary=\"{boundary}\"")),
        ] {
            let _ = write!(mail, "{name}: {value}\r\n");
        }
        for (kind, body) in [("plain", text(&self.blocks)), ("html", html(&self.blocks, &self.subject))] {
            let body = body.replace('\n', "\r\n");
            let (encoding, body) =
                if body.lines().all(|line| line.len() <= MAX_LINE) { ("8bit", body) } else { ("base64", in_lines(&body)) };
            let _ = write!(
                mail,
                "\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            );
        }
        let _ = write!(mail, "\r\n--{boundary}--\r\n");
        mail.into_bytes()
    }
}

impl Mailbox {
    fn header(&self) -> String {
        let name = one_line(&self.name);
        let name = if name.is_ascii() { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) } else { encoded(&name) };
        format!("{name}\r\n <{}>", self.address)
    }
}

fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for (n, block) in blocks.iter().enumerate() {
        let is_fact = |b: Option<&Block>| matches!(b, Some(Block::Fact { .. }));
        if n > 0 && !(is_fact(blocks.get(n - 1)) && is_fact(Some(block))) {
            out.push('\n');
        }
        match block {
            Block::Heading(text) | Block::Paragraph(text) => out.push_str(&wrapped(&one_line(text), "", TEXT_WIDTH)),
            Block::Fact { label, value } => out.push_str(&wrapped(&format!("{label}: {}", one_line(value)), "  ", TEXT_WIDTH)),
            Block::Link { label, url } => {
                let _ = write!(out, "{label}:\n{url}");
            }
        }
        out.push('\n');
    }
    out
}

fn html(blocks: &[Block], title: &str) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n<title>{}</title></head>\n<body>\n",
        wrapped(&escaped(title), "", TEXT_WIDTH)
    );
    for block in blocks {
        let _ = match block {
            Block::Heading(text) => writeln!(out, "<h1>{}</h1>", wrapped(&escaped(text), "", TEXT_WIDTH)),
            Block::Paragraph(text) => writeln!(out, "<p>{}</p>", wrapped(&escaped(text), "", TEXT_WIDTH)),
            Block::Fact { label, value } => writeln!(out, "<p><b>{label}:</b>\n{}</p>", wrapped(&escaped(value), "", TEXT_WIDTH)),
            Block::Link { label, url } => writeln!(out, "<p>{label}:<br>\n<a href=\"{0}\">\n{0}</a></p>", escaped(url)),
        };
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Lines of at most `limit` characters where words allow it: a line may not pass 998 bytes (RFC 5322 2.1.1).
fn wrapped(text: &str, indent: &str, limit: usize) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let mut word = word;
        if width > 0 {
            if width + 1 + word.chars().count() > limit {
                let _ = write!(lines, "\n{indent}");
                width = indent.len();
            } else {
                lines.push(' ');
                width += 1;
            }
        }
        // Nothing that people write has a word this long; a vendor's text might.
        while word.chars().count() > 200 {
            let at = word.char_indices().nth(200).map_or(word.len(), |(at, _)| at);
            let _ = write!(lines, "{}\n{indent}", &word[..at]);
            word = &word[at..];
            width = indent.len();
        }
        lines.push_str(word);
        width += word.chars().count();
    }
    lines
}

/// Text of a header: folded, and encoded where it is not ASCII.
fn header_text(text: &str) -> String {
    let text = one_line(text);
    if text.is_ascii() { wrapped(&text, " ", HEADER_WIDTH).replace('\n', "\r\n") } else { encoded(&text) }
}

/// Encoded words of at most 75 characters, each whole characters (RFC 2047 2, 5).
fn encoded(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    words.iter().map(|word| format!("=?UTF-8?B?{}?=", BASE64.encode(word))).collect::<Vec<_>>().join("\r\n ")
}

/// Base64 in lines of 76 (RFC 2045 6.8).
fn in_lines(body: &str) -> String {
    let encoded = BASE64.encode(body);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 38 + 2);
    for (n, c) in encoded.chars().enumerate() {
        if n > 0 && n % 76 == 0 {
            lines.push_str("\r\n");
        }
        lines.push(c);
    }
    lines + "\r\n"
}

fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible(&line).into_owned()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::tenancy::directory::is_plain_address;

    fn mail(subject: &str, name: &str) -> String {
        let mail = Mail {
            from: Mailbox { name: "Assay".into(), address: "assay@example.net".into() },
            to: Mailbox { name: name.into(), address: "priya@example.net".into() },
            subject: subject.into(),
            at: datetime!(2026-11-24 17:00 UTC),
            message_id: "p.1@example.net".into(),
            blocks: vec![
                Block::Heading("Mark <it> as MET?".into()),
                Block::Fact { label: "Asked by", value: "Zoë \"Z\" Müller & Co".into() },
                Block::Link { label: "Open it", url: format!("https://example.net/{}", "a".repeat(150)) },
                Block::Paragraph("word ".repeat(300) + &"x".repeat(1500)),
            ],
        };
        String::from_utf8(mail.bytes()).expect("utf-8")
    }

    #[test]
    fn names_and_subjects_cannot_add_a_header() {
        let mail = mail("Hello\r\nBcc: eve@example.net", "Eve\"\r\nBcc: eve@example.net");
        let head = mail.split("\r\n\r\n").next().expect("head");
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains(r#"To: "Eve\"  Bcc: eve@example.net""#), "{head}");
        for bad in ["a@b@c", "a b@c", "a@c\r\nBcc: x", "<a@c>", "zoë@example.net", "", "@c", "a@"] {
            assert!(!is_plain_address(bad), "{bad}");
        }
        assert!(is_plain_address("priya.nair+approvals@northgate.example"));
    }

    #[test]
    fn what_is_not_ascii_is_encoded_in_headers_and_plain_in_the_text() {
        let mail = mail("Müller Präzisionsteile und Oberflächentechnik: approve AC.L2-3.1.1[a] by Tue 1 Dec", "Zoë");
        let (head, body) = mail.split_once("\r\n\r\n").expect("head and body");
        assert!(head.is_ascii());
        assert!(head.contains("To: =?UTF-8?B?Wm/Dqw==?=\r\n <priya@example.net>"), "{head}");
        assert!(head.lines().all(|line| line.len() <= 78), "{head}");
        assert!(body.contains("Zoë \"Z\" Müller & Co") && body.contains("Zoë &quot;Z&quot; Müller &amp; Co"));
    }

    #[test]
    fn lines_end_in_crlf_and_are_short_and_the_link_stays_whole() {
        let mail = mail("Hi", "Priya");
        assert_eq!(written_at(mail.as_bytes()), Some(datetime!(2026-11-24 17:00 UTC)));
        assert!(mail.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\n', '\r'])));
        let boundary = mail.split('"').find(|part| part.starts_with("assay-")).expect("boundary");
        assert!(boundary.len() <= 70 && mail.matches(&format!("\r\n--{boundary}")).count() == 3);
        assert!(mail.contains(&format!("\r\nhttps://example.net/{}\r\n", "a".repeat(150))));
        assert!(!mail.contains("src=") && mail.contains("Mark &lt;it&gt; as MET?"));
    }
}
