//! The four roles. Each speaks to a model in the words of [`talk`] and to the core by commands.

pub mod talk;
