//! The deployment's template, checked without Azure and without the Bicep CLI: what is committed in `infra/` against
//! resource types, Azure's own policies, the rules of Marketplace, and what the code asks for.
//!
//! Read: `marketplace/mainTemplate.json` (compiled), `params/*.snapshot.json` (laid out for each cloud), the two
//! definitions of pages, and the `.bicep` sources. Whether these are what the sources make, `.ci/run` asks the CLI.
//! Each rule also has a test of its own in which something bad fails.

mod answers;
mod budget;
mod cost;
mod cross;
mod evaluate;
mod expression;
mod functions;
mod guide;
mod made;
mod metered;
mod offer;
mod policy;
mod sign_in;
mod sources;
mod template;
mod ttk;
mod typed;
mod types;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::shared;

const COMPILED: &str = "marketplace/mainTemplate.json";
const SNAPSHOTS: [&str; 3] = ["params/public.snapshot.json", "params/usgov.snapshot.json", "params/options.snapshot.json"];

/// A file of `infra/`.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra").join(path)
}

/// The schemas and rules that lie beside the repository.
fn schemas() -> Option<PathBuf> {
    shared::dir("ASSAY_SCHEMAS", "schemas")
}

/// Any JSON, with words that templates, types and policies give a meaning.
fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "allOf",
        "anyOf",
        "not",
        "field",
        "value",
        "count",
        "where",
        "equals",
        "in",
        "exists",
        "like",
        "less",
        "name",
        "type",
        "a",
        "a[*]",
        "copy",
        "input",
        "req",
        "obj",
        "more",
        "arr",
        "enum",
        "str",
        "int",
        "disc",
        "base",
        "of",
        "properties",
        "resources",
        "template",
        "pattern",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(WORDS).prop_map(Value::from),
        "\\[?[a-z.()'*]{0,12}\\]?".prop_map(Value::from),
        Just(json!("[parameters('a')]")),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(WORDS), inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}
