//! Where does DuckDB put what does not fit into memory? Into a folder of ours next to the database, which only this user can
//! enter, and which goes with the process.
//!
//! ```text
//!   orders.duckdb
//!   orders.duckdb.tmp/      0700; goes with the last of its folders
//!     4711-0/               of one connection
//!       alive               locked as long as its process lives
//! ```
//!
//! A process that was killed leaves its folder behind. Whoever opens the database next removes it: the lock is free.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::lake::Lake;

/// How often another name is tried.
const ATTEMPTS: u32 = 1_000;
const ALIVE: &str = "alive";
/// A folder without a lock may be one that is just being made.
const JUST_MADE: Duration = Duration::from_secs(60);

/// The folder of one connection; removed with everything in it when this is dropped, which has to be after the connection.
pub(crate) struct Spill {
    /// `None` where nothing can be written: then nothing is spilled.
    folder: Option<PathBuf>,
    _alive: Option<File>,
}

impl Spill {
    /// A folder next to a database; none where that folder cannot be written.
    pub(crate) fn beside(database: &Path) -> Self {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut name = database.into_os_string();
        name.push(".tmp");
        Self::inside(Path::new(&name))
    }

    /// A folder next to a database file; for a lake, whose catalogue may be elsewhere, there is [`Spill::private`].
    pub(crate) fn of_file(database: &Path) -> Self {
        if Lake::of(database).is_some() { Self { folder: None, _alive: None } } else { Self::beside(database) }
    }

    /// The setting of a folder among the temporary files of this user, one for the process.
    pub(crate) fn private() -> String {
        static PRIVATE: OnceLock<Spill> = OnceLock::new();
        let folder = || Self::inside(&std::env::temp_dir().join(format!("stepscope-spill-{}", own_id())));
        PRIVATE.get_or_init(folder).setting()
    }

    fn inside(parent: &Path) -> Self {
        let made = private_folder(parent).and_then(|()| {
            sweep(parent);
            own_folder(parent)
        });
        match made {
            Ok((folder, alive)) => Self { folder: Some(folder), _alive: Some(alive) },
            Err(_) => Self { folder: None, _alive: None },
        }
    }

    /// The value of DuckDB's `temp_directory`; an empty one means that nothing is spilled.
    pub(crate) fn setting(&self) -> String {
        self.folder.as_ref().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
            // The last one takes the folder around it along.
            let _ = folder.parent().map(fs::remove_dir);
        }
    }
}

/// Makes a folder that nobody else can enter, or takes one of that kind that is there.
fn private_folder(path: &Path) -> io::Result<()> {
    match new_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_private(path),
        made => made,
    }
}

/// A folder that no other process has: one of the same number may live in another container, or on another machine.
fn own_folder(parent: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut left = ATTEMPTS;
    let folder = loop {
        let folder = parent.join(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        left -= 1;
        match new_folder(&folder) {
            Ok(()) => break folder,
            Err(error) if left == 0 => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // The last other process has just taken the folder around it along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => private_folder(parent)?,
            Err(error) => return Err(error),
        }
    };
    let alive = File::create(folder.join(ALIVE))?;
    // Not every file system has locks; there the folder is safe for as long as it is young.
    let _ = alive.try_lock();
    Ok((folder, alive))
}

/// Removes what processes have left that are gone.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for folder in entries.map(|it| it.path()).filter(|it| is_left(it)) {
        let _ = fs::remove_dir_all(folder);
    }
}

fn is_left(folder: &Path) -> bool {
    if let Ok(file) = File::open(folder.join(ALIVE)) {
        return file.try_lock().is_ok();
    }
    let age = fs::symlink_metadata(folder).ok().and_then(|it| it.modified().ok()?.elapsed().ok());
    folder.is_dir() && age.is_some_and(|it| it > JUST_MADE)
}

#[cfg(unix)]
fn new_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn new_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Closes a folder of ours to others; refuses one that belongs to another user, or is a link.
#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != own_id() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> io::Result<()> {
    if path.is_dir() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::PermissionDenied)) }
}

#[cfg(unix)]
fn own_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn own_id() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_connection_and_one_that_was_left_with_the_next() {
        let place = tempfile::tempdir().expect("a folder");
        let database = place.path().join("db");
        fs::write(&database, "").expect("a file");
        let parent = place.path().canonicalize().expect("a path").join("db.tmp");
        let left = parent.join("1-0");
        new_folder(&parent).expect("a folder");
        new_folder(&left).expect("a folder");
        fs::write(left.join(ALIVE), "").expect("a file");
        fs::write(left.join("duckdb_temp_storage-0.tmp"), "rows").expect("a file");
        let (one, other) = (Spill::beside(&database), Spill::beside(&database));
        assert!(!left.exists(), "its process is gone");
        assert!(Path::new(&one.setting()).is_dir() && one.setting() != other.setting());
        drop(one);
        assert!(Path::new(&other.setting()).is_dir(), "one that lives is left alone");
        drop(other);
        assert!(!parent.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_the_same_number_that_another_process_has_is_left_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let parent = place.path().join("db.tmp");
        new_folder(&parent).expect("a folder");
        // Of the next numbers of this process.
        let taken: Vec<PathBuf> = (0..50).map(|it| parent.join(format!("{}-{it}", std::process::id()))).collect();
        for folder in &taken {
            new_folder(folder).expect("a folder");
            fs::write(folder.join("duckdb_temp_storage-0.tmp"), "rows").expect("a file");
        }
        let spill = Spill::inside(&parent);
        assert!(Path::new(&spill.setting()).is_dir() && !taken.contains(&PathBuf::from(spill.setting())));
        assert!(taken.iter().all(|it| it.join("duckdb_temp_storage-0.tmp").exists()));
    }

    #[test]
    fn others_cannot_enter_it_and_nothing_is_spilled_through_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a folder");
        let parent = place.path().join("db.tmp");
        fs::create_dir(&parent).expect("a folder");
        fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).expect("a mode");
        let spill = Spill::inside(&parent);
        for folder in [parent.clone(), PathBuf::from(spill.setting())] {
            let mode = fs::metadata(&folder).expect("a folder").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder:?}");
        }
        let link = place.path().join("link.tmp");
        std::os::unix::fs::symlink(&parent, &link).expect("a link");
        assert_eq!(Spill::inside(&link).setting(), "");
    }
}
