//! The links in mails and cards: a signed pointer to one proposal for one approver, and the token that one decision uses up.
//!
//! A link shows the way and decides nothing: whoever follows it signs in first, and following it changes nothing. The
//! decision form carries a token of its own, made after sign-in and used up in the batch of the decision. [`token`] is what
//! is signed, [`verify`] the only reader of it. Keys come from the vault under a use of their own, never from a token.

pub mod follow;
pub mod make;
pub mod permit;
pub mod token;
pub mod verify;

pub use follow::{Followed, follow};
pub use make::{Row, link};
pub use permit::{Permit, Spent};
