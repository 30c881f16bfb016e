//! Who is at the other end?

use std::io;
use std::os::unix::net::UnixStream;

/// Whose processes may talk about a file: one's own, its owner's, and root's.
pub(super) fn is_trusted(uid: u32, file_owner: u32) -> bool {
    [own_uid(), file_owner, 0].contains(&uid)
}

/// The user that this process acts as.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user at the other end of a socket, as the kernel knows it.
#[cfg(target_os = "linux")]
pub(super) fn uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::unistd::getpeereid(stream)?.0.as_raw())
}
