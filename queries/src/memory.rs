//! How much memory does this process take? Asked while a reader's statement runs, which may collect more than DuckDB counts.

/// The most by which the process may grow while a reader's statement runs. More than one grows it, so it is no exact share.
pub(crate) const MOST: u64 = 512 << 20;

/// Bytes of this process that are in memory; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn taken() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The most bytes that this process has had in memory, which is what other systems tell.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn taken() -> Option<u64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let most = u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok()?;
    Some(if cfg!(target_vendor = "apple") { most } else { most * 1_024 })
}

#[cfg(not(unix))]
pub(crate) fn taken() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_some_and_what_it_fills_counts() {
        let before = taken().expect("it is known");
        let filled = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = taken().expect("it is known");
        assert!(after >= before + (48 << 20), "{before} {after} {}", filled.len());
    }
}
