//! Mails by a mail server of one's own, over a real connection to one on this machine.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use assay::{
    gate::{
        self,
        delivery::{self, Channel, DeliverV1, Outcome, Posting, health},
    },
    platform::ports::PortErrorKind,
    tenancy::{ClientPlace, DeploymentScope, ProposalId},
    triggers::health::doctor,
};
use time::Duration;

use super::{House, draft};
use crate::support::{
    TestApp,
    faults::Fault,
    flow::{link_in, pointed_to},
    smtp_server::{Behaviour, SmtpServer, Taken, certificate},
};

const FROM: &str = "assay@mail.northgate.example";
const LOGIN: (&str, &str) = ("assay", "a password of the mail server");

/// A house whose mails go to the server; `more` changes its settings.
async fn house(server: &SmtpServer, more: &[(&str, &str)]) -> House {
    let port = server.port.to_string();
    let base = [
        ("ASSAY_MAIL", "smtp"),
        ("ASSAY_SMTP_HOST", "localhost"),
        ("ASSAY_SMTP_PORT", port.as_str()),
        ("ASSAY_SMTP_TLS", "none"),
        ("ASSAY_MAIL_FROM", FROM),
    ];
    let house = House::on(TestApp::with(&[base.as_slice(), more].concat())).await;
    let secrets = house.test.folder().join("vault/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("smtp"), format!("{}\n", LOGIN.1)).unwrap();
    house
}

async fn asked(house: &House) -> ProposalId {
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    id
}

/// Every message about a mail once, in the order in which they were sent.
async fn deliver(house: &House) {
    for message in house.messages("notify").await {
        if message.body::<DeliverV1>().is_ok() {
            delivery::deliver(house.test.app(), &message).await.unwrap();
        }
    }
}

async fn waiting(house: &House) -> Vec<Posting> {
    let held = house.store().await.all::<Posting>(ClientPlace::Assessment, "").await.unwrap();
    held.into_iter().map(|held| held.value).collect()
}

async fn why_refused(house: &House) -> Option<String> {
    let store = DeploymentScope::of_function("test", "c").store(house.test.app()).await.unwrap();
    let mail = health::all(&store).await.unwrap().into_iter().find(|health| health.channel == Channel::Mail);
    mail.filter(health::ChannelHealth::is_failing).map(|mail| mail.why)
}

fn text(taken: &Taken) -> String {
    String::from_utf8(taken.bytes.clone()).unwrap()
}

fn message_id(taken: &Taken) -> String {
    text(taken).split("\r\n <").find_map(|part| part.split_once('>').filter(|(id, _)| id.contains(".asked."))).unwrap().0.to_owned()
}

/// What the doctor found of the mail server: its kind and what it advises.
async fn found(house: &House) -> Option<(PortErrorKind, &'static str)> {
    let findings = doctor::glance(house.test.app()).await;
    let finding = findings.into_iter().find(|finding| finding.what == "the mail server").expect("it is looked at");
    assert!(finding.setting.unwrap().contains("ASSAY_SMTP_HOST"));
    finding.outcome.err().map(|error| (error.kind, error.advice()))
}

#[tokio::test]
async fn each_approver_is_mailed_once_from_the_address_that_the_settings_name() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let house = house(&server, &[]).await;
    let id = asked(&house).await;
    assert!(server.taken().is_empty(), "nothing is sent before what is due is written down");
    for _ in 0..3 {
        deliver(&house).await;
    }
    let taken = server.taken();
    let to: Vec<&str> = taken.iter().flat_map(|mail| &mail.to).map(String::as_str).collect();
    assert!(taken.len() == 2 && to.contains(&"priya@northgate.example") && to.contains(&"zoe@harbor.example"), "{to:?}");
    for mail in &taken {
        assert_eq!(mail.from, FROM);
        let text = text(mail);
        assert!(text.starts_with(&format!("From: \"Assay\"\r\n <{FROM}>\r\n")), "{text}");
        assert_eq!(pointed_to(&link_in(&text)), (house.tenant, id));
        assert_eq!(text.matches("<html").count(), 1);
    }
    assert!(waiting(&house).await.is_empty() && house.mails().await.is_empty(), "and none lies in the mailbox");
    let outcomes: Vec<Outcome> = house.notified(id).await[0].posted.iter().map(|posted| posted.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(found(&house).await, None);
    assert_eq!(server.taken().len(), 2, "the doctor sends nothing");
}

#[tokio::test]
async fn what_the_server_says_makes_a_mail_wait_or_ends_it_and_the_page_says_why() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let house = house(&server, &[]).await;
    for busy in ["421 4.3.2 shutting down", "451 4.7.1 greylisted"] {
        server.answers_instead("RCPT", busy);
    }
    asked(&house).await;
    deliver(&house).await;
    let late = waiting(&house).await;
    assert!(late.len() == 2 && late.iter().all(|posting| posting.tries == 1 && posting.due_at > house.test.app().now()), "{late:?}");
    assert_eq!(why_refused(&house).await, None, "it is no refusal yet");
    house.test.clock.advance(Duration::minutes(2));
    deliver(&house).await;
    assert_eq!((server.taken().len(), waiting(&house).await.len()), (2, 0));

    for (command, answer, why) in [
        ("RCPT", "550 5.1.1 no such user: SECRET", "The mail server refused the mail"),
        ("MAIL", "530 5.7.0 sign in first", "does not take the name or the password"),
    ] {
        server.answers_instead(command, answer);
        server.answers_instead(command, answer);
        asked(&house).await;
        deliver(&house).await;
        assert!(waiting(&house).await.is_empty(), "{answer}");
        let said = why_refused(&house).await.unwrap();
        assert!(said.contains(why) && !said.contains("SECRET"), "{said}");
    }
    assert_eq!(server.taken().len(), 2);
}

