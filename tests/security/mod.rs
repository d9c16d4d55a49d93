//! Hostile input: cases given as data, published vectors, and what the whole product must never do.

mod asvs;
mod cases;
mod envelope;
mod jws_vectors;
mod path_names;
mod roles;
mod tenancy;
mod text_tricks;
mod wycheproof;
