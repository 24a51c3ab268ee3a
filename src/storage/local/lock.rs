//! One writer of an object at a time, among all tasks and processes of this machine.

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use super::place::Place;

/// Somebody who holds a lock writes a file of a few megabytes at most, unless the process is stopped or the disk hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pauses between two looks.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(5);

/// Held until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Waits until nobody else writes the object.
///
/// There are 256 locks for all objects. They stay: removing one would let two writers lock two files of one name.
pub(super) fn lock(place: &Place, name: &str) -> io::Result<Lock> {
    let path = place.inside(Place::LOCKS).join(hash(name, 1));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = SHORTEST;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process has held its lock for a minute",
                ));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// The first `bytes` of the SHA-256 of a name.
pub(super) fn hash(name: &str, bytes: usize) -> String {
    let digest = Sha256::digest(name.as_bytes());
    crate::package::hex_lower(digest.get(..bytes).unwrap_or(&digest))
}
