//! Where does the writer of a database listen?
//!
//! Next to the file, so that everything that reaches the file finds it, whatever its environment. The path of a socket may be 107 bytes
//! long, so the folder is opened and the socket is named through its descriptor. Where that is impossible, in a folder of the user's by
//! the real user id, which no variable can change.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::peer::{is_trusted, own_uid};

/// The longest path of a socket on every platform.
const LONGEST: usize = 103;
/// The longest name of a socket that fits behind `/proc/self/fd/1000000/`.
const LONGEST_NAME: usize = 80;

/// A folder and the name of a socket in it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
    name: String,
    /// Whether the folder is for nothing else: then it is made, and has to be closed to others.
    is_own_folder: bool,
}

/// A folder that is open and trusted.
struct Folder {
    file: File,
    path: PathBuf,
}

/// A socket file that is removed with its owner, unless another has taken its place.
pub(super) struct Bound {
    pub(super) listener: UnixListener,
    place: Place,
    inode: u64,
}

/// The places for a database in the order in which they are tried; the file's owner may have a folder other than one's own.
pub(super) fn places(database: &Path) -> io::Result<Vec<Place>> {
    let path = database.canonicalize()?;
    let owner = fs::metadata(&path)?.uid();
    let hash = analyzer::assembly::hash_of(&path.to_string_lossy());
    let mut places = Vec::new();
    if let (Some(folder), Some(file)) = (path.parent(), path.file_name()) {
        places.push(Place { folder: folder.to_owned(), name: name_beside(file), is_own_folder: false });
    }
    let mut uids = vec![own_uid()];
    uids.extend((owner != own_uid()).then_some(owner));
    for uid in uids {
        let folders =
            [PathBuf::from(format!("/run/user/{uid}/stepscope")), PathBuf::from(format!("/tmp/stepscope-{uid}"))];
        let place = |folder| Place { folder, name: format!("{hash:016x}.sock"), is_own_folder: true };
        places.extend(folders.map(place));
    }
    Ok(places)
}

fn name_beside(file: &OsStr) -> String {
    let name = file.to_string_lossy();
    if file.as_bytes().len() + 6 <= LONGEST_NAME && file.to_str().is_some() {
        return format!(".{name}.sock");
    }
    format!(".{:016x}.sock", analyzer::assembly::hash_of(&name))
}

impl Place {
    /// Listens there; the database is this process's, so what another left behind is stale.
    pub(super) fn bind(&self, file_owner: u32) -> Result<Bound, String> {
        if self.is_own_folder {
            let made = fs::DirBuilder::new().mode(0o700).create(&self.folder);
            made.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
                .map_err(|error| self.cause(&error))?;
        }
        let folder = self.open(file_owner)?;
        let cause = |error: io::Error| self.cause(&error);
        match folder.socket_owner(&self.name) {
            Ok(_) => rustix::fs::unlinkat(&folder.file, self.name.as_str(), AtFlags::empty())
                .map_err(|it| cause(it.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cause(error)),
        }
        let address = folder.address(&self.name).map_err(cause)?;
        let listener = UnixListener::bind(address).map_err(cause)?;
        let close = || -> io::Result<u64> {
            rustix::fs::chmodat(&folder.file, self.name.as_str(), Mode::from_raw_mode(0o600), AtFlags::empty())?;
            if own_uid() == 0 && file_owner != 0 {
                let owner = (Some(Uid::from_raw(file_owner)), None::<Gid>);
                rustix::fs::chownat(&folder.file, self.name.as_str(), owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Ok(rustix::fs::statat(&folder.file, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?.st_ino)
        };
        let inode = close().map_err(cause)?;
        Ok(Bound { listener, place: self.clone(), inode })
    }

    /// Connects to what listens there; `None` where there is no socket.
    pub(super) fn connect(&self, file_owner: u32) -> Result<Option<UnixStream>, String> {
        let Some(folder) = self.open_if_there(file_owner)? else { return Ok(None) };
        let owner = match folder.socket_owner(&self.name) {
            Ok(owner) => owner,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.cause(&error)),
        };
        if !is_trusted(owner, file_owner) {
            return Err(format!("the socket `{}` belongs to another user ({owner})", self.path().display()));
        }
        let connected = folder.address(&self.name).and_then(UnixStream::connect);
        connected.map(Some).map_err(|error| self.cause(&error))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn cause(&self, error: &io::Error) -> String {
        format!("`{}`: {error}", self.path().display())
    }

    fn open_if_there(&self, file_owner: u32) -> Result<Option<Folder>, String> {
        match fs::symlink_metadata(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => self.open(file_owner).map(Some),
        }
    }

    /// Opens the folder, and checks what was opened: whose it is, and who else may change it.
    fn open(&self, file_owner: u32) -> Result<Folder, String> {
        let mut flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        if self.is_own_folder {
            flags |= OFlags::NOFOLLOW;
        }
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = options.open(&self.folder).map_err(|error| self.cause(&error))?;
        let metadata = file.metadata().map_err(|error| self.cause(&error))?;
        let (owner, mode, folder) = (metadata.uid(), metadata.mode() & 0o7777, self.folder.display());
        if !is_trusted(owner, file_owner) {
            return Err(format!("the folder `{folder}` belongs to another user ({owner})"));
        }
        if self.is_own_folder && mode & 0o077 != 0 {
            return Err(format!("the folder `{folder}` is open to other users (mode {mode:o})"));
        }
        // In a folder that all may write, such as /tmp, the sticky bit keeps them from changing what is another's.
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(format!("every user may change the folder `{folder}` (mode {mode:o})"));
        }
        Ok(Folder { file, path: self.folder.clone() })
    }
}

impl Folder {
    /// Whose a socket is; a link or any other file of that name is refused.
    fn socket_owner(&self, name: &str) -> io::Result<u32> {
        let found = rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Socket {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a socket"));
        }
        Ok(found.st_uid)
    }

    /// A short path to what lies in the folder that is open, where there is one.
    fn address(&self, name: &str) -> io::Result<PathBuf> {
        let through = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        if cfg!(target_os = "linux") && through.exists() {
            return Ok(through.join(name));
        }
        let path = self.path.join(name);
        if path.as_os_str().len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidFilename, "the path is too long for a socket"));
        }
        Ok(path)
    }
}

