//! `export`: hands the data on, in forms that other tools read.

mod bundle;
mod focus;
mod infracost;
mod otlp;
mod perfetto;
mod prometheus;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Context, Range};
use crate::Outcome;
use crate::failure::Failure;
use crate::output;

#[derive(Args)]
pub(crate) struct ExportArguments {
    #[command(subcommand)]
    form: Form,
    /// Write here instead of to stdout.
    #[arg(long, global = true, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Form {
    /// Executions as evidence to share, without payloads and with other account numbers; `import` reads them back.
    Bundle(bundle::BundleArguments),
    /// Executions as OpenTelemetry traces, to a file or to a collector.
    Otlp(otlp::OtlpArguments),
    /// What was billed, as FOCUS 1.2 rows: a CSV row per machine, day and charge.
    Focus {
        #[command(flatten)]
        range: Range,
    },
    /// Measured usage for `infracost breakdown --usage-file`.
    Infracost {
        #[command(flatten)]
        range: Range,
    },
    /// Every view as a Parquet file in the folder that `--out` names.
    Parquet {
        /// What grows in folders by machine and day, as lakes have it: `visits/part=orders/dt=2026-11-25/…`.
        #[arg(long)]
        partitioned: bool,
    },
    /// The timelines of executions as a trace that ui.perfetto.dev opens.
    Perfetto {
        /// Executions: their ARNs, names, or unique parts of them.
        #[arg(required = true, value_name = "EXECUTION")]
        executions: Vec<String>,
        /// Chrome's JSON, or Perfetto's own protobuf, which is smaller.
        #[arg(long, value_enum, default_value_t)]
        form: perfetto::Form,
    },
    /// Counts, durations and money of every machine in the Prometheus text format.
    Prometheus {
        #[command(flatten)]
        range: Range,
    },
}

pub(crate) fn run(context: &Context, arguments: &ExportArguments) -> Outcome {
    let text = match &arguments.form {
        Form::Bundle(it) => return bundle::run(context, it, arguments.out.as_deref()),
        Form::Otlp(it) => return otlp::run(context, it, arguments.out.as_deref()),
        Form::Focus { range } => focus::export(context, range)?.into_bytes(),
        Form::Parquet { partitioned } => return parquet(context, arguments.out.as_deref(), *partitioned),
        Form::Infracost { range } => infracost::export(context, range)?.into_bytes(),
        Form::Perfetto { executions, form } => perfetto::export(context, executions, *form)?,
        Form::Prometheus { range } => prometheus::export(context, range)?.into_bytes(),
    };
    match &arguments.out {
        Some(path) => std::fs::write(path, text).map_err(|error| {
            Failure::new(format!("`{}` cannot be written", path.display())).because(error.to_string())
        })?,
        None => match &arguments.form {
            Form::Perfetto { form: perfetto::Form::Protobuf, .. } => output::binary()?.write_all(&text)?,
            Form::Perfetto { .. } => output::json().write_all(&text)?,
            Form::Focus { .. } => output::csv().write_all(&text)?,
            _ => output::text().write_all(&text)?,
        },
    }
    Ok(0)
}

/// A file to write to, bit by bit.
fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path)
        .map_err(|error| Failure::new(format!("`{}` cannot be written", path.display())).because(error.to_string()))?;
    Ok(BufWriter::new(file))
}

fn parquet(context: &Context, folder: Option<&Path>, is_partitioned: bool) -> Outcome {
    let folder = folder.ok_or_else(|| {
        Failure::usage("Parquet files need a folder").hint("name it: `stepscope export parquet --out FOLDER`")
    })?;
    // Says plainly when there is nothing to export.
    context.reader()?;
    for (path, rows) in queries::export_parquet(&context.config.db_path(), folder, is_partitioned)? {
        eprintln!("{}: {rows} rows", path.display());
    }
    Ok(0)
}
