//! The shell: what stores, drives and speaks for a run. Decisions are made in `common-ground`; here they become effects.

pub mod home;
pub mod journal;
pub mod roles;
