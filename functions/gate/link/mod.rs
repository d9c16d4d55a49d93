//! The links in mails and cards: a signed pointer to one proposal for one approver, and the token that one decision uses up.
//!
//! A link shows the way and decides nothing: whoever follows it signs in first. [`token`] is what is signed, [`verify`] the
//! only reader of it. Keys come from the vault under a use of their own, never from a token.

pub mod token;
pub mod verify;
