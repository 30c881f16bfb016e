//! Looking again whenever a file changes.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::files::files_below;
use crate::Outcome;
use crate::failure::Failure;
use crate::output::clear_screen;

const EVERY: Duration = Duration::from_millis(300);

/// Each file with its size and the time of its last change.
type State = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Looks until it is interrupted.
pub(super) fn run(targets: &[String], look: impl Fn() -> Result<(), Failure>) -> Outcome {
    if let Some(missing) = targets.iter().find(|it| !Path::new(it.as_str()).exists()) {
        return Err(
            Failure::usage(format!("there is no file `{missing}`")).hint("only files and folders can be watched")
        );
    }
    let mut seen = None;
    loop {
        let now = state(targets);
        if seen.as_ref() != Some(&now) {
            clear_screen()?;
            // Half a file, while an editor writes it, is no reason to end.
            if let Err(failure) = look() {
                eprintln!("{failure}");
            }
            seen = Some(now);
        }
        sleep(EVERY);
    }
}

fn state(targets: &[String]) -> State {
    let files = targets.iter().filter_map(|it| files_below(Path::new(it)).ok()).flatten();
    files
        .map(|path| {
            let about = std::fs::metadata(&path).ok();
            let (size, changed) = about.map_or((0, None), |it| (it.len(), it.modified().ok()));
            (path, size, changed)
        })
        .collect()
}
