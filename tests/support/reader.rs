//! A client's store as somebody with a grant has it, for stories of the log alone: who they are is no part of them.

use assay::{
    app::App,
    tenancy::{
        ClientPlace, PersonId, Scope, Store, TenantId,
        directory::{Grant, Origin},
    },
};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(42));

pub async fn client(app: &App) -> Store<'_, ClientPlace> {
    let person = PersonId(Uuid::from_u128(77));
    let grant = Grant::of(TENANT, person, Vec::new());
    Scope::of_person(&grant, "c-1").store(app).await.unwrap()
}
