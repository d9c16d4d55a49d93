//! The functions of template expressions and of the portal's pages that say the same to everybody, for `evaluate`. Only
//! those that our files use, each as Azure's reference of template functions has it, and as the Bicep CLI evaluates it
//! (`bicep snapshot`). What is given something else than stands here is evaluated by nobody: an error, no guess.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::template::property;

/// `None`: there is no such function here, or not of these arguments.
pub(crate) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let value = match (name, args) {
        ("true", []) => json!(true),
        ("false", []) => json!(false),
        ("not", [Value::Bool(one)]) => json!(!one),
        // Both sides count, also where Azure need not look at the second.
        ("and", all) => json!(truths(all)?.iter().all(|one| *one)),
        ("or", all) => json!(truths(all)?.iter().any(|one| *one)),
        ("equals", [one, other]) => json!(one == other),
        ("less", [one, other]) => json!(one.as_i64()? < other.as_i64()?),
        ("greater", [one, other]) => json!(one.as_i64()? > other.as_i64()?),
        ("greaterorequals", [one, other]) => json!(one.as_i64()? >= other.as_i64()?),
        ("lessorequals", [one, other]) => json!(one.as_i64()? <= other.as_i64()?),
        ("min", [one, other]) => json!(one.as_i64()?.min(other.as_i64()?)),
        ("max", [one, other]) => json!(one.as_i64()?.max(other.as_i64()?)),
        ("mod", [one, other]) => json!(one.as_i64()?.checked_rem(other.as_i64()?)?),
        ("int", [Value::Number(number)]) => json!(number),
        ("int", [Value::String(digits)]) => {
            return Some(digits.parse::<i64>().map(Value::from).map_err(|_| format!("no number: {digits}")));
        }
        ("string", [one]) => json!(written(one)),
        ("coalesce", all) => all.iter().find(|one| !one.is_null()).cloned().unwrap_or_default(),
        ("tryget", [of, Value::String(name)]) => property(of, name).cloned().unwrap_or_default(),
        ("fail", [Value::String(why)]) => return Some(Err(why.clone())),
        ("parsecidr", [Value::String(range)]) => return Some(cidr(range).ok_or_else(|| format!("no range: {range}"))),
        ("createobject", pairs) if pairs.len() % 2 == 0 => {
            let pairs = pairs.chunks(2).map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].clone())));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        ("items", [Value::Object(all)]) => all.iter().map(|(key, value)| json!({"key": key, "value": value})).collect(),
        // Of two of a name the later one counts.
        ("union", all) => {
            let all: Vec<_> = all.iter().map(Value::as_object).collect::<Option<_>>()?;
            all.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
        }
        _ => return of_texts(name, args).or_else(|| of_lists(name, args)).map(Ok),
    };
    Some(Ok(value))
}

fn of_texts(name: &str, args: &[Value]) -> Option<Value> {
    let texts: Vec<&str> = args.iter().map_while(Value::as_str).collect();
    Some(match (name, texts.as_slice(), &args[texts.len()..]) {
        ("tolower", [text], []) => json!(text.to_lowercase()),
        // Their case counts here, and not at the two below.
        ("contains", [whole, part], []) => json!(whole.contains(part)),
        ("startswith", [whole, part], []) => json!(whole.to_lowercase().starts_with(&part.to_lowercase())),
        ("endswith", [whole, part], []) => json!(whole.to_lowercase().ends_with(&part.to_lowercase())),
        ("empty", [text], []) => json!(text.is_empty()),
        ("length", [text], []) => json!(text.encode_utf16().count()),
        ("first", [text], []) => json!(text.chars().take(1).collect::<String>()),
        ("last", [text], []) => json!(text.chars().next_back().map(String::from).unwrap_or_default()),
        ("concat", all, []) if !all.is_empty() => json!(all.concat()),
        ("replace", [text, from, to], []) if !from.is_empty() => json!(text.replace(from, to)),
        ("split", [text, at], []) if !at.is_empty() => text.split(at).map(Value::from).collect(),
        ("parse", [text], []) => serde_json::from_str(text).ok()?,
        // By the units in which length counts.
        ("substring", [text], [start, length]) => {
            let units: Vec<u16> = text.encode_utf16().collect();
            let start = usize::try_from(start.as_u64()?).ok()?;
            let end = start.checked_add(usize::try_from(length.as_u64()?).ok()?)?;
            json!(String::from_utf16(units.get(start..end)?).ok()?)
        }
        ("format", [form, ..], _) => {
            let mut text = (*form).to_owned();
            for (at, arg) in args[1..].iter().enumerate() {
                let place = format!("{{{at}}}");
                // What was put in is not looked through again.
                if arg.as_str().is_some_and(|arg| arg.contains('{')) || !text.contains(&place) {
                    return None;
                }
                text = text.replace(&place, &written(arg));
            }
            if text.contains('{') {
                return None;
            }
            json!(text)
        }
        _ => return None,
    })
}

fn of_lists(name: &str, args: &[Value]) -> Option<Value> {
    let count = |number: &Value| usize::try_from(number.as_u64()?).ok();
    Some(match (name, args) {
        ("createarray", all) => json!(all),
        ("range", [start, length]) => (start.as_i64()?..start.as_i64()?.checked_add(length.as_i64()?)?).map(Value::from).collect(),
        ("contains", [Value::Array(all), one]) => json!(all.contains(one)),
        ("empty", [Value::Array(all)]) => json!(all.is_empty()),
        ("length", [Value::Array(all)]) => json!(all.len()),
        ("first", [Value::Array(all)]) => all.first().cloned().unwrap_or_default(),
        ("last", [Value::Array(all)]) => all.last().cloned().unwrap_or_default(),
        ("take", [Value::Array(all), number]) => all.iter().take(count(number)?).cloned().collect(),
        ("skip", [Value::Array(all), number]) => all.iter().skip(count(number)?).cloned().collect(),
        ("concat", all) => {
            Value::Array(all.iter().map(Value::as_array).collect::<Option<Vec<_>>>()?.into_iter().flatten().cloned().collect())
        }
        ("join", [Value::Array(all), Value::String(between)]) => json!(all.iter().map(written).collect::<Vec<_>>().join(between)),
        _ => return None,
    })
}

fn truths(all: &[Value]) -> Option<Vec<bool>> {
    all.iter().map(Value::as_bool).collect()
}

/// As .NET writes it: its truth has a capital.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    }
}

fn cidr(range: &str) -> Option<Value> {
    let (address, bits) = range.split_once('/')?;
    let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 32)?);
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(json!({"network": Ipv4Addr::from(u32::from(address) & mask).to_string(), "cidr": bits}))
}
