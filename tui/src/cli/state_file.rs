//! What alerts and schedules remember: a file each next to the database, since only one process may write that, and they have to move on while a
//! collector does. One process at a time changes such a file, and puts it in place whole.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use crate::failure::Failure;

/// A file that is longer has not been written here.
const LONGEST: u64 = 64 << 20;

/// What such a file holds.
pub(super) trait Remembered: DeserializeOwned + Serialize + Default {
    /// What in it cannot be true, where its form is right.
    fn fault(&self) -> Option<String>;
    /// What is lost with the file.
    const LOST: &str;
}

/// The file of this name.
pub(super) fn path(context: &Context, name: &str) -> PathBuf {
    with(&context.config.local_file(), name)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// What is remembered; nothing where there is no file yet.
pub(super) fn load<T: Remembered>(path: &Path) -> Result<T, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(unusable(path, "read", &error)),
    }
    let fault = if bytes.len() as u64 > LONGEST {
        "it is longer than 64 MiB".to_owned()
    } else {
        match serde_json::from_slice::<T>(&bytes) {
            Ok(it) => match it.fault() {
                None => return Ok(it),
                Some(fault) => fault,
            },
            Err(error) => error.to_string(),
        }
    };
    let hint = format!("correct it, or remove it: {}", T::LOST);
    Err(Failure::new(format!("`{}` is damaged", path.display())).because(fault).hint(hint))
}

fn unusable(path: &Path, what: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` cannot be {what}", path.display())).because(error.to_string())
}

/// Remembers; a reader sees what was there before, or all of this.
pub(super) fn store(path: &Path, what: &impl Serialize) -> Result<(), Failure> {
    let new = with(path, "new");
    let write = || {
        let mut file = private(&new)?;
        file.write_all(serde_json::to_string_pretty(what)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|error| unusable(path, "written", &error))
}

/// A new file that only its owner may read: it has names of state machines in it.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Held as long as the file may be changed.
pub(super) struct Alone {
    _lock: File,
}

fn lock_file(path: &Path) -> Result<File, Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| unusable(folder, "made", &error))?;
    }
    let lock = with(path, "lock");
    private(&lock).map_err(|error| unusable(&lock, "written", &error))
}

/// Waits until no other process changes it.
pub(super) fn patiently(path: &Path) -> Result<Alone, Failure> {
    let file = lock_file(path)?;
    file.lock()?;
    Ok(Alone { _lock: file })
}

/// The right to do the long part of the work of this name, such as sending, while the file itself is free; `None` where another process does it
/// just now. A process that ends in any way gives it back.
pub(super) fn at_once(path: &Path, work: &str) -> Result<Option<Alone>, Failure> {
    let file = lock_file(&with(path, work))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Alone { _lock: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
