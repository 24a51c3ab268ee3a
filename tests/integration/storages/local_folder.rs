//! A folder: the contract, and what it promises about its files, about other processes and about disks that are full.

use std::{fs, io::Write, path::Path, process::Child, sync::Arc, time::Duration};

use bytes::Bytes;
use sbm::storage::{Condition, Error, LocalFolder, Storage};
use tempfile::TempDir;

use super::processes::{
    self, Ended, MEGABYTE, process, process_after, process_with_mounts, start_and_wait_until_ready,
    succeed,
};
use crate::{
    contract::storage::{Fixture, LONG, names, storage_contract, text},
    support::{live::eventually, postgres::runtime},
};

fn fixture(_: &str) -> Option<(Fixture, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let fixture = Fixture {
        storage: Arc::new(LocalFolder::new(&root)),
        other: Arc::new(LocalFolder::new(&root)),
        shortest: Duration::from_secs(5),
    };
    Some((fixture, folder))
}

storage_contract!(fixture);

fn store(folder: &Path) -> LocalFolder {
    let storage = LocalFolder::new(&folder.join("store"));
    assert!(runtime().block_on(storage.create()).unwrap());
    storage
}

fn put(storage: &LocalFolder, name: &str, text: &'static str) {
    let bytes = Bytes::from_static(text.as_bytes());
    runtime()
        .block_on(storage.put(name, bytes, Condition::Any))
        .unwrap();
}

/// Does nothing unless a test has started this program as another process.
#[test]
fn as_a_process() {
    processes::perform_task();
}

#[test]
fn processes_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a", "0");
    let children: Vec<Child> = (0..3)
        .map(|_| process("add", folder.path()).spawn().unwrap())
        .collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    runtime().block_on(async {
        assert_eq!(text(&storage, "a").await.unwrap(), "60");
        assert_eq!(text(&storage, "b").await.unwrap(), "1\n".repeat(60));
    });
}

#[test]
fn the_lease_of_a_process_that_was_killed_is_free_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a", "1");
    let child = start_and_wait_until_ready(process("lease", folder.path()));
    let leased = || runtime().block_on(storage.lease("a", LONG)).unwrap();
    assert!(leased().is_none());
    drop(child);
    assert!(leased().is_some());
}

#[test]
fn a_process_that_is_killed_while_it_writes_leaves_the_old_object_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a", "1");
    for _ in 0..3 {
        let before = runtime().block_on(storage.get("a")).unwrap().unwrap();
        let child = Ended(process("write", folder.path()).spawn().unwrap());
        eventually("it writes", || {
            let now = runtime().block_on(storage.get("a")).unwrap().unwrap();
            now.version != before.version
        });
        drop(child);
        let bytes = runtime().block_on(storage.get("a")).unwrap().unwrap().bytes;
        assert_eq!(bytes.len(), 4 * MEGABYTE);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    }
    runtime().block_on(async {
        assert_eq!(names(&storage, "").await, ["a"]);
        assert!(!storage.create().await.unwrap());
    });
    let left = fs::read_dir(folder.path().join("store/.sbm-store/new")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_hundred_megabytes_do_not_pass_through_memory() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let file = fs::File::create(folder.path().join("from")).unwrap();
    for index in 0..100 {
        (&file).write_all(&vec![index; MEGABYTE]).unwrap();
    }
    succeed(process("large", folder.path()));
    let size = fs::metadata(folder.path().join("to")).unwrap().len();
    assert_eq!(size, 100 * MEGABYTE as u64);
}

#[test]
fn a_full_disk_costs_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let test = concat!(module_path!(), "::a_full_disk_costs_no_object");
    let mount = "mount -t tmpfs -o size=3m tmpfs \"$0\"";
    if let Some(command) = process_with_mounts(mount, "full", folder.path(), test) {
        succeed(command);
    }
}

#[test]
fn a_limit_on_file_sizes_costs_no_object() {
    let folder = tempfile::tempdir().unwrap();
    // Shells count blocks of 512 or 1024 bytes. What ignores the signal is told by an error.
    let limit = "trap '' XFSZ && ulimit -f 2048";
    succeed(process_after(limit, "full", folder.path()));
}

#[test]
fn a_read_only_folder_is_read_and_refuses_to_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a", "1");
    let test = concat!(
        module_path!(),
        "::a_read_only_folder_is_read_and_refuses_to_be_written"
    );
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
    if let Some(command) = process_with_mounts(mount, "read-only", folder.path(), test) {
        succeed(command);
    }
}

#[test]
fn a_folder_goes_with_its_last_object() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a/b/c", "1");
    put(&storage, "a/d", "1");
    let root = folder.path().join("store");
    runtime().block_on(async {
        storage.delete("a/b/c", None).await.unwrap();
        assert!(!root.join("a/b").exists() && root.join("a/d").exists());
        storage.delete("a/d", None).await.unwrap();
        assert!(!root.join("a").exists() && root.exists());
        assert!(storage.exists().await.unwrap());
    });
}

#[test]
fn a_folder_with_files_of_others_becomes_a_store_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    fs::create_dir_all(root.join("photos of mine")).unwrap();
    fs::write(root.join("photos of mine/1.jpg"), "1").unwrap();
    fs::write(root.join("notes.txt"), "2").unwrap();
    let storage = store(folder.path());
    put(&storage, "runs/1/a", "3");
    runtime().block_on(async {
        assert_eq!(names(&storage, "runs/").await, ["runs/1/a"]);
        assert_eq!(storage.delete_all("runs/").await.unwrap(), 1);
        assert!(storage.delete_all("").await.is_err());
    });
    assert_eq!(fs::read(root.join("photos of mine/1.jpg")).unwrap(), b"1");
    assert_eq!(fs::read(root.join("notes.txt")).unwrap(), b"2");
    // A file is no place for a store.
    let file = LocalFolder::new(&root.join("notes.txt"));
    let error = runtime().block_on(file.create()).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[test]
fn a_store_that_was_removed_is_not_made_by_writing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    put(&storage, "a/b", "1");
    let root = folder.path().join("store");
    fs::remove_dir_all(&root).unwrap();
    runtime().block_on(async {
        let bytes = || Bytes::from_static(b"2");
        for error in [
            storage.put("a/b", bytes(), Condition::Any).await.err(),
            storage.append("a/b", bytes()).await.err(),
            storage.begin("a/c").await.err(),
            storage.lease("a/b", LONG).await.err(),
        ] {
            assert!(matches!(error, Some(Error::NoPlace { .. })), "{error:?}");
        }
    });
    assert!(!root.exists());
}
