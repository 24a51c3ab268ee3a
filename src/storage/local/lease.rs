//! Leases: a file per lease, which its holder keeps locked.
//!
//! The lock shows that the holder's process lives, so that the lease of one that was killed is free at once; the time in the
//! file says until when the lease lasts. Both are read and written under the lock of the object.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Error, InStore, Lease, LeaseId, Store,
    lock::{hash, lock},
    place::Place,
    write::metadata,
};
use crate::clock::{self, Moment};

/// What stands in the file of a lease.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The object, for whoever looks into the file.
    name: String,
    id: String,
    /// The start of the machine from which `until` counts.
    boot: String,
    /// In seconds.
    until: f64,
}

/// Who holds the lease of an object.
#[derive(Debug, PartialEq)]
enum Holder {
    Nobody,
    /// Its time is over, and nobody has done anything since.
    Lapsed(LeaseId),
    Present(LeaseId),
}

impl Store {
    /// Takes the lease; `None` when somebody has it.
    pub(super) fn lease(&self, name: &str, duration: Duration) -> Result<Option<Lease>, Error> {
        let place = &self.place;
        let _lock = lock(place, name).at(place, "lock", name)?;
        if metadata(place, name)?.is_none() {
            return Err(Error::NoObject {
                place: place.to_string(),
                name: name.to_owned(),
            });
        }
        if let Holder::Present(_) = holder(place, name).at(place, "lease", name)? {
            return Ok(None);
        }
        forget(place, name, false).at(place, "lease", name)?;
        let id = LeaseId(Uuid::new_v4().to_string());
        let file = take(&path(place, name), name, &id, duration).at(place, "lease", name)?;
        self.held().insert(id.clone(), file);
        Ok(Some(Lease {
            name: name.to_owned(),
            id,
            duration,
        }))
    }

    /// Prolongs the lease.
    pub(super) fn renew(&self, name: &str, id: &LeaseId, duration: Duration) -> Result<(), Error> {
        let place = &self.place;
        let _lock = lock(place, name).at(place, "lock", name)?;
        match holder(place, name).at(place, "renew the lease of", name)? {
            Holder::Present(held) | Holder::Lapsed(held) if held == *id => {
                let mut held = self.held();
                let file = held.get_mut(id).ok_or_else(|| lost(place, name))?;
                write(file, name, id, duration).at(place, "renew the lease of", name)
            }
            _ => {
                self.held().remove(id);
                Err(lost(place, name))
            }
        }
    }

    /// Gives the lease back.
    pub(super) fn release(&self, name: &str, id: &LeaseId) -> Result<(), Error> {
        let place = &self.place;
        let _lock = lock(place, name).at(place, "lock", name)?;
        let found = holder(place, name).at(place, "release", name)?;
        self.held().remove(id);
        match found {
            Holder::Present(held) | Holder::Lapsed(held) if held == *id => {
                forget(place, name, false).at(place, "release", name)
            }
            _ => Ok(()),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<LeaseId, File>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the object may be written by whoever has `lease`, or by anybody; `true` when the writer holds the lease.
pub(super) fn permit(place: &Place, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error> {
    match (holder(place, name).at(place, "write", name)?, lease) {
        (Holder::Present(held), Some(id)) if held == *id => Ok(true),
        (_, Some(_)) => Err(lost(place, name)),
        (Holder::Present(_), None) => Err(Error::Leased {
            place: place.to_string(),
            name: name.to_owned(),
        }),
        (Holder::Nobody | Holder::Lapsed(_), None) => Ok(false),
    }
}

/// Removes a lease that is over, unless its holder is the one who writes.
pub(super) fn forget(place: &Place, name: &str, holder_writes: bool) -> io::Result<()> {
    if holder_writes {
        return Ok(());
    }
    match fs::remove_file(path(place, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path(place: &Place, name: &str) -> PathBuf {
    place.inside(Place::LEASES).join(hash(name, 32))
}

fn lost(place: &Place, name: &str) -> Error {
    Error::LeaseLost {
        place: place.to_string(),
        name: name.to_owned(),
    }
}

fn holder(place: &Place, name: &str) -> io::Result<Holder> {
    let opened = File::options()
        .read(true)
        .write(true)
        .open(path(place, name));
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // Its holder has ended.
        Ok(()) => return Ok(Holder::Nobody),
        Err(fs::TryLockError::WouldBlock) => {}
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // Of one that was written by halves nothing is known but that its holder lives.
    let Ok(record) = serde_json::from_str::<Record>(&text) else {
        return Ok(Holder::Present(LeaseId(String::new())));
    };
    let (id, now) = (LeaseId(record.id), seconds(Moment::now()));
    // A holder on another machine is judged by its lock alone.
    if record.boot == boot() && record.until < now {
        return Ok(Holder::Lapsed(id));
    }
    Ok(Holder::Present(id))
}

/// Makes the file of a lease.
fn take(path: &Path, name: &str, id: &LeaseId, duration: Duration) -> io::Result<File> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    let written = file
        .try_lock()
        .map_err(io::Error::from)
        .and_then(|()| write(&mut file, name, id, duration));
    if let Err(error) = written {
        fs::remove_file(path).ok();
        return Err(error);
    }
    Ok(file)
}

/// The life of the machine, as far as it has a name.
fn boot() -> String {
    clock::boot_id().unwrap_or_default()
}

fn seconds(moment: Moment) -> f64 {
    moment.since_zero().as_secs_f64()
}

/// Written over what stands there, so that it needs no room on the disk.
fn write(file: &mut File, name: &str, id: &LeaseId, duration: Duration) -> io::Result<()> {
    let record = Record {
        name: name.to_owned(),
        id: id.to_string(),
        boot: boot(),
        until: seconds(Moment::now() + duration),
    };
    let text = serde_json::to_vec(&record)?;
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}
