//! The ports: what the core asks of the outside, one trait a file, each with two implementations or more.
//!
//! Wire formats never appear here; they stay in the adapter that speaks them.

use std::{future::Future, pin::Pin};

pub mod embedder;
pub mod index;
pub mod model;
pub mod reranker;
pub mod tool;

/// A future that a port returns; boxed so that ports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
