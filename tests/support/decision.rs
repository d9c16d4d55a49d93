//! The decision page as the portal puts it together, without what other areas add.

use assay::{
    app::App,
    gate::{
        Proposal,
        inbox::{self, Reader},
        view::{self, Returned},
    },
    tenancy::{ClientPlace, ProposalId, Scope, StoreError, TenantId},
    web::pages::{Frame, ProposalPage},
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

/// What the directory says now.
pub async fn roster(app: &App) -> std::sync::Arc<assay::tenancy::Roster> {
    let store = assay::tenancy::DeploymentScope::of_function("story", "c").store(app).await.unwrap();
    assay::tenancy::Roster::read(&store).await.unwrap()
}
