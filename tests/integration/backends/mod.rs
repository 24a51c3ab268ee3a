//! The backend contract on each backend. A new one adds a module here.

mod local;
mod run;
