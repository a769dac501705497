//! The four roles. Each speaks to a model in the words of [`talk`] and to the core by commands.

pub mod acts;
pub mod again;
pub(crate) mod associate;
mod claims;
mod context;
mod conversation;
pub(crate) mod draft;
mod faults;
pub(crate) mod handover;
mod judge;
pub(crate) mod partner;
mod passages;
mod pictures;
pub(crate) mod principal;
pub mod prompts;
pub mod talk;
pub mod verifier;

/// Names that models act by and that no tool may have.
pub const ACTS: [&str; 3] = [talk::PLAN, talk::SUBMIT, crate::ask_person::NAME];
