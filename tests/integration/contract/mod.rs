//! What every implementation of a trait promises.

pub(crate) mod engine;
