//! The contract of the ports (being built).
