//! What all Azure code shares: the cloud and its names, whom to trust, and as whom to act.
//!
//! [`Cloud`] knows hosts and audiences, [`Trust`] the certificate authorities, and both are asked by every client of ours.

pub mod amqp;
pub mod blob;
mod cloud;
pub mod event_hubs;
pub mod identity;
mod key_vault;
pub mod service_bus;
mod trust;

pub use cloud::{Cloud, Service, UnknownCloud};
pub use identity::{Identity, IdentitySettings};
pub use key_vault::KeyVault;
pub use trust::{Trust, TrustError};
