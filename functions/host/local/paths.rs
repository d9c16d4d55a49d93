//! What becomes of a request target between the client and the handler: Kestrel decodes it, YARP encodes it again.
//!
//! Measured on a running host with the proxy code of the newer source. Two decodings away from bytes, so ids and secrets
//! in a path use unreserved characters only.

use std::fmt::Write as _;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The decoded segments for routing, and the path that the handler gets.
    Path { decoded: String, encoded: String },
    /// 400.
    Bad,
}

/// `raw` starts with a slash and has no query.
pub fn rewrite(raw: &str) -> Target {
    let Some(decoded) = decode(raw.as_bytes()) else { return Target::Bad };
    let decoded = without_dots(&decoded);
    let encoded = encode(&decoded);
    Target::Path { decoded, encoded }
}

/// The query keeps everything but broken or lower-case escapes and a few raw characters.
pub fn rewrite_query(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match (byte, escape_at(bytes, at)) {
            (b'%', Some(value)) => {
                let _ = write!(out, "%{value:02X}");
                at += 2;
            }
            (b'%', None) => out.push_str("%25"),
            (b'{' | b'}' | b'|' | b'^' | b'"' | b'<' | b'>' | b'\\' | b'`' | 0x80.., _) => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
        at += 1;
    }
    out
}

/// Percent escapes become characters, except `%2F` and what is not UTF-8, which stay as they were written.
/// `None` for an escaped NUL.
fn decode(raw: &[u8]) -> Option<String> {
    let mut out = String::new();
    let mut at = 0;
    while at < raw.len() {
        let Some(value) = escape_at(raw, at) else {
            // Raw bytes above ASCII do not get this far: the server refuses them.
            out.push(char::from(raw[at]));
            at += 1;
            continue;
        };
        match value {
            0 => return None,
            b'/' => {
                out.push_str(&String::from_utf8_lossy(&raw[at..at + 3]));
                at += 3;
            }
            1..0x80 => {
                out.push(char::from(value));
                at += 3;
            }
            _ => {
                let escapes: Vec<u8> = (at..).step_by(3).map_while(|at| escape_at(raw, at)).take(4).collect();
                let character = (1..=escapes.len()).find_map(|n| std::str::from_utf8(&escapes[..n]).ok());
                let length = character.map_or(1, str::len);
                match character {
                    Some(character) => out.push_str(character),
                    None => out.push_str(&String::from_utf8_lossy(&raw[at..at + 3])),
                }
                at += 3 * length;
            }
        }
    }
    Some(out)
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = bytes.get(at..at + 3).filter(|b| b[0] == b'%')?;
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(digits[1])? * 16 + digit(digits[2])?).ok()
}

/// Dot segments are resolved before routing; double slashes stay.
fn without_dots(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        match *part {
            "." | ".." => {
                if *part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Everything but what RFC 3986 allows in a path is percent-encoded, a percent sign too.
fn encode(decoded: &str) -> String {
    let mut out = String::new();
    for byte in decoded.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_keeps_what_it_says_and_mends_only_broken_escapes() {
        for same in ["a=1&b=&a=2", "x=+%2B%20%00;", ""] {
            assert_eq!(rewrite_query(same), same);
        }
        assert_eq!(rewrite_query("a=%zz&b=%c3&c={|}"), "a=%25zz&b=%C3&c=%7B%7C%7D");
        assert_eq!(rewrite_query("a=%"), "a=%25");
    }
}
