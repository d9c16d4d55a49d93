//! The Functions custom-handler protocol, and the stand-in host of local mode.

pub mod local; // the stand-in host: `assay local` and the tests
