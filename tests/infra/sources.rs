//! The Bicep sources as text: only syntax that compiles to languageVersion 1.0 (infrastructure.md, section 9), conditions
//! on modules only, everything described, every version pinned; and `mainTemplate.json` made of these very sources.
//!
//! Lines are read without comments and without what stands in quotes. Whether they compile, `infra/build` asks the CLI.

use std::{fs, path::Path};

use aws_lc_rs::digest::{Context, SHA256};
use regex::Regex;

use super::{file, schemas, types::Types};

/// `(what a line must not be, why, what to write instead)`; patterns see code without comments and quoted text.
const NOT_1_0: &[(&str, &str)] = &[
    (r"^type\s+\w", "a user-defined type gives languageVersion 2.0; write `object` or `array` and describe it"),
    (r"^func\s+\w", "a user-defined function gives languageVersion 2.0; write a var"),
    (r"^import\b", "an import gives languageVersion 2.0; write the value here, or pass it as a param"),
    (r"^extension\b", "an extension gives languageVersion 2.0; make it a step after the deployment"),
    (r"^provider\b", "an extension gives languageVersion 2.0; make it a step after the deployment"),
    (r"^var\s+\w+\s+[^=\s]", "a typed var gives languageVersion 2.0; leave the type out"),
    (r"^@(sys\.)?onlyIfNotExists\b", "@onlyIfNotExists gives languageVersion 2.0; take it out"),
    (r"^@(sys\.)?retryOn\b", "@retryOn gives languageVersion 2.0; take it out"),
    (r"\bthis\.exists\(", "this.exists() gives languageVersion 2.0; take it out"),
    (r"^(param|output)\s+\w+\s+resource(Input|Output)<", "write `object`"),
    (r"^resource\b.*=\s*if\b", "conditions stand on modules: checkov reads no properties of a conditional resource (section 4)"),
    (r"^resource\b.*=\s*\[?\s*for\b.*:\s*if\b", "conditions stand on modules: filter the list of the loop"),
];

/// Types that a param or output can have.
const TYPES: &[&str] = &["string", "int", "bool", "array", "object"];

struct Line {
    number: usize,
    /// Without comments; quoted text is empty.
    code: String,
    whole: String,
}

fn lines(source: &str) -> Vec<Line> {
    let quoted = Regex::new(r"'(?:\\.|[^'\\])*'").expect("a pattern");
    let mut in_text = false;
    let mut in_comment = false;
    let mut found = Vec::new();
    for (at, whole) in source.lines().enumerate() {
        // Quoted text first: an address has two slashes.
        let mut code = if whole.matches("'''").count() % 2 == 1 {
            in_text = !in_text;
            let (before, _) = whole.split_once("'''").unwrap_or_default();
            if in_text { format!("{before}''") } else { String::new() }
        } else if in_text {
            String::new()
        } else {
            quoted.replace_all(whole, "''").into_owned()
        };
        if in_comment {
            code = code.split_once("*/").map(|(_, after)| after.to_owned()).inspect(|_| in_comment = false).unwrap_or_default();
        }
        if let Some((before, after)) = code.clone().split_once("/*") {
            in_comment = !after.contains("*/");
            before.clone_into(&mut code);
        }
        let code = code.split("//").next().unwrap_or_default().trim_end().to_owned();
        found.push(Line { number: at + 1, code, whole: whole.trim().to_owned() });
    }
    found
}

/// Everything that is wrong in one source, each with its line.
fn faults(name: &str, source: &str, types: Option<&Types>) -> Vec<String> {
    let lines = lines(source);
    let rules: Vec<_> = NOT_1_0.iter().map(|(pattern, why)| (Regex::new(pattern).expect("a pattern"), why)).collect();
    let mut told = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut tell = |what: &str| told.push(format!("{name}:{}: {what}: {}", line.number, line.whole));
        let code = line.code.trim_start();
        for (_, why) in rules.iter().filter(|(rule, _)| rule.is_match(code)) {
            tell(why);
        }
        let mut words = code.split_whitespace();
        let kind = words.next().unwrap_or_default();
        match kind {
            "param" | "output" => {
                let declared = code.split('=').next().unwrap_or_default().trim_end();
                let written = declared.splitn(3, char::is_whitespace).nth(2).unwrap_or_default().trim();
                if !TYPES.contains(&written) {
                    tell(&format!("`{written}` gives languageVersion 2.0 or no type; write one of {}", TYPES.join(", ")));
                }
                let above = decorators(&lines, at);
                if !above.iter().any(|line| line.starts_with("@description(")) {
                    tell("needs @description above it");
                }
                if kind == "output" && above.iter().any(|line| line.starts_with("@secure")) {
                    tell("a secure output gives languageVersion 2.0; take it out");
                }
            }
            "resource" => {
                if let (Some(types), Some(of)) = (types, line.whole.split('\'').nth(1)) {
                    // A child inside of another leaves its parent's type and version out.
                    if let Some((kind, version)) = of.split_once('@') {
                        let pinned = types.pinned(kind);
                        if !Types::unchecked(of) && pinned != Some(version) {
                            tell(&pinned.map_or_else(
                                || "this type is not among the known ones".into(),
                                |pinned| format!("the pinned version is {pinned}"),
                            ));
                        }
                    } else if line.code.starts_with("resource") {
                        tell("needs a version");
                    }
                }
            }
            "module" => {
                let body: Vec<_> = lines[at + 1..]
                    .iter()
                    .map(|line| line.code.trim())
                    .take_while(|code| !code.starts_with("params:") && !code.starts_with("module "))
                    .collect();
                if !body.iter().any(|code| code.starts_with("name:")) {
                    tell("an unnamed module gives languageVersion 2.0; give it a name");
                }
            }
            _ => {}
        }
    }
    told
}

