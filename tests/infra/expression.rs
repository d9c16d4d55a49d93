//! ARM template expressions (`[concat(parameters('a'), 'b')]`), read into a tree: for rules about who calls what, and for
//! what an expression can become without being deployed. The portal's pages have the same ones, and lambdas of their own
//! spelling (`(item) => item.name`), which are read as the template's.
//!
//! Nothing here guesses: what cannot be read is an error, and what only Azure knows stays an expression.

use serde_json::{Map, Value};

/// Marks an object of which only some properties are known; no property of a resource has such a name.
pub(crate) const OPEN: &str = "\0open";
/// Deeper than any template; so a hostile one ends in an error and not in the stack.
const MAX_DEPTH: usize = 200;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Text(String),
    Number(i64),
    Call(String, Vec<Expr>),
    Property(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
}

/// Whether Azure reads the text as an expression: `[...]`, but not `[[...`.
pub(crate) fn is_expression(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']') && !text.starts_with("[[")
}

/// The expression in `[...]`.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(|| format!("not an expression: {text}"))?;
    let mut reader = Reader { rest: inner, depth: 0, names: Vec::new() };
    let expr = reader.whole().ok_or_else(|| format!("cannot be read as an expression: {text}"))?;
    if reader.space().rest.is_empty() { Ok(expr) } else { Err(format!("cannot be read to its end: {text}")) }
}

impl Expr {
    /// Every call in it, with its arguments; names are small letters, without `sys.`.
    pub(crate) fn calls(&self) -> Vec<(&str, &[Expr])> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            match expr {
                Self::Text(_) | Self::Number(_) => {}
                Self::Call(name, args) => {
                    found.push((name.as_str(), args.as_slice()));
                    open.extend(args);
                }
                Self::Property(of, _) => open.push(of),
                Self::Index(of, at) => open.extend([&**of, &**at]),
            }
        }
        found
    }

    /// The name of the parameter that it is, and nothing else.
    pub(crate) fn parameter(&self) -> Option<&str> {
        match self {
            Self::Call(name, args) if name == "parameters" => match args.as_slice() {
                [Self::Text(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it can become as far as that stands in the text: both ways of an `if`, objects and lists with their parts,
    /// anything else as an expression that stays.
    pub(crate) fn alternatives(&self) -> Vec<Value> {
        let Self::Call(name, args) = self else { return vec![self.literal()] };
        match (name.as_str(), args.as_slice()) {
            ("if", [_, yes, no]) => [yes.alternatives(), no.alternatives()].concat(),
            ("createobject", args) if args.len() % 2 == 0 => {
                let mut object = Map::new();
                for pair in args.chunks(2) {
                    match &pair[0] {
                        Self::Text(key) => object.insert(key.clone(), pair[1].one()),
                        _ => object.insert(OPEN.into(), Value::Bool(true)),
                    };
                }
                vec![Value::Object(object)]
            }
            ("createarray", args) => vec![args.iter().map(Self::one).collect()],
            ("concat" | "union", args) if args.iter().all(|arg| arg.one().is_array()) && !args.is_empty() => {
                vec![args.iter().flat_map(|arg| arg.one().as_array().cloned().unwrap_or_default()).collect()]
            }
            ("concat" | "union" | "flatten", args) if args.iter().any(|arg| arg.one().is_array()) => {
                let mut items: Vec<Value> = args.iter().flat_map(|arg| arg.one().as_array().cloned().unwrap_or_default()).collect();
                items.push(stays());
                vec![Value::Array(items)]
            }
            ("union", args) if args.iter().any(|arg| arg.one().is_object()) => vec![merged(args.iter().map(Self::one))],
            ("shallowmerge", [list]) => match list.one() {
                Value::Array(parts) => vec![merged(parts)],
                _ => vec![stays()],
            },
            ("true", []) => vec![Value::Bool(true)],
            ("false", []) => vec![Value::Bool(false)],
            ("null", []) => vec![Value::Null],
            ("json", [Self::Text(text)]) => vec![serde_json::from_str(text).unwrap_or_else(|_| stays())],
            _ => vec![stays()],
        }
    }

    /// As part of something larger; where it can be several things, an expression that stays.
    fn one(&self) -> Value {
        let mut all = self.alternatives();
        if all.len() == 1 { all.remove(0) } else { stays() }
    }

    fn literal(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(number) => Value::from(*number),
            _ => stays(),
        }
    }
}

fn stays() -> Value {
    Value::String("[…]".into())
}

fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        match part {
            Value::Object(part) => all.extend(part),
            _ => drop(all.insert(OPEN.into(), Value::Bool(true))),
        }
    }
    Value::Object(all)
}

/// Every text of a document, with the path that leads to it.
pub(crate) fn texts(value: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::String(text) => found.push((path, text.as_str())),
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(at, item)| (format!("{path}[{at}]"), item))),
            Value::Object(of) => open.extend(of.iter().map(|(key, item)| (format!("{path}.{key}"), item))),
            _ => {}
        }
    }
    found.reverse();
    found
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    /// Of the lambdas around: any other bare word is an error.
    names: Vec<String>,
}

