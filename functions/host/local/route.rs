//! Route templates of HTTP functions, as ASP.NET reads them: `{id}`, `{id:int}`, `{id?}`, `{*rest}`.
//!
//! Only what the Functions host documents. Literals match without case. Two templates of one shape both load in the
//! real host and one wins silently, so [`Route::shape`] lets `appfolder` refuse them.

/// A parsed template, without the route prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// In lower case.
    Literal(String),
    Parameter {
        kind: Option<Kind>,
        optional: bool,
    },
    CatchAll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Guid,
    Bool,
    Alpha,
}

impl Route {
    pub fn parse(template: &str) -> Result<Self, RouteError> {
        if template.to_ascii_lowercase().starts_with("admin") || template.to_ascii_lowercase().starts_with("runtime") {
            return Err(RouteError::Reserved);
        }
        if template.starts_with('/') || template.contains(['?', '#']) && !template.contains("?}") {
            return Err(RouteError::Malformed);
        }
        let parts: Vec<&str> = template.split('/').filter(|part| !part.is_empty()).collect();
        let mut segments = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let segment = Segment::parse(part)?;
            let last = at + 1 == parts.len();
            if !last && matches!(segment, Segment::CatchAll | Segment::Parameter { optional: true, .. }) {
                return Err(RouteError::NotLast);
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// Whether decoded path segments (prefix taken off) reach this route. An empty segment matches nothing, except
    /// inside the rest of a catch-all (measured).
    pub fn matches(&self, path: &[&str]) -> bool {
        let mut rest = path;
        for segment in &self.segments {
            match (segment, rest.split_first()) {
                (Segment::CatchAll, None) => return true,
                (Segment::CatchAll, Some((first, more))) => return !first.is_empty() || more.is_empty(),
                (Segment::Parameter { optional, .. }, None) => return *optional,
                (Segment::Literal(_), None) => return false,
                (segment, Some((first, more))) => {
                    if !segment.takes(first) {
                        return false;
                    }
                    rest = more;
                }
            }
        }
        rest.is_empty() || rest == [""]
    }

    /// More literal routes are tried first.
    pub fn rank(&self) -> Vec<u8> {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Parameter { kind: Some(_), .. } => 1,
                Segment::Parameter { kind: None, .. } => 2,
                Segment::CatchAll => 3,
            })
            .chain([4])
            .collect()
    }

    /// Equal for templates that differ only in their parameters' names.
    pub fn shape(&self) -> String {
        let parts: Vec<&str> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => text.as_str(),
                Segment::Parameter { kind: Some(Kind::Int), .. } => "{int}",
                Segment::Parameter { kind: Some(Kind::Guid), .. } => "{guid}",
                Segment::Parameter { kind: Some(Kind::Bool), .. } => "{bool}",
                Segment::Parameter { kind: Some(Kind::Alpha), .. } => "{alpha}",
                Segment::Parameter { kind: None, .. } => "{}",
                Segment::CatchAll => "{*}",
            })
            .collect();
        parts.join("/")
    }
}

impl Segment {
    fn parse(part: &str) -> Result<Self, RouteError> {
        let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
            // A mix such as `v{n}` is legal in ASP.NET; nothing here needs it, so it is said rather than half done.
            return if part.contains(['{', '}', '*']) { Err(RouteError::Malformed) } else { Ok(Self::Literal(part.to_lowercase())) };
        };
        if let Some(name) = inner.strip_prefix('*') {
            return if is_name(name.trim_start_matches('*')) { Ok(Self::CatchAll) } else { Err(RouteError::Malformed) };
        }
        let (inner, optional) = inner.strip_suffix('?').map_or((inner, false), |i| (i, true));
        let (name, kind) = match inner.split_once(':') {
            None => (inner, None),
            Some((name, "int")) => (name, Some(Kind::Int)),
            Some((name, "guid")) => (name, Some(Kind::Guid)),
            Some((name, "bool")) => (name, Some(Kind::Bool)),
            Some((name, "alpha")) => (name, Some(Kind::Alpha)),
            Some(_) => return Err(RouteError::Constraint),
        };
        if is_name(name) { Ok(Self::Parameter { kind, optional }) } else { Err(RouteError::Malformed) }
    }

    fn takes(&self, value: &str) -> bool {
        match self {
            Self::Literal(text) => value.to_lowercase() == *text,
            Self::CatchAll => true,
            Self::Parameter { kind, .. } => {
                !value.is_empty()
                    && match kind {
                        None => true,
                        Some(Kind::Int) => value.parse::<i32>().is_ok(),
                        Some(Kind::Guid) => uuid::Uuid::parse_str(value).is_ok(),
                        Some(Kind::Bool) => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
                        Some(Kind::Alpha) => value.bytes().all(|b| b.is_ascii_alphabetic()),
                    }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("starts with admin or runtime, which belong to the host")]
    Reserved,
    #[error("is not a route template")]
    Malformed,
    #[error("has a catch-all or an optional parameter before its end")]
    NotLast,
    #[error("has a constraint other than int, guid, bool or alpha")]
    Constraint,
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(template: &str, path: &str) -> bool {
        Route::parse(template).is_ok_and(|route| route.matches(&path.split('/').collect::<Vec<_>>()))
    }

    #[test]
    fn parameters_optionals_and_catch_alls_match_as_the_host_does() {
        assert!(reaches("approve/{gate}", "approve/g1"));
        assert!(reaches("Approve/{gate}", "aPPROVE/g1"));
        assert!(!reaches("approve/{gate}", "approve"));
        assert!(!reaches("approve/{gate}", "approve/g1/x"));
        assert!(reaches("items/{id?}", "items") && reaches("items/{id?}", "items/7"));
        assert!(reaches("items/{id:int}", "items/7") && !reaches("items/{id:int}", "items/x"));
        assert!(reaches("portal/{*rest}", "portal") && reaches("portal/{*rest}", "portal/a/b"));
        assert!(reaches("portal/{*rest}", "portal/a//b") && !reaches("portal/{*rest}", "portal//a"));
    }

    #[test]
    fn routes_of_one_shape_differ_only_in_names() {
        let shape = |template| Route::parse(template).map(|route| route.shape());
        assert_eq!(shape("a/{x}"), shape("A/{y?}"));
        assert_ne!(shape("a/{x}"), shape("a/{x:int}"));
    }

    #[test]
    fn what_the_host_reserves_or_cannot_read_is_refused() {
        assert_eq!(Route::parse("administer"), Err(RouteError::Reserved));
        assert_eq!(Route::parse("runtime/x"), Err(RouteError::Reserved));
        assert_eq!(Route::parse("a/{*rest}/b"), Err(RouteError::NotLast));
        assert_eq!(Route::parse("a/{id:regex(x)}"), Err(RouteError::Constraint));
        assert_eq!(Route::parse("a/{id"), Err(RouteError::Malformed));
    }
}
