//! (being built)

#[cfg(feature = "demo")]
pub mod demo;
