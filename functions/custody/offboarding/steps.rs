//! What each step of an offboarding needs, and from when on. Pure: the records and the time in, a yes or a sentence out.

use time::{Duration, OffsetDateTime};

use super::{Export, Offboarding, certificate::Certificate, destroy::Destroyed};
use crate::config::OffboardingDays;

/// The steps as people see them, in their order.
pub const STEPS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    Done(OffsetDateTime),
    /// It can be taken now.
    Now,
    /// It comes next, and not before then.
    Waits(OffsetDateTime),
    Later,
}

/// Begun, exported and kept, switched off, destroyed, vault key deleted, certified.
pub fn stands(
    offboarding: Option<&Offboarding>,
    destroyed: Option<&Destroyed>,
    certificate: Option<&Certificate>,
    days: OffboardingDays,
    now: OffsetDateTime,
) -> [Stand; STEPS] {
    let kept = |one: &Offboarding| one.export.as_ref().filter(|export| export.kept_at.is_some()).map(|export| export.at);
    let done = [
        offboarding.map(|one| one.begun_at),
        offboarding.and_then(kept),
        offboarding.and_then(|one| one.off_at),
        destroyed.map(|one| one.at),
        offboarding.and_then(|one| one.vault_key_gone_at),
        certificate.map(|one| one.at),
    ];
    let ready = |step: usize| match step {
        3 => offboarding.and_then(|one| one.destroy_from).unwrap_or(now),
        5 => offboarding.zip(destroyed).and_then(|(one, destroyed)| windows(one, destroyed, days)).map_or(now, Windows::end),
        _ => now,
    };
    let mut comes_next = true;
    std::array::from_fn(|step| match done[step] {
        Some(at) => Stand::Done(at),
        None if !std::mem::take(&mut comes_next) => Stand::Later,
        None if ready(step) > now => Stand::Waits(ready(step)),
        None => Stand::Now,
    })
}

/// An export was taken and is kept: whoever may not read any more has what must be kept.
pub fn may_switch_off(offboarding: &Offboarding) -> Result<(), String> {
    match &offboarding.export {
        None => Err("Take the export first: the client's artifacts are kept for six years. Nothing was done.".into()),
        Some(export) if export.kept_at.is_none() => Err("Say first where the export is kept. Nothing was done.".into()),
        Some(_) => Ok(()),
    }
}

/// Whether the data keys may be destroyed now. `later`: what was recorded in the client's log after the export, but for this
/// offboarding's own steps; `None` where its keys cannot be used and will not be by themselves.
pub fn may_destroy(offboarding: &Offboarding, later: Option<usize>, now: OffsetDateTime) -> Result<(), String> {
    may_switch_off(offboarding)?;
    let (Some(off), Some(from)) = (offboarding.off_at, offboarding.destroy_from) else {
        return Err("Switch the client off first. Nothing was done.".into());
    };
    // A key that is revoked or disabled comes back with a click: nobody skips the export by that.
    let may_come_back = |export: &&Export| matches!(export.not_possible.as_deref(), Some("revoked" | "disabled"));
    let from = offboarding.export.as_ref().filter(may_come_back).map_or(from, |export| from.max(export.at + (from - off)));
    if now < from {
        return Err(format!("Not before {}: until then it can be taken back. Nothing was done.", day(from)));
    }
    let is_possible = offboarding.export.as_ref().is_some_and(|export| export.not_possible.is_none());
    let why = match later {
        None if is_possible => {
            "Its keys cannot be used now, so nobody can say whether something was recorded after the export was taken. If they will not be usable again, say under \u{201c}Export\u{201d} that no further one can be made. Nothing was done."
        }
        Some(_) if !is_possible => {
            "Its keys can be used again, so an export can be made: take it, and say where it is kept. Nothing was done."
        }
        Some(1..) => {
            "Something was recorded after the export was taken, so the export misses it. Take it again, and say where it is kept. Nothing was done."
        }
        _ => return Ok(()),
    };
    Err(why.into())
}

/// Until when what was destroyed could still be put back by whoever runs the database or the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// A backup of the database may hold the data keys, wrapped.
    pub backup: OffsetDateTime,
    /// A deleted key of the vault can be recovered.
    pub vault: OffsetDateTime,
}

impl Windows {
    pub fn end(self) -> OffsetDateTime {
        self.backup.max(self.vault)
    }
}

