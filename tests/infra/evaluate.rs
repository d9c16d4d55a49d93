//! What an expression of the compiled template comes to, for parameters and surroundings that a snapshot of Bicep cannot be
//! told, such as who manages the resource group; and what one of the portal's pages comes to. Only the functions that such
//! expressions use: any other is an error, so that nothing here is guessed.

use serde_json::{Value, json};

use super::{
    expression::{Expr, is_expression, parse},
    functions,
    template::property,
};

/// Whom an expression asks for what no function knows by itself.
pub(crate) trait Surroundings {
    /// `None`: they know no such function either.
    fn answer(&self, function: &str, args: &[Value]) -> Option<Result<Value, String>>;
}

/// What the expression comes to.
pub(crate) fn evaluate(expr: &Expr, around: &dyn Surroundings) -> Result<Value, String> {
    Evaluation { around, named: None }.of(expr)
}

/// Within lambdas: with what each was called with, the innermost first.
struct Evaluation<'a> {
    around: &'a dyn Surroundings,
    named: Option<Named<'a>>,
}

#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    value: &'a Value,
    outer: Option<&'a Named<'a>>,
}

impl Evaluation<'_> {
    fn of(&self, expr: &Expr) -> Result<Value, String> {
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
            ("if", [asked, yes, no]) => return self.of(if truth(&self.of(asked)?)? { yes } else { no }),
            ("map" | "filter", [list, Expr::Call(lambda, parts)]) if lambda == "lambda" => return self.each(name, list, parts),
            ("lambdavariables", [Expr::Text(name)]) => return self.named(name),
            _ => {}
        }
        let args = args.iter().map(|arg| self.of(arg)).collect::<Result<Vec<_>, _>>()?;
        let answer = functions::call(name, &args).or_else(|| self.around.answer(name, &args));
        answer.unwrap_or_else(|| Err(format!("not evaluated here: {name} of {}", json!(args))))
    }

    fn each(&self, what: &str, list: &Expr, lambda: &[Expr]) -> Result<Value, String> {
        let list = self.of(list)?;
        let (Some(list), [Expr::Text(name), body]) = (list.as_array(), lambda) else { return Err(format!("no list: {list}")) };
        let mut found = Vec::new();
        for value in list {
            let named = Named { name, value, outer: self.named.as_ref() };
            let said = Evaluation { around: self.around, named: Some(named) }.of(body)?;
            if what == "map" {
                found.push(said);
            } else if truth(&said)? {
                found.push(value.clone());
            }
        }
        Ok(found.into())
    }

    fn named(&self, name: &str) -> Result<Value, String> {
        let mut next = self.named.as_ref();
        while let Some(named) = next {
            if named.name == name {
                return Ok(named.value.clone());
            }
            next = named.outer;
        }
        Err(format!("no lambda has {name}"))
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("neither true nor false: {value}"))
}

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

impl<'a> Place<'a> {
    /// In the public cloud, in a resource group of nobody's.
    pub(crate) fn public(template: &'a Value, parameters: Value) -> Self {
        Self { template, parameters, group: json!({}), cloud: "AzureCloud" }
    }

    /// What a text of the template comes to: itself, where it is no expression.
    pub(crate) fn value(&self, text: &Value) -> Result<Value, String> {
        match text.as_str().filter(|text| is_expression(text)) {
            Some(text) => self.of(&parse(text)?),
            None => Ok(text.clone()),
        }
    }

    /// The inside of a module, with what it is given. What cannot be evaluated stays the expression that it is.
    pub(crate) fn module(&self, name: &str) -> Result<Place<'_>, String> {
        let all = self.template["resources"].as_array().map_or(&[][..], Vec::as_slice);
        let module = all.iter().find(|one| one["name"] == name).ok_or_else(|| format!("no module {name}"))?;
        let given = module["properties"]["parameters"].as_object().into_iter().flatten();
        let value = |of: &Value| self.value(&of["value"]).unwrap_or_else(|_| of["value"].clone());
        let parameters = given.map(|(name, of)| (name.clone(), value(of))).collect::<serde_json::Map<_, _>>().into();
        Ok(Place { template: &module["properties"]["template"], parameters, group: self.group.clone(), cloud: self.cloud })
    }

    pub(crate) fn of(&self, expr: &Expr) -> Result<Value, String> {
        evaluate(expr, self)
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

    /// The names of the two clouds that we deploy to, and of their services as far as the template reads them.
    fn environment(&self) -> Value {
        let vaults = if self.cloud == "AzureUSGovernment" { ".vault.usgovcloudapi.net" } else { ".vault.azure.net" };
        json!({"name": self.cloud, "suffixes": {"keyvaultDns": vaults}})
    }
}