/// The decorators above a line, which may go over several lines.
fn decorators(lines: &[Line], at: usize) -> Vec<&str> {
    lines[..at]
        .iter()
        .rev()
        .map(|line| line.whole.as_str())
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with('@'))
        .collect()
}

fn bicep_files() -> Vec<(String, String)> {
    let mut names = vec!["main.bicep".to_owned()];
    names.extend(modules().into_iter().filter(|name| Path::new(name).extension().is_some_and(|of| of == "bicep")));
    names
        .into_iter()
        .map(|name| (name.clone(), fs::read_to_string(file(&name)).unwrap_or_else(|error| panic!("infra/{name}: {error}"))))
        .collect()
}

/// Every file of `infra/modules`, in order.
fn modules() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(file("modules"))
        .expect("infra/modules is there")
        .map(|entry| format!("modules/{}", entry.expect("readable").file_name().to_string_lossy()))
        .collect();
    names.sort();
    names
}

/// SHA-256 over each source's path, a zero byte and its bytes without carriage returns, by path: as `infra/build` writes it.
fn digest_of_sources() -> String {
    let mut names = vec!["bicepconfig.json".to_owned(), "main.bicep".to_owned()];
    names.extend(modules());
    names.sort();
    let mut digest = Context::new(&SHA256);
    for name in names {
        digest.update(name.as_bytes());
        digest.update(&[0]);
        let text = fs::read_to_string(file(&name)).unwrap_or_else(|error| panic!("infra/{name}: {error}"));
        digest.update(text.replace("\r\n", "\n").as_bytes());
    }
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn infra_the_sources_use_only_what_a_managed_application_takes_and_say_what_everything_is() {
    let types = schemas().map(|schemas| Types::read(&schemas).unwrap());
    let told: Vec<_> = bicep_files().iter().flat_map(|(name, source)| faults(name, source, types.as_ref())).collect();
    assert!(told.is_empty(), "{} faults in infra:\n{}", told.len(), told.join("\n"));
}

#[test]
fn infra_the_compiled_template_is_made_of_these_sources() {
    let committed = fs::read_to_string(file("marketplace/mainTemplate.sources.sha256")).unwrap();
    assert_eq!(committed.trim(), digest_of_sources(), "mainTemplate.json is of other sources: run infra/build, and commit what it writes");
}

#[test]
fn infra_every_file_that_bicep_loads_is_one_of_the_sources() {
    let loads = Regex::new(r"load(Text|Json|Yaml|FileAsBase64)Content?\('([^']+)'").unwrap();
    for (name, source) in bicep_files() {
        for found in loads.captures_iter(&source) {
            let path = Path::new(&name).parent().unwrap().join(&found[2]);
            assert!(
                modules().contains(&path.to_string_lossy().into_owned()),
                "infra/{name} loads {}, whose change nobody would see",
                &found[2]
            );
        }
    }
}

#[test]
fn infra_what_would_need_another_language_version_is_named_by_its_line() {
    let types = schemas().map(|schemas| Types::read(&schemas).unwrap());
    let described = "@description('x')\n";
    for (bad, told) in [
        ("@description('x')\nparam a string?\n", "`string?`"),
        ("@description('x')\nparam a string[] = []\n", "`string[]`"),
        ("@description('x')\nparam a 'b' | 'c'\n", "gives languageVersion 2.0"),
        ("@description('x')\nparam a { b: string }\n", "gives languageVersion 2.0"),
        ("@description('x')\noutput a string? = null\n", "`string?`"),
        ("@description('x')\n@secure()\noutput a string = b\n", "secure output"),
        ("param a string\n", "needs @description"),
        ("// a\n\nparam a string = 'https://x' // @description\n", "needs @description"),
        ("type a = string\n", "user-defined type"),
        ("func a() string => 'x'\n", "user-defined function"),
        ("import { a } from 'b.bicep'\n", "an import"),
        ("extension graphV1\n", "an extension"),
        ("var a string = 'b'\n", "typed var"),
        ("resource a 'Microsoft.Web/sites@2024-11-01' = if (b) {\n", "conditions stand on modules"),
        ("resource a 'Microsoft.Web/sites@2024-11-01' = [for b in c: if (d) {\n", "conditions stand on modules"),
        ("module a 'modules/a.bicep' = {\n  params: {\n    name: 'x'\n  }\n}\n", "unnamed module"),
        ("@retryOn(['x'], 3)\n", "@retryOn"),
    ] {
        let found = faults("bad.bicep", bad, types.as_ref());
        assert!(!found.is_empty() && found.iter().all(|fault| fault.contains(told)), "{bad}: {found:?}");
    }
    if types.is_some() {
        let old = faults("bad.bicep", "resource a 'Microsoft.Web/sites@2022-03-01' existing = {\n", types.as_ref());
        assert!(old.len() == 1 && old[0].contains("the pinned version is 2024-11-01"), "{old:?}");
        let other = faults("bad.bicep", "resource a 'Microsoft.Sql/servers@2022-03-01' = {\n", types.as_ref());
        assert!(other.len() == 1 && other[0].contains("not among the known"), "{other:?}");
    }
    let good = format!(
        "{described}@allowed([\n  'a'\n])\nparam a string = 'https://x' // type b\n/* type c\nimport d */\nvar e = '''\nfunc f\n'''\n\
         module g 'g.bicep' = if (e) {{\n  name: 'g'\n  params: {{}}\n}}\n"
    );
    assert_eq!(faults("good.bicep", &good, types.as_ref()), Vec::<String>::new());
}
