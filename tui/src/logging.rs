//! What a service says on standard error: lines for people, or JSON for programs.

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::output::Log;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging; beside a status line only what needs attention is said.
pub(crate) fn start(format: LogFormat, has_status_line: bool) {
    let level = if has_status_line { Level::ERROR } else { Level::INFO };
    // The SDKs speak of requests in detail; only our own words go out, which hold no credentials and no payloads.
    let ours = Targets::new().with_target("collector", level).with_target("stepscope", level);
    let layer =
        fmt::layer().with_writer(Log { is_json: format == LogFormat::Json }).with_ansi(false).with_target(false);
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(Registry::default().with(layer.with_filter(ours))),
        LogFormat::Json => {
            tracing::subscriber::set_global_default(Registry::default().with(layer.json().with_filter(ours)))
        }
    };
}