/// `None` while the vault key is not deleted: then its window has not begun. The longer of what the settings said at the
/// destruction and of what they say now counts.
pub fn windows(offboarding: &Offboarding, destroyed: &Destroyed, days: OffboardingDays) -> Option<Windows> {
    let gone_at = offboarding.vault_key_gone_at?;
    let after = |at: OffsetDateTime, then: u16, today: u16| at + Duration::days(then.max(today).into());
    Some(Windows {
        backup: after(destroyed.at, destroyed.backup_days, days.backup),
        vault: after(gone_at, destroyed.vault_days, days.vault),
    })
}

/// A time as it stands in sentences and in the certificate.
pub fn day(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::{super::Export, *};
    use crate::tenancy::{Actor, PersonId, TenantId};

    const START: OffsetDateTime = datetime!(2026-03-02 08:00 UTC);

    fn hours(n: i64) -> OffsetDateTime {
        START + Duration::hours(n)
    }

    fn export(kept: bool) -> Export {
        let (by, kept_at) = (Actor::Function("test".into()), kept.then(|| "Vault 7".into()));
        let (not_possible, earlier) = (None, None);
        Export {
            by,
            at: hours(1),
            entries: 5,
            root: String::new(),
            manifest: String::new(),
            files: 3,
            unreadable: 0,
            kept_at,
            not_possible,
            earlier,
        }
    }

    fn offboarding(exported: Option<bool>, off: Option<i64>, gone: Option<i64>) -> Offboarding {
        Offboarding {
            tenant: TenantId(Uuid::nil()),
            reason: "Contract ended".into(),
            begun_by: PersonId(Uuid::nil()),
            begun_at: START,
            export: exported.map(export),
            off_at: off.map(hours),
            destroy_from: off.map(|off| hours(off + 30 * 24)),
            destroying_at: None,
            vault_key_gone_at: gone.map(hours),
            looks: None,
            statement: None,
        }
    }

    proptest! {
        #[test]
        fn nothing_is_destroyed_before_it_was_kept_off_and_waited_for_and_nothing_newer_is_missed(
            exported in proptest::option::of(any::<bool>()), off in proptest::option::of(0i64..100),
            later in proptest::option::of(0usize..3), now in 0i64..2000, possible: bool,
        ) {
            let mut record = offboarding(exported, off, None);
            if let Some(export) = record.export.as_mut().filter(|_| !possible) {
                export.not_possible = Some("deleted".into());
            }
            let may = may_destroy(&record, later, hours(now)).is_ok();
            let due = off.is_some_and(|off| now >= off + 30 * 24);
            // With an export that misses nothing; without one only while the keys cannot be used.
            let has_what_can_be_had = if possible { later == Some(0) } else { later.is_none() };
            prop_assert_eq!(may, exported == Some(true) && due && has_what_can_be_had);
        }

        #[test]
        fn the_windows_end_when_both_have_and_a_shorter_setting_changes_nothing(
            at in 0i64..2000, gone in 0i64..2000, then in (0u16..40, 0u16..100), today in (0u16..40, 0u16..100),
        ) {
            let destroyed = Destroyed::example(hours(at), then.0, then.1);
            let days = OffboardingDays { wait: 1, backup: today.0, vault: today.1 };
            let record = offboarding(Some(true), Some(0), Some(gone));
            let windows = windows(&record, &destroyed, days).expect("windows");
            prop_assert_eq!(windows.backup, hours(at) + Duration::days(then.0.max(today.0).into()));
            prop_assert_eq!(windows.vault, hours(gone) + Duration::days(then.1.max(today.1).into()));
            let before = windows.end() - Duration::seconds(1);
            let last = |now| stands(Some(&record), Some(&destroyed), None, days, now)[STEPS - 1];
            prop_assert_eq!(last(before), Stand::Waits(windows.end()));
            prop_assert_eq!(last(windows.end()), Stand::Now);
        }
    }

    #[test]
    fn the_steps_come_one_after_the_other() {
        let days = OffboardingDays { wait: 30, backup: 30, vault: 90 };
        let now = |one: Option<&Offboarding>, at| stands(one, None, None, days, hours(at));
        assert_eq!(now(None, 0), [Stand::Now, Stand::Later, Stand::Later, Stand::Later, Stand::Later, Stand::Later]);
        let begun = offboarding(Some(false), None, None);
        assert_eq!(now(Some(&begun), 2)[..3], [Stand::Done(START), Stand::Now, Stand::Later]);
        let off = offboarding(Some(true), Some(5), None);
        assert_eq!(now(Some(&off), 6)[2..], [Stand::Done(hours(5)), Stand::Waits(hours(725)), Stand::Later, Stand::Later]);
        assert_eq!(now(Some(&off), 725)[3], Stand::Now);
    }
}
