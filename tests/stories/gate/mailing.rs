//! Those who may decide hear of it once.

use assay::{
    gate::{self, Verdict},
    tenancy::PersonId,
};
use time::Duration;
use uuid::Uuid;

use super::{House, draft, flush};
use crate::support::{
    TestApp, authority,
    faults::Fault,
    flow::{link_in, pointed_to},
};

#[tokio::test]
async fn every_approver_but_the_one_who_asks_gets_one_mail_however_often_the_message_comes() {
    let house = House::new().await;
    let id = house.asked_by(&house.priya, draft()).await;
    let message = house.messages("notify").await.pop().unwrap();
    for _ in 0..5 {
        gate::notify(house.test.app(), &message).await.unwrap();
        house.test.clock.advance(Duration::hours(1));
    }
    let mails = house.mails().await;
    assert_eq!(mails.len(), 1, "only Zoë decides what Priya asks");
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.notified"]);
    let (name, mail) = &mails[0];
    assert!(name.starts_with(&house.tenant.to_string()) && name.contains(&id.to_string()), "{name}");
    assert!(mail.contains("To: =?UTF-8?B?Wm/DqyBPa2Fmb3I=?="), "{mail}");
}

#[tokio::test]
async fn the_mail_says_what_who_why_and_until_when_and_its_link_is_from_configuration() {
    let house = House::on(TestApp::with(authority::SETTINGS)).await;
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    let mails = house.mails().await;
    assert_eq!(mails.len(), 2);
    let mail = &mails[0].1;
    assert!(mail.contains("\r\nSubject: Harbor Precision: approve AC.L2-3.1.1[a] by Mon 9 Mar\r\n"), "{mail}");
    let [_, text, html, _] = mail.split("\r\n--").collect::<Vec<_>>()[..] else { panic!("{mail}") };
    let body = |part: &str| part.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(body(text).starts_with("Mark AC.L2-3.1.1[a] as MET for Harbor Precision?\r\n"), "{text}");
    let link = format!("https://assay.example.net/api/{}", link_in(mail));
    assert_eq!(pointed_to(&link), (house.tenant, id));
    for part in [text, html] {
        for said in ["Marco Reyes", "All 43 enabled accounts match a person.", "Mon 9 Mar 2026, 09:00 UTC", &link] {
            assert!(part.contains(said), "{said} is not in {part}");
        }
        assert!(!part.contains("DEMO"));
    }
    assert_eq!(mail.matches("https://").count(), 3, "the same link, once as text and once with its address");
}

#[tokio::test]
async fn who_cannot_sign_in_is_mailed_nothing_although_a_grant_of_theirs_is_left() {
    let house = House::on(TestApp::with(authority::SETTINGS)).await;
    let message = |mails: &[(String, String)]| mails.iter().map(|(_, mail)| mail.clone()).collect::<String>();
    // The settings name her directory no more.
    house.change(&house.priya, |priya| priya.identity.as_mut().unwrap().tid = authority::PARTNER.parse().unwrap()).await;
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    let mails = house.mails().await;
    assert!(mails.len() == 1 && !message(&mails).contains("priya@"), "{mails:?}");
    // Nobody told the other one before access was taken away.
    house.change(&house.sam, |sam| sam.access_ended_at = Some(house.test.app().now())).await;
    let late = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await.pop().unwrap()).await.unwrap();
    assert_eq!(house.mails().await.len(), 1);
    assert_eq!((house.notified(id).await[0].mailed.len(), house.notified(late).await[0].mailed.len()), (1, 0));
}

#[tokio::test]
async fn one_reminder_goes_out_a_day_before_the_deadline_and_none_for_what_is_settled() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let settled = house.asked(draft()).await;
    let no = house.answer(settled, Verdict::Reject).await;
    house.decide(&house.sam, settled, &no).await.unwrap();
    let scope = house.scope(&house.marco);
    assert_eq!(gate::remind(house.test.app(), &scope).await.unwrap().told, 0);
    house.test.clock.advance(Duration::days(6));
    assert_eq!(gate::remind(house.test.app(), &scope).await.unwrap().told, 1);
    assert_eq!(gate::remind(house.test.app(), &scope).await.unwrap().told, 0);
    let mails = house.mails().await;
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|(_, mail)| mail.contains("Subject: Reminder: Harbor Precision: approve")));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.reminded"]);
}

