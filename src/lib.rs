//! The program `ii` as a library, so that tests run the same code with another wiring.
//!
//! `config` reads settings, `wiring` composes the parts, `cli` has one command a file.

pub mod cli;
pub mod commons;
pub mod config;
pub mod curations;
pub mod exit;
mod failures;
pub mod follow;
pub mod guardians;
pub mod guidance;
pub mod hands;
pub mod identities;
pub mod models;
pub mod permissions;
pub mod pictures;
mod progress;
mod publishing;
#[cfg(target_os = "linux")]
pub mod servers;
mod show;
pub mod wiring;
