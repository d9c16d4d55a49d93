//! What filters of mail do with a link: they open it, follow whatever leads on, and send every form they find.

use std::collections::BTreeSet;

use assay::web::Method;

use super::{browser::text, visitor::Visitor};

/// Opens the address twice, follows whatever leads on, and sends every form by every button. What it saw.
pub async fn scan(scanner: &Visitor<'_>, start: &str) -> BTreeSet<String> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![start.to_owned()]);
    while let Some(address) = waiting.pop() {
        if !seen.insert(address.clone()) {
            continue;
        }
        scanner.ask(Method::Head, &address, "").await;
        let reply = scanner.get(&address).await;
        let html = text(&reply);
        let ours = |to: &&str| to.starts_with("/api/portal/");
        let leads: Vec<&str> = all(&html, "href=\"").into_iter().chain(reply.header("location")).filter(ours).collect();
        waiting.extend(leads.iter().map(|to| to.replace("&#38;", "&").trim_start_matches("/api/").to_owned()));
        for form in html.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap()) {
            let action = all(form, "action=\"")[0].trim_start_matches("/api/").to_owned();
            let hidden = all(form, "type=\"hidden\" name=\"").into_iter().zip(all(form, "\" value=\"")).collect::<Vec<_>>();
            for (name, value) in [("account", "other"), ("decision", "approve"), ("decision", "reject")] {
                let fields: Vec<(&str, &str)> = hidden.iter().copied().chain([(name, value), ("comment", "x")]).collect();
                scanner.post(&action, &fields).await;
            }
        }
    }
    seen
}

/// What lies between `start` and a quote, wherever it stands.
pub fn all<'h>(html: &'h str, start: &str) -> Vec<&'h str> {
    html.split(start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}
