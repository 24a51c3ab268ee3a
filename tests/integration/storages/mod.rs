//! The storage contract on each storage. A new one adds a module here.

mod blob;
mod local_folder;
mod processes;
