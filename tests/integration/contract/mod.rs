//! What every implementation of a trait promises.

pub(crate) mod backend;
pub(crate) mod endings;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod leases;
pub(crate) mod queue;
pub(crate) mod storage;
pub(crate) mod tables;