#[tokio::test]
async fn a_mail_whose_last_answer_is_lost_comes_again_under_the_same_message_id() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let house = house(&server, &[]).await;
    asked(&house).await;
    server.loses_its_answer();
    deliver(&house).await;
    house.test.clock.advance(Duration::minutes(2));
    deliver(&house).await;
    let taken = server.taken();
    assert_eq!((taken.len(), waiting(&house).await.len()), (3, 0), "two people, one of them twice");
    let mut ids: Vec<String> = taken.iter().map(message_id).collect();
    assert_eq!(ids[0], message_id(taken.iter().rev().find(|mail| mail.to == taken[0].to).unwrap()), "by which a receiver can tell");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn whoever_dies_between_a_mail_and_its_record_sends_the_same_mail_once_more_and_no_other() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let (mut at, mut twice) = (0, 0);
        loop {
            let server = SmtpServer::start(Behaviour::default()).await;
            let mut house = house(&server, &[]).await;
            let id = asked(&house).await;
            let mut messages = house.messages("notify").await;
            messages.retain(|message| message.body::<DeliverV1>().is_ok());
            house.test.restart();
            house.test.faults.stop_at(at, fault);
            for message in &messages {
                let _ = delivery::deliver(house.test.app(), message).await;
            }
            let struck = house.test.faults.struck();
            house.test.faults.mend();
            house.test.restart();
            // The claim of the dead process has ended, and the receiver still knows what it got.
            house.test.clock.advance(Duration::minutes(3));
            for message in &messages {
                delivery::deliver(house.test.app(), message).await.unwrap();
            }
            let case = format!("stopped at call {at}, {fault:?}");
            let mut copies: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
            for mail in server.taken() {
                copies.entry(message_id(&mail)).or_default().push(mail.bytes);
            }
            let sent: usize = copies.values().map(Vec::len).sum();
            assert!(copies.len() == 2 && sent <= 3, "{case}: {sent} mails under {} names", copies.len());
            assert!(copies.values().all(|same| same.iter().all(|one| *one == same[0])), "{case}: the same to the byte");
            assert!(waiting(&house).await.is_empty(), "{case}");
            let posted = &house.notified(id).await[0].posted;
            assert!(posted.len() == 2 && posted.iter().all(|one| one.outcome == Outcome::Accepted), "{case}: {posted:?}");
            twice += usize::from(sent == 3);
            if !struck {
                assert_eq!(sent, 2, "{case}");
                break;
            }
            at += 1;
        }
        // A stop after the effect of a call lies before the mail or after its record.
        assert!(
            at > 5 && (twice > 0 || matches!(fault, Fault::AnswerLost)),
            "{fault:?}: of {at} stops {twice} lay between a mail and its record"
        );
    }
}

