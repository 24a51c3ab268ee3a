//! The storage contract on each storage. A new one adds a module here.

mod local_folder;
mod processes;
