//! What an expression of the compiled template comes to, for parameters and surroundings that a snapshot of Bicep cannot be
//! told, such as who manages the resource group. Only the functions that such expressions use: any other is an error, so
//! that nothing here is guessed.

use serde_json::{Value, json};

use super::{
    expression::{Expr, is_expression, parse},
    template::property,
};

/// Where a template is deployed, and with what.
pub(crate) struct Place<'a> {
    pub(crate) template: &'a Value,
    /// What is left out has the template's default.
    pub(crate) parameters: Value,
    /// What `resourceGroup()` says.
    pub(crate) group: Value,
    /// What `environment().name` says.
    pub(crate) cloud: &'a str,
}

impl Place<'_> {
    /// What a text of the template comes to: itself, where it is no expression.
    pub(crate) fn value(&self, text: &Value) -> Result<Value, String> {
        match text.as_str().filter(|text| is_expression(text)) {
            Some(text) => self.of(&parse(text)?),
            None => Ok(text.clone()),
        }
    }

    pub(crate) fn of(&self, expr: &Expr) -> Result<Value, String> {
        let (name, args) = match expr {
            Expr::Text(text) => return Ok(json!(text)),
            Expr::Number(number) => return Ok(json!(number)),
            Expr::Property(of, name) => {
                let of = self.of(of)?;
                return property(&of, name).cloned().ok_or_else(|| format!("no {name} in {of}"));
            }
            Expr::Index(..) => return Err(format!("not evaluated here: {expr:?}")),
            Expr::Call(name, args) => (name.as_str(), args.as_slice()),
        };
        match (name, args) {
            ("true", []) => Ok(json!(true)),
            ("false", []) => Ok(json!(false)),
            ("resourcegroup", []) => Ok(self.group.clone()),
            ("environment", []) => Ok(json!({"name": self.cloud})),
            ("parameters", [of]) => self.parameter(&self.text(of)?),
            ("variables", [of]) => self.value(self.declared("variables", &self.text(of)?)?),
            ("if", [asked, yes, no]) => self.of(if self.truth(asked)? { yes } else { no }),
            ("and", all) => all.iter().try_fold(true, |so_far, one| Ok(self.truth(one)? && so_far)).map(Value::from),
            ("not", [one]) => Ok(json!(!self.truth(one)?)),
            ("equals", [one, other]) => Ok(json!(self.of(one)? == self.of(other)?)),
            ("empty", [one]) => Ok(json!(self.text(one)?.is_empty())),
            // Of texts, where case counts.
            ("contains", [whole, part]) => Ok(json!(self.text(whole)?.contains(&self.text(part)?))),
            ("coalesce", all) => self.first(all),
            ("tryget", [of, name]) => Ok(property(&self.of(of)?, &self.text(name)?).cloned().unwrap_or_default()),
            ("string", [one]) => Ok(json!(self.of(one)?.to_string())),
            ("max", [one, other]) => Ok(json!(self.number(one)?.max(self.number(other)?))),
            ("greater", [one, other]) => Ok(json!(self.number(one)? > self.number(other)?)),
            ("greaterorequals", [one, other]) => Ok(json!(self.number(one)? >= self.number(other)?)),
            _ => Err(format!("not evaluated here: {name} of {} arguments", args.len())),
        }
    }

    fn declared(&self, part: &str, name: &str) -> Result<&Value, String> {
        property(&self.template[part], name).ok_or_else(|| format!("no {name} among the {part}"))
    }

    fn parameter(&self, name: &str) -> Result<Value, String> {
        let declared = self.declared("parameters", name)?;
        match property(&self.parameters, name) {
            Some(given) => Ok(given.clone()),
            None => self.value(property(declared, "defaultValue").ok_or_else(|| format!("{name} has no default"))?),
        }
    }

    fn first(&self, all: &[Expr]) -> Result<Value, String> {
        for one in all {
            let value = self.of(one)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }

    fn truth(&self, expr: &Expr) -> Result<bool, String> {
        let value = self.of(expr)?;
        value.as_bool().ok_or_else(|| format!("neither true nor false: {value}"))
    }

    fn number(&self, expr: &Expr) -> Result<i64, String> {
        let value = self.of(expr)?;
        value.as_i64().ok_or_else(|| format!("no number: {value}"))
    }

    fn text(&self, expr: &Expr) -> Result<String, String> {
        let value = self.of(expr)?;
        value.as_str().map(str::to_owned).ok_or_else(|| format!("no text: {value}"))
    }
}

#[test]
fn infra_what_is_evaluated_is_evaluated_as_azure_does_and_what_is_not_is_an_error() {
    let template = json!({"parameters": {"a": {"defaultValue": "[if(equals(variables('b'), 'x'), 1, 2)]"}, "given": {"type": "int"}},
        "variables": {"b": "[coalesce(tryGet(resourceGroup(), 'managedBy'), environment().name)]"}});
    let place = Place { template: &template, parameters: json!({"given": 7}), group: json!({"managedBy": "x"}), cloud: "AzureCloud" };
    let value = |text: &str| place.value(&json!(text));
    for (text, expected) in [
        ("plain", json!("plain")),
        ("[variables('b')]", json!("x")),
        ("[parameters('a')]", json!(1)),
        ("[string(max(parameters('given'), 3))]", json!("7")),
        ("[and(contains('Abc', 'A'), not(contains('Abc', 'a')), empty(''))]", json!(true)),
        ("[greater(parameters('given'), 7)]", json!(false)),
        ("[greaterOrEquals(parameters('given'), 7)]", json!(true)),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    for bad in ["[parameters('none')]", "[uniqueString('a')]", "[if('a', 1, 2)]", "[environment().suffixes]", "[createArray(1)[0]]"] {
        assert!(value(bad).is_err(), "{bad}");
    }
    let elsewhere = Place { group: json!({}), ..place };
    assert_eq!(elsewhere.value(&json!("[variables('b')]")), Ok(json!("AzureCloud")));
    assert!(Place { parameters: json!({}), ..elsewhere }.value(&json!("[parameters('given')]")).is_err(), "it has no default");
}