#[tokio::test]
async fn without_tls_that_can_be_trusted_nothing_is_said_and_the_mail_waits() {
    // A server that offers no STARTTLS, one whose certificate nobody vouches for, and one that speaks first in the clear.
    let plain = Behaviour { login: Some(LOGIN), ..Behaviour::default() };
    let untrusted = Behaviour { tls: Some(certificate()), ..plain.clone() };
    let cases = [
        (plain.clone(), "starttls", &["EHLO"][..]),
        (untrusted.clone(), "starttls", &["EHLO", "STARTTLS"]),
        (Behaviour { implicit: true, ..untrusted }, "implicit", &[]),
        (plain, "implicit", &[]),
    ];
    for (behaviour, tls, heard) in cases {
        let server = SmtpServer::start(behaviour).await;
        let login = [("ASSAY_SMTP_TLS", tls), ("ASSAY_SMTP_USER", LOGIN.0), ("ASSAY_SMTP_PASSWORD", "secret:smtp")];
        let house = house(&server, &login).await;
        asked(&house).await;
        deliver(&house).await;
        let said: Vec<String> = server.commands().into_iter().filter(|name| name != "QUIT").collect();
        assert!(!said.iter().any(|name| name.contains("AUTH") || name.contains("MAIL")), "{tls}: {said:?}");
        assert!(said.chunks(heard.len().max(1)).all(|once| once == heard) || tls == "implicit", "{tls}: {said:?}");
        assert!(server.taken().is_empty());
        let waiting = waiting(&house).await;
        assert!(waiting.len() == 2 && waiting.iter().all(|posting| posting.tries == 1), "{tls}: {waiting:?}");
        let (kind, advice) = found(&house).await.expect("the doctor says so");
        assert!(matches!(kind, PortErrorKind::Invalid | PortErrorKind::Unavailable) && !advice.is_empty(), "{tls}: {kind:?} {advice}");
    }
}

#[tokio::test]
async fn a_password_that_is_not_there_or_not_taken_ends_the_mail_and_the_doctor_says_which() {
    let wrong = Behaviour { login: Some(("assay", "another")), ..Behaviour::default() };
    let server = SmtpServer::start(wrong).await;
    for (secret, why, kind) in [
        ("secret:smtp", "does not take the name or the password", PortErrorKind::Denied),
        ("secret:nowhere", "is not in the vault", PortErrorKind::Missing),
    ] {
        let house = house(&server, &[("ASSAY_SMTP_USER", "assay"), ("ASSAY_SMTP_PASSWORD", secret)]).await;
        asked(&house).await;
        deliver(&house).await;
        assert!(why_refused(&house).await.unwrap().contains(why), "{secret}");
        assert_eq!(found(&house).await.unwrap().0, kind);
    }
    assert!(server.taken().is_empty());
}

/// Where the test that runs this one again, as a process that trusts the certificate, put it.
const TRUSTED: &str = "ASSAY_TEST_SMTP_CERTIFICATE";

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what a process trusts is in its environment")]
async fn by_tls_of_either_kind_the_mail_goes_out_and_the_password_only_under_it() {
    let Ok(folder) = std::env::var(TRUSTED).map(PathBuf::from) else {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate();
        std::fs::write(folder.path().join("certificate.pem"), certificate).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        let this = "stories::gate::smtp::by_tls_of_either_kind_the_mail_goes_out_and_the_password_only_under_it";
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(TRUSTED, folder.path())
            .env("SSL_CERT_FILE", folder.path().join("certificate.pem"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && said.contains("1 passed"), "{said}");
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for implicit in [false, true] {
        let tls = Some((read("certificate.pem"), read("key.pem")));
        let server = SmtpServer::start(Behaviour { tls, implicit, login: Some(LOGIN), ..Behaviour::default() }).await;
        let way = if implicit { "implicit" } else { "starttls" };
        let settings = [("ASSAY_SMTP_TLS", way), ("ASSAY_SMTP_USER", LOGIN.0), ("ASSAY_SMTP_PASSWORD", "secret:smtp")];
        let house = house(&server, &settings).await;
        asked(&house).await;
        deliver(&house).await;
        let taken = server.taken();
        assert!(taken.len() == 2 && taken.iter().all(|mail| mail.encrypted), "{way}: {:?}", server.commands());
        let clear: Vec<String> = server.commands().into_iter().filter(|name| !name.starts_with("tls ")).collect();
        assert!(clear.iter().all(|name| name == "EHLO" || name == "STARTTLS"), "{way}: {clear:?}");
        assert!(server.commands().contains(&"tls AUTH".to_owned()), "{way}");
        assert_eq!(found(&house).await, None, "{way}");
    }
}
