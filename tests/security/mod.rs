//! Hostile input: cases given as data, published vectors, and what the whole product must never do.
//! README.md has the table of OWASP ASVS 5.0 and which test holds which requirement.

mod cases;
mod jws_vectors;
mod wycheproof;
