//! Hostile input: cases given as data, published vectors, and what the whole product must never do.

mod asvs;
mod cases;
mod envelope;
mod http;
mod jws_vectors;
mod key_record;
mod path_names;
mod recipes;
mod roles;
mod tenancy;
mod text_tricks;
mod wycheproof;
