//! Connectors told as stories, and the golden cases of the vendors that are built.

mod bodies;
mod intake_stories;
mod moved;
mod pull_cases;
mod pull_gone;
mod pull_stories;
mod webhook_cases;
mod world;