#[tokio::test]
async fn what_is_settled_before_the_mail_goes_out_mails_nobody() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    assert!(house.mails().await.is_empty());
}

#[tokio::test]
async fn a_mail_whose_batch_was_lost_is_written_down_on_redelivery_although_somebody_decided_meanwhile() {
    let mut house = House::new().await;
    let id = house.asked(draft()).await;
    let message = house.messages("notify").await.pop().unwrap();
    // Stopped at each call in turn, until one run leaves mails and no batch.
    let mut at = 0;
    while house.mails().await.len() < 2 {
        house.test.faults.stop_at(at, Fault::BeforeEffect);
        let _ = gate::notify(house.test.app(), &message).await;
        house.test.faults.mend();
        house.test.restart();
        at += 1;
    }
    assert_eq!(house.audited(id).await, ["proposal.staged"], "the batch is lost");
    let mailed_at = house.test.app().now();
    house.test.clock.advance(Duration::seconds(20));
    house.approve(&house.priya, id).await.unwrap();
    house.test.clock.advance(Duration::seconds(20));
    for _ in 0..2 {
        gate::notify(house.test.app(), &message).await.unwrap();
    }
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved", "proposal.notified"]);
    assert_eq!(house.mails().await.len(), 2, "nobody is mailed about what is decided");
    let notified = house.notified(id).await.remove(0);
    let mut names: Vec<&str> = notified.mailed.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!((notified.at, names), (mailed_at, vec!["Priya Nair", "Zoë Okafor"]));
}

#[tokio::test]
async fn an_address_that_is_none_is_said_and_harms_nobody_else() {
    let mut house = House::new().await;
    let store = assay::tenancy::DeploymentScope::of_function("test", "c").store(house.test.app()).await.unwrap();
    let place = assay::tenancy::DeploymentPlace::Directory;
    let mut held = store.read::<assay::tenancy::directory::Person>(place, &house.priya.id.to_string()).await.unwrap().unwrap();
    held.value.email = "priya@northgate.example\r\nBcc: eve@northgate.example".into();
    let mut batch = store.batch(place);
    batch.replace(&held);
    batch.commit().await.unwrap();
    drop(store);
    house.test.restart();
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    assert_eq!(house.mails().await.len(), 1);
    let notified = house.notified(id).await;
    let ids = |list: &[gate::notify::Mailed]| list.iter().map(|one| one.person).collect::<Vec<PersonId>>();
    assert_eq!(ids(&notified[0].unreachable), [PersonId(Uuid::from_u128(2))]);
    assert_eq!(ids(&notified[0].mailed), [house.sam.id]);
}

#[tokio::test]
async fn wherever_notify_stops_redelivery_ends_in_one_mail_each_and_one_audit_item() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut at = 0;
        loop {
            let mut house = House::new().await;
            let id = house.asked(draft()).await;
            let message = house.messages("notify").await.pop().unwrap();
            house.test.restart();
            house.test.faults.stop_at(at, fault);
            let _ = gate::notify(house.test.app(), &message).await;
            let struck = house.test.faults.struck();
            house.test.faults.mend();
            house.test.restart();
            gate::notify(house.test.app(), &message).await.unwrap();
            flush(&house).await.unwrap();
            assert_eq!(house.mails().await.len(), 2, "stopped at call {at}, {fault:?}");
            assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.notified"]);
            if !struck {
                break;
            }
            at += 1;
        }
        assert!(at > 5, "only {at} calls were tried");
    }
}

#[tokio::test]
async fn whose_evidence_it_rests_on_is_not_asked_to_approve_it() {
    let house = House::new().await;
    let mut draft = super::resting_on_a_reading(&house).await;
    draft.evidence[0].filed_by = Some(house.sam.id);
    house.asked(draft).await;
    gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    let mails = house.mails().await;
    assert!(mails.len() == 1 && mails[0].0.ends_with(&format!("{}.eml", house.priya.id)), "{mails:?}");
}
