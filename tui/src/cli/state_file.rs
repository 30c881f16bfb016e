//! What alerts and schedules remember: a file each beside the database, since only one process may write that, and they have to move on while a
//! collector does. One process at a time changes such a file, and puts it in place whole.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use crate::failure::Failure;

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
pub(super) fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            Failure::new(format!("`{}` is damaged", path.display()))
                .because(error.to_string())
                .hint("put it right, or remove it: what it remembers is lost then")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error.into()),
    }
}

/// Remembers; a reader sees what was there before, or all of this.
pub(super) fn store<T: Serialize>(path: &Path, what: &T) -> Result<(), Failure> {
    let beside = with(path, "new");
    std::fs::write(&beside, serde_json::to_string_pretty(what).map_err(std::io::Error::from)?)?;
    std::fs::rename(&beside, path)?;
    Ok(())
}

/// Held as long as the file may be changed.
pub(super) struct Alone {
    _lock: File,
}

fn lock_file(path: &Path) -> Result<File, Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(File::create(with(path, "lock"))?)
}

/// Waits until nobody else changes it.
pub(super) fn patiently(path: &Path) -> Result<Alone, Failure> {
    let file = lock_file(path)?;
    file.lock()?;
    Ok(Alone { _lock: file })
}

/// `None` where somebody else does just now.
pub(super) fn at_once(path: &Path) -> Result<Option<Alone>, Failure> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Alone { _lock: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
