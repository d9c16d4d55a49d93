//! What a run has read of the client at hand, in pages of their own, so that no document grows with the client.
//!
//! A page is written once, in the batch of the step that read it. When the client is read to its end all pages are read
//! once, for its population, and deleted. What a crash leaves behind goes with the next client or the next run.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::population::Line;
use crate::tenancy::{Batch, ConnectionId, ConnectionPlace, DeploymentPlace, Record, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LinesPage {
    run: Uuid,
    number: u32,
    lines: Vec<Line>,
}

impl Record for LinesPage {
    const KIND: &'static str = "pull-lines";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}{:08}", prefix(self.run), self.number)
    }
}

fn prefix(run: Uuid) -> String {
    format!("{}:", run.simple())
}

/// Lines of one document: about 300 bytes each at most, before they are sealed.
const LINES_PER_PAGE: usize = 1000;

/// Most rows of one answer, so that their pages fit into one batch.
pub(super) const MOST_ROWS: usize = 4 * LINES_PER_PAGE;

/// Documents of one query and one batch of deletes.
const PORTION: usize = 8;

/// Keeps these lines from page `number` on; the number of the page after them.
pub(super) fn keep(batch: &mut Batch<'_, '_, DeploymentPlace>, run: Uuid, mut number: u32, lines: &[Line]) -> u32 {
    for portion in lines.chunks(LINES_PER_PAGE) {
        batch.create(&LinesPage { run, number, lines: portion.to_vec() });
        number += 1;
    }
    number
}

/// The lines of the client at hand, whose first page is `first`, with these last ones; a row that came twice counts as it
/// came last.
pub(super) async fn of_client(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    run: Uuid,
    first: u32,
    last: Vec<Line>,
) -> Result<Vec<Line>, StoreError> {
    let mut by_id: HashMap<String, Line> = HashMap::new();
    let mut after = None;
    loop {
        let (pages, next) = store.page::<LinesPage>(place(connection), &prefix(run), false, PORTION, after).await?;
        let lines = pages.into_iter().map(|held| held.value).filter(|page| page.number >= first).flat_map(|page| page.lines);
        by_id.extend(lines.map(|line| (line.id.clone(), line)));
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    by_id.extend(last.into_iter().map(|line| (line.id.clone(), line)));
    Ok(by_id.into_values().collect())
}

/// Deletes every page but those of this run from `first` on.
pub(super) async fn forget(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, run: Uuid, first: u32) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (pages, next) = store.page::<LinesPage>(place(connection), "", false, PORTION, after).await?;
        let mut batch = store.batch(place(connection));
        for held in pages.iter().filter(|held| held.value.run != run || held.value.number < first) {
            batch.delete(held);
        }
        match batch.commit().await {
            // Somebody else deleted them.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn place(connection: ConnectionId) -> DeploymentPlace {
    DeploymentPlace::Connection(connection, ConnectionPlace::Mapping)
}
