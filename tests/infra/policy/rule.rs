//! Evaluates a rule of Azure Policy on one resource: `allOf / anyOf / not`, `field / value / count` with an operator, and
//! the template functions that the built-in rules use (learn.microsoft.com, "Azure Policy definition structure").
//!
//! Three answers: true, false, and cannot be told, which is an error with the reason and never a pass. An operator or a
//! function that is not known here is one before anything is evaluated ([`unsupported`]).

use std::{cmp::Ordering, net::Ipv4Addr};

use serde_json::{Map, Value};

use super::seen::{Found, Seen, at_alias, within};
use crate::infra::expression::{Expr, is_expression, parse};

pub(crate) type Truth = Result<bool, String>;

const OPERATORS: &[&str] = &[
    "equals",
    "notequals",
    "in",
    "notin",
    "exists",
    "contains",
    "notcontains",
    "like",
    "notlike",
    "less",
    "lessorequals",
    "greater",
    "greaterorequals",
];
const FUNCTIONS: &[&str] = &[
    "parameters",
    "field",
    "current",
    "requestcontext",
    "subscription",
    "resourcegroup",
    "concat",
    "first",
    "split",
    "empty",
    "length",
    "padleft",
    "replace",
    "tolower",
    "iprangecontains",
];

/// What a rule is evaluated on.
pub(crate) struct Context<'a> {
    pub(crate) resource: &'a Seen,
    /// Whose `field(...)` a related resource's condition means: the resource that the policy is about.
    pub(crate) about: &'a Seen,
    pub(crate) parameters: &'a Map<String, Value>,
    /// Inside of `count`: the alias or name that is counted, and the one of its elements that is looked at.
    counted: Vec<(String, Value)>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(resource: &'a Seen, about: &'a Seen, parameters: &'a Map<String, Value>) -> Self {
        Self { resource, about, parameters, counted: Vec::new() }
    }

    pub(crate) fn holds(&mut self, rule: &Value) -> Truth {
        let rule = rule.as_object().ok_or("a condition that is no object")?;
        if let Some(all) = get(rule, "allof") {
            return self.all(all, false);
        }
        if let Some(any) = get(rule, "anyof") {
            return self.all(any, true);
        }
        if let Some(not) = get(rule, "not") {
            return self.holds(not).map(|held| !held);
        }
        let (operator, expected) = operator_of(rule)?;
        let expected = self.filled(expected)?;
        let found = if let Some(field) = get(rule, "field").and_then(Value::as_str) {
            self.field(field)
        } else if let Some(value) = get(rule, "value") {
            Found::One(Some(self.filled(value)?))
        } else if let Some(count) = get(rule, "count") {
            Found::One(Some(Value::from(self.count(count)?)))
        } else {
            return Err(format!("a condition without field, value or count: {}", Value::Object(rule.clone())));
        };
        match found {
            Found::One(value) => compare(operator, value.as_ref(), &expected),
            // Of a list, each element has to; where there is none, nothing is against it.
            Found::All(values) => both(values.iter().map(|value| compare(operator, value.as_ref(), &expected)), false),
        }
    }

    /// All, or with `decisive` any.
    fn all(&mut self, rules: &Value, decisive: bool) -> Truth {
        let rules = rules.as_array().ok_or("allOf or anyOf without a list")?;
        let answers: Vec<_> = rules.iter().map(|rule| self.holds(rule)).collect();
        both(answers.into_iter(), decisive)
    }

    fn count(&mut self, count: &Value) -> Result<u64, String> {
        let count = count.as_object().ok_or("a count that is no object")?;
        let (name, elements) = match (get(count, "field").and_then(Value::as_str), get(count, "value")) {
            (Some(field), _) => (field.to_lowercase(), self.field(field).into_elements()),
            (None, Some(value)) => {
                let name = get(count, "name").and_then(Value::as_str).unwrap_or_default();
                let Value::Array(elements) = self.filled(value)? else { return Err("a count of something that is no list".into()) };
                (name.to_lowercase(), elements)
            }
            (None, None) => return Err("a count without field or value".into()),
        };
        let Some(held) = get(count, "where") else { return Ok(elements.len() as u64) };
        let mut sum = 0;
        for element in elements {
            self.counted.push((name.clone(), element));
            let held = self.holds(held);
            self.counted.pop();
            sum += u64::from(held?);
        }
        Ok(sum)
    }

    fn field(&self, alias: &str) -> Found {
        let small = alias.to_lowercase();
        // Inside of a count over `x[*]`, `x[*].y` is of the one element.
        for (counted, element) in self.counted.iter().rev() {
            if let Some(rest) = small.strip_prefix(counted.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])) {
                let own = &alias[alias.len() - rest.len()..];
                return within(element, own.trim_start_matches('.'));
            }
        }
        at_alias(self.resource, alias)
    }

    /// The value with its expression, if it is one, worked out.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) if is_expression(text) => self.call(&parse(text)?),
            other => Ok(other.clone()),
        }
    }

    fn call(&self, expr: &Expr) -> Result<Value, String> {
        match expr {
            Expr::Text(text) => Ok(Value::String(text.clone())),
            Expr::Number(number) => Ok(Value::from(*number)),
            Expr::Property(of, name) => {
                let of = self.call(of)?;
                Ok(crate::infra::template::property(&of, name).cloned().unwrap_or_default())
            }
            Expr::Index(of, at) => {
                let (of, at) = (self.call(of)?, self.call(at)?);
                let at = at.as_u64().and_then(|at| usize::try_from(at).ok()).ok_or("an index that is no number")?;
                Ok(of.get(at).cloned().unwrap_or_default())
            }
            Expr::Call(name, args) => {
                let args = args.iter().map(|arg| self.call(arg)).collect::<Result<Vec<_>, _>>()?;
                self.function(name, &args)
            }
        }
    }

    fn function(&self, name: &str, args: &[Value]) -> Result<Value, String> {
        let text = |at: usize| match args.get(at) {
            Some(Value::String(text)) if is_expression(text) => Err(format!("{name}: only Azure knows {text}")),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::Null) | None => Ok(String::new()),
            Some(other) => Err(format!("{name}: {other} is no text")),
        };
        Ok(match (name, args) {
            ("parameters", [Value::String(of)]) => {
                let found = self.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(of)).map(|(_, value)| value.clone());
                return found
                    .filter(|value| !value.is_null())
                    .ok_or_else(|| format!("parameter {of} has no value; give one in PARAMETERS"));
            }
            ("field", [Value::String(alias)]) => {
                let here = if self.counted.is_empty() { at_alias(self.about, alias) } else { self.field(alias) };
                match here {
                    // Of a list alias `field()` gives a list, also of the one element that is counted.
                    Found::One(value) if alias.contains("[*]") => Value::Array(value.into_iter().collect()),
                    Found::One(value) => value.unwrap_or_default(),
                    Found::All(values) => values.into_iter().flatten().collect(),
                }
            }
            ("current", [Value::String(name)]) => match self.field(name) {
                Found::One(value) => value.unwrap_or_default(),
                Found::All(values) => values.into_iter().flatten().collect(),
            },
            ("requestcontext", []) => Value::Object(Map::from_iter([("apiVersion".into(), self.resource.version.clone().into())])),
            ("subscription", []) => {
                let id = self.about.id.split('/').nth(2).unwrap_or_default();
                Value::Object(Map::from_iter([("subscriptionId".into(), id.into())]))
            }
            // Who manages the group: nobody in a solution, the application in a managed one, and never Databricks.
            ("resourcegroup", []) => Value::Object(Map::new()),
            ("concat", args) => (0..args.len()).map(text).collect::<Result<String, _>>()?.into(),
            ("first", [Value::Array(items)]) => items.first().cloned().unwrap_or_default(),
            ("first", [Value::String(of)]) => of.chars().next().map(String::from).unwrap_or_default().into(),
            ("split", [_, _]) => text(0)?.split(&text(1)?).map(Value::from).collect(),
            ("empty", [of]) => match of {
                Value::Null => true,
                Value::String(of) => of.is_empty(),
                Value::Array(of) => of.is_empty(),
                Value::Object(of) => of.is_empty(),
                _ => false,
            }
            .into(),
            ("length", [Value::Array(of)]) => of.len().into(),
            ("length", [Value::Null]) => 0.into(),
            ("length", [Value::String(of)]) => of.chars().count().into(),
            ("padleft", [_, Value::Number(wide), _]) => {
                let (of, wide) = (text(0)?, usize::try_from(wide.as_u64().unwrap_or_default()).unwrap_or_default().min(1_000));
                format!("{}{of}", text(2)?.repeat(wide.saturating_sub(of.chars().count()))).into()
            }
            ("replace", [_, _, _]) => text(0)?.replace(&text(1)?, &text(2)?).into(),
            ("tolower", [_]) => text(0)?.to_lowercase().into(),
            ("iprangecontains", [_, _]) => {
                let (outer, inner) = (range(&text(0)?)?, range(&text(1)?)?);
                (outer.0 <= inner.0 && inner.1 <= outer.1).into()
            }
            _ => return Err(format!("function {name} with {args:?} is not known here")),
        })
    }
}

