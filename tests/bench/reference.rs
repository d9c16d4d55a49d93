//! What ours is measured against: a bare warp server, and raw redb transactions.

use std::{path::Path, process::Command};

use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use warp::Filter;

use crate::{Outcome, handler::Process};

/// The hidden mode of this program in which it is the bare server.
pub const SERVER: &str = "--reference-server";

/// Serves 200 to everybody until the process is killed.
pub fn serve(port: &str) -> Outcome<()> {
    let port: u16 = port.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        warp::serve(warp::any().map(|| "ok")).incoming(listener).run().await;
        Err("the server stopped".into())
    })
}

pub fn start_server(port: u16) -> Outcome<Process> {
    Process::start(Command::new(std::env::current_exe()?).args([SERVER, &port.to_string()]))
}

const DOCUMENTS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("documents");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Documents that are written in turn.
const HELD: u64 = 1000;

/// A redb file as plain as can be.
pub struct RawStore {
    database: Database,
    transactions: u64,
}

impl RawStore {
    pub fn create(file: &Path) -> Outcome<Self> {
        let database = Database::create(file)?;
        let transaction = database.begin_write()?;
        transaction.open_table(DOCUMENTS)?;
        transaction.open_table(LOG)?;
        transaction.commit()?;
        Ok(Self { database, transactions: 0 })
    }

    /// The etag of a document read, 1 KB of it put, 1 KB appended to a log; on the disk when it returns.
    pub fn transact(&mut self) -> Outcome<()> {
        let key = format!("document-{:08}", self.transactions % HELD);
        let etag = self.database.begin_read()?.open_table(DOCUMENTS)?.get(key.as_str())?.map_or(0, |held| held.value().0);
        let bytes = [u8::try_from(self.transactions % 256)?; 1024];
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.open_table(DOCUMENTS)?.insert(key.as_str(), (etag + 1, &bytes[..]))?;
        transaction.open_table(LOG)?.insert(self.transactions, &bytes[..])?;
        transaction.commit()?;
        self.transactions += 1;
        Ok(())
    }
}
