//! The approval inbox and the decision page.

use super::Reader;
use crate::{
    gate::{self, Answer, DecideError, Proposal, Refusal, Verdict, view},
    readiness,
    tenancy::{ProposalId, TenantId, directory::Role},
    web::{
        Problem, Reply,
        pages::{Link, PostForm, ProposalState, Run, Section, paths},
        reply,
    },
};

/// Items on a page of the inbox.
const PAGE: usize = 50;

pub(super) async fn inbox(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let after = reader.request.query_value("after");
    let inbox = reader.inbox(after.as_deref(), PAGE).await?;
    let mut page = view::inbox_page(reader.frame(Section::Approvals).await?, inbox, None);
    page.first = after.map(|_| Link::new(paths::inbox(), "First page"));
    Ok(reply::page(200, &page))
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant, id) = ids(tenant, id)?;
    page(reader, 200, tenant, id, view::Returned::default()).await
}

pub(super) async fn decide(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant_id, id) = ids(tenant, id)?;
    let (_, grant) = reader.client(tenant).await?;
    let (version, hash) = (reader.field("version"), reader.field("hash"));
    reader.must_be_own_form(&words(id, &version, &hash).each_ref().map(String::as_str))?;
    let verdict = match reader.field("decision").as_str() {
        "approve" => Verdict::Approve,
        "reject" => Verdict::Reject,
        _ => return Err(Problem::bad_request("The form says neither approve nor reject. Nothing was decided.")),
    };
    let version = version.parse().map_err(|_| Problem::bad_request("The form has no version. Nothing was decided."))?;
    let answer = Answer { verdict, version, hash, comment: reader.field("comment") };
    let scope = reader.scope(grant);
    match gate::decide(reader.app, &scope, grant, &reader.person, id, &answer).await {
        Ok(_) => Ok(reply::redirect(&paths::proposal(tenant_id, id))),
        Err(DecideError::NotFound) => Err(Problem::not_found()),
        Err(DecideError::Store(error)) => Err(error.into()),
        Err(DecideError::Refused(refusal)) => {
            let status = match refusal {
                Refusal::CommentNeeded | Refusal::CommentTooLong | Refusal::CommentMarked => 422,
                Refusal::NotYours | Refusal::NotApprover => 403,
                _ => 409,
            };
            let too_late = matches!(refusal, Refusal::AlreadyDecided { .. });
            let returned = view::Returned { comment: answer.comment, error: Some(refusal.sentence()), too_late };
            page(reader, status, tenant_id, id, returned).await
        }
    }
}

async fn page(reader: &Reader<'_>, status: u16, tenant: TenantId, id: ProposalId, returned: view::Returned) -> Result<Reply, Problem> {
    let frame = reader.frame(Section::Approvals).await?;
    let token = |proposal: &Proposal| {
        reader.token(&words(proposal.id, &proposal.version.to_string(), &proposal.hash).each_ref().map(String::as_str))
    };
    let page = view::proposal_page(reader.app, reader.eyes(), tenant, id, frame, returned, token).await?;
    let mut page = page.ok_or_else(Problem::not_found)?;
    if let Some(subject) = readiness::mark::subject_of(&page.action) {
        page.kind = "Mark an objective".into();
        page.subject = Some(Link::new(paths::requirement(tenant, subject.requirement), subject.requirement));
        let engineer = reader.grants.iter().any(|grant| grant.tenant == tenant && grant.has(Role::Engineer));
        if let (true, ProposalState::Decided { run: Run::Done { roll_back, .. }, .. }) = (engineer, &mut page.state) {
            *roll_back = Some(PostForm {
                action: paths::roll_back(tenant, subject.requirement),
                token: reader.token(&["roll_back", &tenant.to_string(), subject.objective]),
                fields: vec![("objective".into(), subject.objective.into())],
                label: "Ask to take it back".into(),
            });
        }
    }
    Ok(reply::page(status, &page))
}

/// What the decision form's token is bound to: this proposal, this version, the hash that was shown.
fn words(id: ProposalId, version: &str, hash: &str) -> [String; 4] {
    ["decide".into(), id.to_string(), version.into(), hash.into()]
}

fn ids(tenant: &str, id: &str) -> Result<(TenantId, ProposalId), Problem> {
    let not_found = |_| Problem::not_found();
    Ok((tenant.parse().map_err(not_found)?, id.parse().map_err(not_found)?))
}