/// What in a rule is not known here; evaluating such a rule would be guessing.
pub(crate) fn unsupported(rule: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let mut open = vec![rule];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(of) => {
                let compares = get(of, "field").is_some() || get(of, "count").is_some() || get(of, "value").is_some();
                let in_count = get(of, "where").is_some() || get(of, "name").is_some() || (of.len() == 1 && get(of, "field").is_some());
                // Both at once is no condition: it is what the effect `append` would write.
                let writes = get(of, "field").is_some() && get(of, "value").is_some();
                if compares && !in_count && !writes {
                    told.extend(operator_of(of).err());
                }
                open.extend(of.values());
            }
            Value::Array(of) => open.extend(of),
            Value::String(text) if is_expression(text) => match parse(text) {
                Ok(expr) => {
                    let unknown = expr.calls().into_iter().map(|(name, _)| name).filter(|name| !FUNCTIONS.contains(name));
                    told.extend(unknown.map(|name| format!("function {name} in {text}")));
                }
                Err(error) => told.push(error),
            },
            _ => {}
        }
    }
    told
}

fn operator_of(rule: &Map<String, Value>) -> Result<(&'static str, &Value), String> {
    let mut found = None;
    for (key, value) in rule {
        let small = key.to_lowercase();
        if matches!(small.as_str(), "field" | "value" | "count") {
            continue;
        }
        let operator = OPERATORS.iter().find(|known| **known == small).ok_or_else(|| format!("operator {key} is not known here"))?;
        found = Some((*operator, value));
    }
    found.ok_or_else(|| format!("a condition without an operator: {}", Value::Object(rule.clone())))
}