impl Reader<'_> {
    fn space(&mut self) -> &mut Self {
        self.rest = self.rest.trim_start();
        self
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.space().rest.strip_prefix(sign);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn whole(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut expr = self.primary()?;
        let mut steps = 0;
        loop {
            // A chain of steps is as deep as it is long.
            steps += 1;
            if steps > MAX_DEPTH {
                return None;
            }
            expr = if self.takes('.') || self.takes('?') && self.takes('.') {
                Expr::Property(expr.into(), self.word()?)
            } else if self.takes('[') {
                let at = self.whole()?;
                if !self.takes(']') {
                    return None;
                }
                Expr::Index(expr.into(), at.into())
            } else {
                self.depth -= 1;
                return Some(expr);
            };
        }
    }

    fn primary(&mut self) -> Option<Expr> {
        if self.takes('\'') {
            return self.text();
        }
        if self.space().rest.starts_with(|sign: char| sign.is_ascii_digit() || sign == '-') {
            let end = self.rest[1..].find(|sign: char| !sign.is_ascii_digit()).map_or(self.rest.len(), |end| end + 1);
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            return number.parse().ok().map(Expr::Number);
        }
        if self.space().rest.starts_with('(') {
            return self.lambda();
        }
        let mut name = self.word()?;
        if self.names.contains(&name) {
            return Some(Expr::Call("lambdavariables".into(), vec![Expr::Text(name)]));
        }
        while self.takes('.') {
            // A namespace: `sys.concat(...)`.
            name = self.word()?;
        }
        if !self.takes('(') {
            return None;
        }
        let mut args = Vec::new();
        if !self.takes(')') {
            loop {
                args.push(self.whole()?);
                if self.takes(')') {
                    break;
                }
                if !self.takes(',') {
                    return None;
                }
            }
        }
        Some(Expr::Call(name.to_lowercase(), args))
    }

    fn lambda(&mut self) -> Option<Expr> {
        self.takes('(');
        let name = self.word()?;
        if !(self.takes(')') && self.takes('=') && self.takes('>')) {
            return None;
        }
        self.names.push(name.clone());
        let body = self.whole()?;
        self.names.pop();
        Some(Expr::Call("lambda".into(), vec![Expr::Text(name), body]))
    }

    /// After the first quote; a quote in the text is two.
    fn text(&mut self) -> Option<Expr> {
        let mut text = String::new();
        loop {
            let (part, rest) = self.rest.split_once('\'')?;
            text.push_str(part);
            self.rest = rest;
            match self.rest.strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    self.rest = rest;
                }
                None => return Some(Expr::Text(text)),
            }
        }
    }

    fn word(&mut self) -> Option<String> {
        self.space();
        let end = self.rest.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn infra_expressions_are_read_as_azure_reads_them() {
        let expr = parse("[sys.format('it''s {0}', if(equals(parameters('hosting'), 'flex'), 1, -2))]").unwrap();
        assert_eq!(expr.calls().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["format", "if", "equals", "parameters"]);
        assert!(expr.calls().iter().any(|(_, args)| args.contains(&Expr::Text("it's {0}".into()))));
        assert_eq!(parse("[parameters('location')]").unwrap().parameter(), Some("location"));
        assert_eq!(parse("[environment().suffixes.storage]").unwrap().parameter(), None);
        assert!(parse("[createArray('a', 'b')[copyIndex()]]").is_ok());
        let page = parse("[filter(split('a', ','), (item) => empty(item.name))]").unwrap();
        assert_eq!(page, parse("[filter(split('a', ','), lambda('item', empty(lambdaVariables('item').name)))]").unwrap());
        for bad in [
            "[concat(item, (item) => 1)]",
            "[(item) = item]",
            "[concat('a'",
            "[concat('a)]",
            "[a b]",
            "[]",
            "[concat(,)]",
            "[1]]",
            "[parameters]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn infra_an_object_in_an_if_is_seen_both_ways() {
        let found = |text: &str| parse(text).unwrap().alternatives();
        assert_eq!(
            found("[if(equals(1, 2), createObject('name', 'FC1'), createObject('name', 'EP1', 'tags', parameters('t')))]"),
            [json!({"name": "FC1"}), json!({"name": "EP1", "tags": "[…]"})]
        );
        assert_eq!(found("[shallowMerge(createArray(createObject('a', true()), parameters('more')))]"), [json!({"a": true, OPEN: true})]);
        assert_eq!(found("[concat(createArray(createObject('name', 'A')), parameters('x'))]"), [json!([{"name": "A"}, "[…]"])]);
    }

    proptest! {
        #[test]
        fn infra_no_text_breaks_the_reader_of_expressions(text in "\\[[a-z().,'\\[\\] 0-9-]{0,60}\\]") {
            if let Ok(expr) = parse(&text) {
                expr.alternatives();
                expr.calls();
            }
        }
    }

    #[test]
    fn infra_an_expression_as_deep_as_the_sea_is_refused() {
        let deep = format!("[{}1{}]", "f(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("[a(){}]", ".b".repeat(100_000))).is_err());
    }
}
