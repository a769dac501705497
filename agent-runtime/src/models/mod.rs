//! Models behind the one port. A wire format stays in the file that speaks it.

pub mod extractive;
pub mod llama;
