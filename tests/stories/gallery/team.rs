//! Sign-in with an organization's account, and who can sign in.

use assay::web::pages::{AskingView, FieldError, IdentityView, MemberView, PostForm, Section, SignInPage, Tag, TeamPage, Tone, paths};
use time::Duration;

use super::{NOW, TOKEN, frame, sign_in};

pub(super) fn sign_in_with_entra() -> SignInPage {
    SignInPage { organization: Some("#".into()), ..sign_in(false) }
}

fn who(own_directory: bool, name: &str) -> IdentityView {
    IdentityView {
        own_directory,
        sign_in_name: Some(format!("{}@northgate.example", name.to_lowercase().replace(' ', "."))),
        directory: "11111111-2222-4333-8444-555555555555".into(),
        object: "0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e".into(),
    }
}

pub(super) fn team(nobody_asks: bool, wrong: bool) -> TeamPage {
    let form = |label: &str| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: label.into() };
    let asking = |id: &str, name: &str, email: &str, errors| AskingView {
        id: id.into(),
        name: name.into(),
        email: email.into(),
        operates: false,
        who: who(id == "0192f4", name),
        asked_at: NOW - Duration::hours(2),
        action: "#".into(),
        token: TOKEN.into(),
        turn_away: (id != "0192f5").then(|| form("Turn away")),
        errors,
    };
    let errors = vec![FieldError { field: "email", message: "Give an e-mail address, such as priya@example.net.".into() }];
    let member = |name: &str, email: &str, tag: Option<Tag>, clients: &str, end: bool| MemberView {
        name: name.into(),
        email: email.into(),
        who: Some(who(true, name)),
        tag,
        clients: clients.into(),
        end_access: end.then(|| form("Take access away")),
    };
    TeamPage {
        frame: frame(Section::Clients),
        clients_href: paths::clients(),
        asking: if nobody_asks {
            vec![]
        } else {
            vec![
                asking("0192f3", "Dana Whitfield-Okonkwo", "", if wrong { errors } else { vec![] }),
                asking("0192f4", "Marco Reyes", "marco@northgate.example", vec![]),
            ]
        },
        turned_away: if nobody_asks { vec![] } else { vec![asking("0192f5", "Lee Park", "lee@elsewhere.example", vec![])] },
        members: vec![
            member(
                "Olivia Hart",
                "olivia@northgate.example",
                Some(Tag::new(Tone::Met, "Owner")),
                "engineer or approver for 2 clients",
                false,
            ),
            member(
                "Sam Okafor",
                "sam.okafor.of.the.night.shift@operations.northgate.example",
                Some(Tag::new(Tone::Met, "Runs the MSP's tools")),
                "no client's engineer or approver yet",
                true,
            ),
        ],
        former: if nobody_asks { vec![] } else { vec![("Priya Nair".into(), NOW - Duration::days(3))] },
        notice: (!wrong).then(|| "Turned away. They are not let in; for a week you can still change that below.".into()),
    }
}
