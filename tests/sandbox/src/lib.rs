//! The Azure services that `sbm` uses, on one machine: for the tests, and for people who try `sbm` without Azure.
//!
//! | module | is |
//! | --- | --- |
//! | [`everything`] | all services together; what the program starts |
//! | [`front`] | the one port of the broker: plain, TLS, WebSocket and HTTP, told apart by their first bytes |
//! | `amqp` | the protocol of Service Bus and Event Hubs |
//! | [`cbs`] | who may do what there: signatures and tokens |
//! | [`service_bus`] | topics, subscriptions, rules, messages, locks and sessions |
//! | [`event_hubs`] | hubs, partitions and events |
//! | [`faults`] | misbehaviour of both on demand |
//! | [`atom`] | the management of Service Bus over HTTP |
//! | [`entra`] | applications, and the tokens that they get |
//! | [`github_oidc`], [`imds`] | those who vouch for applications: GitHub, Azure DevOps, a cluster, the machine |
//! | [`key_vault`] | secrets |
//! | [`azurite`] | blobs: Microsoft's emulator behind a proxy |
//! | [`faults_api`] | how all of them are made to misbehave by HTTP |
//! | [`certificates`], [`tokens`], [`web`], [`clock`] | what the services stand on |
//! | [`document`] | `sandbox.json`, by which tests find all of it |

mod amqp;
pub mod atom;
pub mod azurite;
mod broker;
pub mod cbs;
pub mod certificates;
pub mod clock;
pub mod document;
pub mod entra;
pub mod event_hubs;
pub mod everything;
pub mod faults;
pub mod faults_api;
pub mod front;
pub mod github_oidc;
pub mod imds;
pub mod key_vault;
pub mod service_bus;
pub mod tokens;
pub mod web;

pub use broker::Broker;
