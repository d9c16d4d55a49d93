//! The decision page as the portal puts it together, without what other areas add; and the page of a requirement.

use assay::{
    app::App,
    gate::{
        Proposal,
        inbox::{self, Reader},
        view::{self, Returned},
    },
    readiness::view::requirement_page,
    tenancy::{ClientPlace, ProposalId, Scope, StoreError, TenantId, directory::Grant},
    web::pages::{Frame, ProposalPage, RequirementPage},
};

/// `None` when there is no such proposal, or the reader has no grant for its client.
pub async fn page(
    app: &App,
    reader: Reader<'_>,
    tenant: TenantId,
    id: ProposalId,
    frame: Frame,
    token: impl FnOnce(&Proposal) -> String + Send,
) -> Result<Option<ProposalPage>, StoreError> {
    let Some(grant) = reader.grant_for(tenant) else { return Ok(None) };
    let scope = Scope::of_person(grant, reader.correlation);
    let moment = inbox::moment(app, &scope);
    let store = scope.store(app).await?;
    let found = store.gather(ClientPlace::Assessment, view::wanted(id)).await?;
    let Some(shown) = view::read(reader, &scope, id, moment, &found).await? else { return Ok(None) };
    view::proposal_page(app, reader, grant, shown, frame, Returned::default(), token).await.map(Some)
}

/// As an engineer of the client opens it.
pub async fn requirement(app: &App, engineer: &Grant, id: &str, frame: Frame) -> RequirementPage {
    let roster = roster(app).await;
    requirement_page(app, engineer, &roster, id, "c", frame, &|_| String::new()).await.unwrap().unwrap()
}

/// What the directory says now.
pub async fn roster(app: &App) -> std::sync::Arc<assay::tenancy::Roster> {
    let store = assay::tenancy::DeploymentScope::of_function("story", "c").store(app).await.unwrap();
    assay::tenancy::Roster::read(&store).await.unwrap()
}
