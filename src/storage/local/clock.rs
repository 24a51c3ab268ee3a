//! A clock that all processes of this machine share, and that nobody can set.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// A moment on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    /// Which start of the machine the seconds count from; moments of two starts cannot be compared.
    pub(super) boot: String,
    /// Seconds, those in which the machine was suspended among them.
    pub(super) seconds: f64,
}

/// Now.
pub(super) fn now() -> Moment {
    since_boot().unwrap_or_else(|| Moment {
        boot: "epoch".to_owned(),
        seconds: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |time| time.as_secs_f64()),
    })
}

/// What Linux says; `None` elsewhere.
fn since_boot() -> Option<Moment> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds = uptime.split_whitespace().next()?.parse().ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot = boot.trim().to_owned();
    Some(Moment { boot, seconds })
}
