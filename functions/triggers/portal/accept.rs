//! Proposing that a demoted rule runs by itself again: a button beside it, where nothing is missing for that.

use super::{Reader, left_out::may_ask};
use crate::{
    analytics::{
        Known,
        accept::{self, AcceptError},
        keep,
    },
    gate::learning::Rule,
    tenancy::directory::Grant,
    web::{
        Problem, Reply,
        pages::{PostForm, paths},
        reply,
    },
};

const RULE: &str = "rule";

pub(super) fn form(reader: &Reader<'_>, grant: &Grant, known: &Known, rule: &Rule) -> Option<PostForm> {
    let level = known
        .ledger
        .promotion(rule, &keep::config(), |account| reader.roster.human(account))
        .and_then(Result::ok)
        .filter(|_| may_ask(grant))?;
    Some(PostForm {
        action: paths::accept(grant.tenant()),
        token: reader.token(&["accept", &grant.tenant().to_string(), rule.name()]),
        fields: vec![(RULE.into(), rule.name().into())],
        label: format!("Propose {}", level.word()),
    })
}

pub(super) async fn ask(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(id)?;
    if !may_ask(grant) {
        return Err(Problem::forbidden("Only an engineer or approver of this client can propose this. Nothing was done."));
    }
    let rule = reader.field(RULE);
    reader.must_be_own_form(&["accept", &tenant.id.to_string(), &rule])?;
    match accept::propose(reader.app, &reader.scope(grant), &tenant.name, &Rule::of_name(rule)).await {
        Ok(proposal) => Ok(reply::redirect(&paths::proposal(tenant.id, proposal))),
        Err(AcceptError::NotOpen) => {
            Err(Problem::conflict("Something is missing for it by now: the analytics page of the client says what. Nothing was proposed."))
        }
        Err(AcceptError::Store(error)) => Err(error.into()),
    }
}
