//! Leases of blobs, by the tables of "Lease Blob" in the service's reference: what each action and each change of a blob
//! answers, by who holds it and whether the time has run out.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Answer, Call, blobs::not_in_form, refused};

/// The last one of a blob; a blob that nobody holds may have one that ran out.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    id: Uuid,
    until: OffsetDateTime,
    period: Duration,
}

/// Whether the call may change the blob.
pub(super) fn check_change(lease: Option<Lease>, call: &Call, now: OffsetDateTime) -> Result<(), Answer> {
    let named = call.optional_header("x-ms-lease-id").map(id).transpose()?;
    match (lease, named) {
        (Some(lease), None) if lease.until > now => {
            Err(refused(412, "LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified in the request."))
        }
        (_, None) => Ok(()),
        (Some(lease), Some(named)) if lease.id != named => {
            Err(refused(412, "LeaseIdMismatchWithBlobOperation", "The lease ID specified did not match the lease ID for the blob."))
        }
        (Some(lease), Some(_)) if lease.until > now => Ok(()),
        (Some(_), Some(_)) => Err(refused(412, "LeaseLost", "A lease ID was specified, but the lease for the blob has expired.")),
        (None, Some(_)) => Err(refused(412, "LeaseNotPresentWithBlobOperation", "There is currently no lease on the blob.")),
    }
}

/// What is left of a lease once the blob was changed: one that ran out cannot be renewed any more.
pub(super) fn after_change(lease: Option<Lease>, now: OffsetDateTime) -> Option<Lease> {
    lease.filter(|lease| lease.until > now)
}

/// Acquire, renew or release.
pub(super) fn act(lease: &mut Option<Lease>, call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
    let action = call.header("x-ms-lease-action")?;
    if action == "acquire" {
        let seconds = call.header("x-ms-lease-duration")?.parse().ok().filter(|seconds| (15..=60).contains(seconds));
        let period = Duration::seconds(seconds.ok_or_else(not_in_form)?);
        let proposed = id(call.header("x-ms-proposed-lease-id")?)?;
        if lease.is_some_and(|lease| lease.until > now && lease.id != proposed) {
            return Err(refused(409, "LeaseAlreadyPresent", "There is already a lease present."));
        }
        *lease = Some(Lease { id: proposed, until: now + period, period });
        return Ok(Answer::new(201, "").with("x-ms-lease-id", proposed.to_string()));
    }
    let named = id(call.header("x-ms-lease-id")?)?;
    let Some(held) = *lease else {
        return Err(refused(409, "LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob."));
    };
    if held.id != named {
        return Err(refused(409, "LeaseIdMismatchWithLeaseOperation", "The lease ID specified did not match the lease ID for the blob."));
    }
    match action {
        "renew" => *lease = Some(Lease { until: now + held.period, ..held }),
        "release" => *lease = None,
        _ => return Err(not_in_form()),
    }
    Ok(Answer::new(200, "").with("x-ms-lease-id", named.to_string()))
}

fn id(text: &str) -> Result<Uuid, Answer> {
    Uuid::parse_str(text).map_err(|_| not_in_form())
}