fn get<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// And (or with `decisive` or) in three values: what decides wins over what cannot be told.
fn both(answers: impl Iterator<Item = Truth>, decisive: bool) -> Truth {
    let mut untold = None;
    for answer in answers {
        match answer {
            Ok(held) if held == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(told) => untold = untold.or(Some(told)),
        }
    }
    untold.map_or(Ok(!decisive), Err)
}

fn compare(operator: &str, found: Option<&Value>, expected: &Value) -> Truth {
    let found = found.filter(|value| !value.is_null());
    if operator == "exists" {
        return Ok(found.is_some() == (words(expected) == "true"));
    }
    if let Some(text) = found.and_then(Value::as_str).filter(|text| is_expression(text)) {
        return Err(format!("only Azure knows {text}; write the value so that the snapshot shows it"));
    }
    let (positive, negated) = match operator.strip_prefix("not") {
        Some(positive) => (positive, true),
        None => (operator, false),
    };
    let Some(found) = found else { return Ok(negated) };
    let held = match positive {
        "equals" => words(found) == words(expected),
        "in" => {
            let listed = expected.as_array().ok_or_else(|| format!("`in` {expected}, which is no list"))?;
            listed.iter().any(|one| words(one) == words(found))
        }
        "contains" => match found {
            Value::Array(items) => items.iter().any(|one| words(one) == words(expected)),
            found => words(found).contains(&words(expected)),
        },
        "like" => like(&words(expected), &words(found))?,
        "less" => order(found, expected) == Ordering::Less,
        "lessorequals" => order(found, expected) != Ordering::Greater,
        "greater" => order(found, expected) == Ordering::Greater,
        "greaterorequals" => order(found, expected) != Ordering::Less,
        other => return Err(format!("operator {other} is not known here")),
    };
    Ok(held != negated)
}

/// `*` once at most, as Azure allows it.
pub(crate) fn like(pattern: &str, text: &str) -> Truth {
    match pattern.split_once('*') {
        None => Ok(pattern == text),
        Some((_, after)) if after.contains('*') => Err(format!("`like` {pattern} with more than one *")),
        Some((before, after)) => Ok(text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)),
    }
}

/// Azure compares texts without case, and `"true"` with `true`.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string().to_lowercase(),
    }
}

fn order(found: &Value, expected: &Value) -> Ordering {
    match (found.as_i64(), expected.as_i64()) {
        (Some(found), Some(expected)) => found.cmp(&expected),
        _ => words(found).cmp(&words(expected)),
    }
}

