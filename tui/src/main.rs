//! The composition root: the only place that knows every crate, and owns the clock, the threads and the exit code.

#[macro_use]
mod output;

mod cli;
mod config;
mod failure;
mod ingest;
mod logging;
mod own_metrics;
mod report;

use std::process::ExitCode;

use clap::Parser;
use failure::{EXIT_FAILED, Failure};
use mimalloc::MiMalloc;

// What one thread reads another analyses and frees: the system's allocator spends a fifth of the time on locks there.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Databases hold users' data: whatever this process creates is for this user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // A file that may not grow is an error like others, and not the end of the process.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            output::print_usage(&error);
            return ExitCode::from(if error.use_stderr() { failure::EXIT_USAGE } else { 0 });
        }
    };
    match cli::run(arguments).and_then(|code| output::finish().map(|()| code).map_err(Failure::from)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(if failure.code == 0 { EXIT_FAILED } else { failure.code })
        }
    }
}

/// What every command ends with: an exit code, or a failure that names one.
pub(crate) type Outcome = Result<u8, Failure>;