impl Bound {
    /// Calls the listener, so that it looks up.
    pub(super) fn wake(&self) {
        let _ = self.place.connect(own_uid());
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let path = self.place.path();
        if fs::symlink_metadata(&path).is_ok_and(|it| it.file_type().is_socket() && it.ino() == self.inode) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn beside(folder: &Path, name: &str) -> Place {
        let file = folder.join(name);
        fs::write(&file, "").expect("a file");
        places(&file).expect("places").remove(0)
    }

    #[test]
    fn long_paths_are_reached_through_their_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&folder).expect("a folder");
        for name in ["x.duckdb".to_owned(), "y".repeat(200)] {
            let place = beside(&folder, &name);
            assert!(place.connect(own_uid()).expect("nothing listens").is_none());
            let bound = place.bind(own_uid()).expect("it listens");
            assert_eq!(fs::metadata(place.path()).expect("a socket").permissions().mode() & 0o777, 0o600);
            assert!(place.connect(own_uid()).expect("it answers").is_some());
            drop(bound);
            assert!(!place.path().exists());
        }
    }

    #[test]
    fn links_and_open_folders_are_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let place = beside(root.path(), "x");
        fs::write(root.path().join("other"), "").expect("a file");
        symlink(root.path().join("other"), place.path()).expect("a link");
        assert!(place.bind(own_uid()).err().expect("refused").contains("not a socket"));
        assert!(place.connect(own_uid()).expect_err("refused").contains("not a socket"));
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        assert!(place.connect(own_uid()).expect_err("refused").contains("every user may change"));
        let target = root.path().join("target");
        fs::create_dir(&target).expect("a folder");
        symlink(&target, root.path().join("link")).expect("a link");
        let own = |name: &str| Place { folder: root.path().join(name), name: "s".to_owned(), is_own_folder: true };
        assert!(own("link").bind(own_uid()).is_err(), "a folder of ours is no link");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o750)).expect("a mode");
        assert!(own("target").bind(own_uid()).err().expect("refused").contains("open to other users"));
        assert!(own("new").bind(own_uid()).is_ok());
    }

    #[test]
    fn what_is_stale_is_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        let place = beside(root.path(), "x");
        drop(UnixListener::bind(place.path()).expect("a socket"));
        assert!(place.connect(own_uid()).is_err(), "nothing listens at it");
        let bound = place.bind(own_uid()).expect("it listens");
        assert!(place.connect(own_uid()).expect("it answers").is_some());
        drop(bound);
    }
}