/// `10.0.0.0/24`, `10.0.0.1` or `10.0.0.1-10.0.0.9`, as its first and last address.
fn range(text: &str) -> Result<(u32, u32), String> {
    let address = |text: &str| text.trim().parse::<Ipv4Addr>().map(u32::from).map_err(|_| format!("{text} is no IPv4 address"));
    if let Some((first, last)) = text.split_once('-') {
        return Ok((address(first)?, address(last)?));
    }
    let (at, bits) = text.split_once('/').unwrap_or((text, "32"));
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(|| format!("{text} is no range"))?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or_default();
    let first = address(at)? & mask;
    Ok((first, first | !mask))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::infra::any_json;

    fn holds(rule: &Value, body: &Value) -> Truth {
        let resource = Seen::of("Microsoft.Storage/storageAccounts", "st", "2025-06-01", body.clone());
        let parameters = json!({"list": ["a", "b"], "days": 30, "none": null});
        Context::new(&resource, &resource, parameters.as_object().unwrap()).holds(rule)
    }

    #[test]
    fn infra_policy_operators_answer_as_azure_documents_them() {
        let body = json!({"kind": "functionapp,linux", "location": "eastus", "properties": {
            "secure": true, "empty": [], "days": "0", "rules": [{"v": "10.0.0.1", "on": true}, {"v": "10.0.1.9", "on": false}],
            "logs": [{"enabled": true}, {"enabled": true}], "late": "[reference('x').y]"}});
        let a = "Microsoft.Storage/storageAccounts/";
        let field = |name: &str| format!("{a}{name}");
        let cases = [
            (json!({"field": "KIND", "contains": "FunctionApp"}), true),
            (json!({"field": "kind", "notContains": "linux"}), false),
            (json!({"field": field("secure"), "equals": "True"}), true),
            (json!({"field": field("gone"), "equals": "true"}), false),
            (json!({"field": field("gone"), "notEquals": "true"}), true),
            (json!({"field": field("gone"), "notIn": ["a"]}), true),
            (json!({"field": field("gone"), "exists": "false"}), true),
            (json!({"field": field("late"), "exists": true}), true),
            (json!({"field": field("empty[*]"), "equals": "x"}), true),
            (json!({"field": field("rules[*].on"), "equals": true}), false),
            (json!({"field": field("logs.enabled"), "equals": "true"}), true),
            (json!({"field": "location", "in": "[parameters('list')]"}), false),
            (json!({"field": "name", "like": "s*"}), true),
            (json!({"value": "[requestContext().apiVersion]", "less": "2019-04-01"}), false),
            (json!({"value": "[padLeft(parameters('days'), 3, '0')]", "equals": "030"}), true),
            (json!({"count": {"field": field("rules[*]")}, "greaterOrEquals": 2}), true),
            (json!({"count": {"field": field("rules[*]"), "where": {"field": field("rules[*].on"), "Equals": "true"}}, "equals": 1}), true),
            (
                json!({"count": {"field": field("rules[*]"), "where": {
                    "value": format!("[ipRangeContains('10.0.0.0/24', current('{a}rules[*].v'))]"), "equals": true}}, "equals": 1}),
                true,
            ),
            (
                json!({"count": {"value": "[parameters('list')]", "name": "one", "where": {"value": "[current('one')]", "equals": "B"}}, "equals": 1}),
                true,
            ),
            (json!({"value": format!("[length(field('{a}rules[*]'))]"), "equals": 2}), true),
            (json!({"value": format!("[first(split(field('name'), 't'))]"), "equals": "s"}), true),
            (json!({"not": {"anyOf": [{"field": "kind", "equals": "x"}, {"field": "type", "equals": "x"}]}}), true),
        ];
        for (rule, expected) in cases {
            assert_eq!(holds(&rule, &body), Ok(expected), "{rule}");
            assert_eq!(unsupported(&rule), Vec::<String>::new(), "{rule}");
        }
    }

    #[test]
    fn infra_what_a_policy_check_cannot_tell_is_never_a_pass() {
        let body = json!({"properties": {"late": "[reference('x').y]"}});
        let late = json!({"field": "Microsoft.Storage/storageAccounts/late", "equals": "x"});
        assert!(holds(&late, &body).unwrap_err().contains("only Azure knows"));
        assert!(holds(&json!({"not": late}), &body).is_err());
        assert_eq!(holds(&json!({"allOf": [late, {"field": "kind", "exists": true}]}), &body), Ok(false));
        assert!(holds(&json!({"allOf": [late, {"field": "kind", "exists": false}]}), &body).is_err());
        assert!(holds(&json!({"value": "[parameters('none')]", "equals": 1}), &body).unwrap_err().contains("PARAMETERS"));
        for (unknown, told) in [
            (json!({"field": "kind", "match": "x"}), "operator match"),
            (json!({"allOf": [{"field": "kind", "containsKey": "x"}]}), "operator containsKey"),
            (json!({"field": "kind", "equals": "[utcNow()]"}), "function utcnow"),
            (json!({"count": {"field": "a[*]", "where": {"field": "a[*]", "matches": 1}}, "less": 1}), "operator matches"),
        ] {
            assert!(unsupported(&unknown).iter().any(|found| found.contains(told)), "{unknown}: {:?}", unsupported(&unknown));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn infra_no_rule_breaks_the_policy_check(rule in any_json(), body in any_json()) {
            let _ = holds(&rule, &body);
            let _ = holds(&json!({"count": {"field": "a[*]", "where": rule}, "less": 1}), &body);
            unsupported(&rule);
        }
    }
}
