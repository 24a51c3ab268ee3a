//! A Key Vault with secrets, their versions, and soft delete.

mod answer;
mod authorize;
mod routes;
mod vault;
mod version;

pub use routes::router;
pub use vault::Vault;
