//! Route templates as ASP.NET reads them, as far as we use them: literal, `{name}`, and `{*rest}` at the end.
//!
//! Literals match without regard to case, one trailing slash is nothing, a catch-all matches the empty rest too.
//! Constraints, defaults and optional parameters are refused: what is not written down here we do not rely on.

use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

// In the order in which a router prefers them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Literal(String),
    Parameter,
    CatchAll,
}

impl Template {
    /// Says what is wrong with a template that we do not take.
    pub fn parse(template: &str) -> Result<Self, String> {
        let segments: Vec<&str> = template.split('/').collect();
        let mut parts = Vec::with_capacity(segments.len());
        for (at, segment) in segments.iter().enumerate() {
            let part = match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                Some(name) if name.starts_with('*') && at + 1 < segments.len() => {
                    return Err(format!("route {template}: {{*..}} may stand only at the end"));
                }
                Some(name) if name.starts_with('*') && is_name(&name[1..]) => Part::CatchAll,
                Some(name) if is_name(name) => Part::Parameter,
                None if is_literal(segment) => Part::Literal(segment.to_ascii_lowercase()),
                _ => return Err(format!("route {template}: segment {segment:?} is neither a word, {{name}} nor {{*rest}}")),
            };
            parts.push(part);
        }
        Ok(Self { parts })
    }

    /// The path, its literals spelled as in the template and everything else as it arrived, when the template matches.
    /// `path` has no leading slash.
    pub fn matches(&self, path: &str) -> Option<String> {
        let mut spelled = Vec::new();
        let mut rest = Some(path);
        for part in &self.parts {
            if *part == Part::CatchAll {
                spelled.extend(rest);
                return Some(spelled.join("/"));
            }
            let (segment, after) = split(rest?);
            match part {
                Part::Literal(word) if word.eq_ignore_ascii_case(segment) => spelled.push(word),
                Part::Parameter if !segment.is_empty() => spelled.push(segment),
                _ => return None,
            }
            rest = after;
        }
        matches!(rest, None | Some("")).then(|| spelled.join("/"))
    }

    /// Two templates of one shape match the same paths: the host loads both and one wins silently (measured).
    pub fn same_shape(&self, other: &Self) -> bool {
        self == other
    }

    pub fn first_literal(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Literal(word)) => Some(word),
            _ => None,
        }
    }

    /// The more particular template first: a literal before a parameter before a catch-all, segment by segment.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Unreserved characters only: the proxy rewrites every other one (measured).
fn is_literal(segment: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).expect("a good template")
    }

    #[test]
    fn literals_ignore_case_and_come_back_as_the_template_spells_them() {
        let hooks = template("webhooks/{connector}/{connection}/{*rest}");
        assert_eq!(hooks.matches("WebHooks/ConnectWise/c1/a//B").as_deref(), Some("webhooks/ConnectWise/c1/a//B"));
        assert_eq!(hooks.matches("webhooks/x/c1").as_deref(), Some("webhooks/x/c1"));
        assert_eq!(hooks.matches("webhooks//c1/a"), None);
        assert_eq!(hooks.matches("webhooks/x"), None);
    }

    #[test]
    fn one_trailing_slash_is_nothing_and_two_are_another_path() {
        assert!(template("health").matches("health/").is_some());
        assert!(template("health").matches("health//").is_none());
        assert!(template("portal/{*rest}").matches("portal").is_some());
        assert!(template("portal/{*rest}").matches("/portal").is_none());
    }

    #[test]
    fn the_more_particular_template_comes_first() {
        let mut all = ["a/{*rest}", "a/{x}", "a/b", "a/{x}/c"].map(template);
        all.sort_by(Template::precedence);
        assert_eq!(all, ["a/b", "a/{x}", "a/{x}/c", "a/{*rest}"].map(template));
    }

    #[test]
    fn what_we_do_not_rely_on_is_refused() {
        for bad in ["", "/a", "a//b", "{id?}", "{id:int}", "{*rest}/b", "a b", "a/../b", "{}", "x{y}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