impl Surroundings for Place<'_> {
    fn answer(&self, function: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (function, args) {
            ("resourcegroup", []) => Ok(self.group.clone()),
            ("environment", []) => Ok(self.environment()),
            // A day of the tests' own.
            ("utcnow", [Value::String(form)]) if form == "yyyy-MM-01" => Ok(json!("2027-01-01")),
            ("parameters", [Value::String(name)]) => self.parameter(name),
            ("variables", [Value::String(name)]) => self.declared("variables", name).and_then(|variable| self.value(variable)),
            _ => return None,
        })
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
        ("[filter(range(0, 3), lambda('i', not(equals(lambdaVariables('i'), 1))))]", json!([0, 2])),
        (
            "[map(createArray('a'), lambda('x', map(createArray('b'), lambda('y', concat(lambdaVariables('x'), lambdaVariables('y'))))))]",
            json!([["ab"]]),
        ),
        ("[contains(createArray('eastus'), 'EastUS')]", json!(false)),
        ("[and(startsWith('ABC', 'ab'), endsWith('ABC', 'bc'))]", json!(true)),
        ("[concat(first(''), last(split('a/b', '/')), substring('abc', 1, 1), string(true()), string(3))]", json!("bbTrue3")),
        ("[split('', '/')]", json!([""])),
        ("[length('\u{e9}\u{1f600}')]", json!(3)),
        ("[format('{0} of {1}: {0}', 1, 'x')]", json!("1 of x: 1")),
        ("[parseCidr('172.20.3.4/12').network]", json!("172.16.0.0")),
        ("[mod(4500, 1000)]", json!(500)),
        ("[if(empty(createArray()), union(createObject('a', 1), createObject('a', 2, 'b', 3)), fail('no'))]", json!({"a": 2, "b": 3})),
        ("[join(take(skip(createArray(1, 2, 3, 4), 1), 2), ', ')]", json!("2, 3")),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    for bad in ["[parameters('none')]", "[uniqueString('a')]", "[if('a', 1, 2)]", "[environment().portal]", "[createArray(1)[0]]"] {
        assert!(value(bad).is_err(), "{bad}");
    }
    for bad in ["[int('ten')]", "[parseCidr('10.0.0.0/33')]", "[lambdaVariables('i')]", "[substring('a', 1, 1)]", "[and(true(), 'a')]"] {
        assert!(value(bad).is_err(), "{bad}");
    }
    assert_eq!(value("[fail('so not')]"), Err("so not".into()));
    let inner = json!({"parameters": {"a": {"defaultValue": 1}, "b": {}, "c": {"defaultValue": 3}}});
    let parameters = json!({"a": {"value": "[parameters('given')]"}, "b": {"value": "[uniqueString('a')]"}});
    let outer =
        json!({"parameters": {"given": {}}, "resources": [{"name": "m", "properties": {"parameters": parameters, "template": inner}}]});
    let module = Place::public(&outer, json!({"given": 7}));
    let values = ["a", "b", "c"].map(|name| module.module("m").unwrap().value(&json!(format!("[parameters('{name}')]"))).unwrap());
    assert_eq!(values, [json!(7), json!("[uniqueString('a')]"), json!(3)], "given, given by what only Azure knows, and left out");
    assert!(module.module("none").is_err());
    let elsewhere = Place { group: json!({}), ..place };
    assert_eq!(elsewhere.value(&json!("[variables('b')]")), Ok(json!("AzureCloud")));
    assert!(Place { parameters: json!({}), ..elsewhere }.value(&json!("[parameters('given')]")).is_err(), "it has no default");
}
