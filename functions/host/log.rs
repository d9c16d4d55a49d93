//! Log lines: one JSON object a line, which the host copies as it is. A line end in a value stays inside its line.

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// What writes them to `to`.
pub fn json_lines<W>(filter: EnvFilter, to: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(to)
        .finish()
}
