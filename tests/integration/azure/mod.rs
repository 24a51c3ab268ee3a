//! Azure, as far as the sandbox has it.

mod blob;
mod cut;
mod event_hubs;
mod identity;
mod key_vault;
mod raw;
pub(crate) mod sandbox;
mod service_bus;
