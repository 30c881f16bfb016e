//! Which executions does a command look at?

use analyzer::model::{Name, Status, Timestamp};
use clap::Args;
use queries::ExecutionFilter;

use super::{Context, Range};
use crate::failure::Failure;

/// Conditions that an execution has to meet, all of them.
#[derive(Args, Clone, Default)]
pub(crate) struct Selection {
    /// Only executions of this status, such as FAILED.
    #[arg(long)]
    status: Option<String>,
    /// Only executions that met this error: that ended with it, or of which an attempt or a caught state failed with it.
    #[arg(long)]
    error: Option<String>,
    /// Only executions of this version or alias: its ARN, or what stands behind the machine's ARN.
    #[arg(long)]
    version: Option<String>,
    /// Only executions with this text in their ARN, in an error that they met, or in what is kept of their inputs and outputs.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only executions that took this way: their outermost states in order, such as "Validate > Charge".
    #[arg(long, value_name = "STATES")]
    path: Option<String>,
    /// Only executions with this business key in their input, such as $.orderId=A-1: what `index` keeps.
    #[arg(long, value_name = "PATH=VALUE")]
    key: Option<String>,
    #[command(flatten)]
    range: Range,
}

impl Selection {
    /// The range, where nothing else is asked for: sums by the hour know nothing of single executions.
    pub(crate) fn only_range(&self, context: &Context) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
        if self.is_more_than_a_range() {
            return Err(Failure::usage("--approximate selects by machine and range only")
                .hint("leave --approximate out to select executions in other ways"));
        }
        context.range(&self.range)
    }

    /// Whether it asks for more than a range of time.
    pub(crate) fn is_more_than_a_range(&self) -> bool {
        [&self.status, &self.error, &self.version, &self.search, &self.path, &self.key].iter().any(|it| it.is_some())
    }

    pub(crate) fn filter(&self, context: &Context, machine_arn: Option<Name>) -> Result<ExecutionFilter, Failure> {
        let (since, until) = context.range(&self.range)?;
        Ok(ExecutionFilter {
            machine_arn,
            status: self.status.as_deref().map(parse_status).transpose()?,
            error: self.error.clone(),
            version: self.version.clone(),
            search: self.search.clone(),
            path: self.path.as_deref().map(way),
            key: self.key.as_deref().map(|it| key(context, it)).transpose()?,
            since,
            until,
            ..ExecutionFilter::default()
        })
    }
}

/// A key as it is stored: hashed where the settings say so.
fn key(context: &Context, text: &str) -> Result<(String, String), Failure> {
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("`{text}` is no key")).hint("write PATH=VALUE, such as $.orderId=A-1"))?;
    Ok((path.to_owned(), context.config.privacy()?.key(value)))
}

/// A way as it is stored; `>` may stand for the arrow.
fn way(text: &str) -> String {
    text.split(['>', '→']).map(str::trim).collect::<Vec<_>>().join(" → ")
}

fn parse_status(text: &str) -> Result<Status, Failure> {
    Status::parse(&text.to_ascii_uppercase()).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        Failure::usage(format!("`{text}` is no status")).hint(format!("use one of {known}"))
    })
}
