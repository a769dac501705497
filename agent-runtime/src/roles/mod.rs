//! The four roles. Each speaks to a model in the words of [`talk`] and to the core by commands.

pub(crate) mod acts;
pub(crate) mod associate;
pub(crate) mod partner;
pub(crate) mod principal;
pub mod talk;
pub(crate) mod verifier;
