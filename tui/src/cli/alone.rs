//! A state file beside the database that one process at a time may change.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::failure::Failure;

/// Held as long as the file may be changed.
pub(super) struct Alone {
    _lock: File,
}

fn lock_file(path: &Path) -> Result<File, Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    Ok(File::create(name)?)
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
