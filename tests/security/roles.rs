//! Who is let through where: every address of the portal asked as each role, held against a table that a person reads.
//!
//! The addresses are read from the router's own source, so one that is added without a row here fails. A page counts as
//! refused when it is answered 403 or 404. A form is sent without its token: whoever may send it is told that it did not
//! come from our page, and everybody else is refused before that; so the table also says that roles are looked at first.

use assay::{
    connectors::demo::{self, What},
    tenancy::{
        DeploymentPlace, PersonId,
        directory::{Grant, Person, Role},
    },
    web::Method,
};
use time::Duration;
use uuid::Uuid;

use super::tenancy::{Ids, routes};
use crate::support::{
    browser::{Browser, text},
    flow::{Extent, Flow, HARBOR, person, somebody},
};

/// `METHOD address: who`, a line each; who is not named is refused.
const TABLE: &str = include_str!("roles.txt");

/// The owner has no role for the client; everybody else has one, and is nothing in the installation.
const ROLES: [(&str, Role); 6] = [
    ("engineer", Role::Engineer),
    ("approver", Role::Approver),
    ("auditor", Role::Auditor),
    ("assessor", Role::Assessor),
    ("training-manager", Role::TrainingManager),
    ("learner", Role::Learner),
];

async fn add(flow: &Flow) -> Vec<(&'static str, PersonId)> {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    let mut all = vec![("owner", person(What::Owner).id), ("tools", PersonId(Uuid::from_u128(0x700)))];
    for (n, (name, role)) in (0x701..).zip(ROLES) {
        let id = PersonId(Uuid::from_u128(n));
        let until = Some(flow.app().now() + Duration::days(30));
        let mut grant = Grant::of(HARBOR, id, vec![role]);
        grant.until = until;
        batch.create(&grant);
        all.push((name, id));
    }
    for (name, id) in &all[1..] {
        batch.create(&Person { operates: *name == "tools", ..somebody(*id, &format!("A {name}")) });
    }
    batch.commit().await.unwrap();
    all
}

#[tokio::test]
async fn at_every_address_each_role_gets_what_the_table_says_and_no_address_is_without_a_row() {
    let mut flow = Flow::new(Extent::Small).await;
    let people = add(&flow).await;
    let proposal = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    // Entries have proofs once they are published.
    flow.settle().await;
    let ids = Ids { tenant: HARBOR, proposal, person: people[1].1.0, connection: demo::CONNECTWISE.0, other: Uuid::from_u128(9) };
    let mut found = String::new();
    for (method, function) in [(Method::Get, "show"), (Method::Post, "act")] {
        for route in routes(function) {
            let address = ids.address(&route);
            let mut who = Vec::new();
            for (name, id) in &people {
                let browser = Browser::of_person(&flow, *id).await;
                let body = if method == Method::Post { "token=none" } else { "" };
                let reply = assay::triggers::portal::run(browser.request(method, &address, body), flow.app()).await;
                let form_of_nowhere = text(&reply).contains("did not come from a page that you opened here");
                let through = if method == Method::Post { form_of_nowhere } else { !matches!(reply.status, 403 | 404) };
                assert!(reply.status < 500, "{address} as {name}: {}", reply.status);
                if through {
                    who.push(*name);
                }
            }
            let segments: Vec<&str> = route.iter().map(|segment| segment.trim_matches('"')).collect();
            let word = if method == Method::Post { "POST" } else { "GET" };
            found.extend([word, " ", &segments.join("/"), ": ", &who.join(" "), "\n"]);
        }
    }
    assert_eq!(found, TABLE, "the table of roles is another; what is found:\n{found}");
}
