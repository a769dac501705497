//! Models behind the one port. A wire format stays in the folder that speaks it.

pub mod discover;
pub mod extractive;
pub mod openai;
