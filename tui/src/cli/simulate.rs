//! `simulate`: synthetic logs, histories and traces on standard output, for tests and benchmarks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use collector::synthetic::{Workload, all_shapes, api_enrich, demo, history_json, log_lines, xray_documents};

use crate::Outcome;
use crate::failure::Failure;

/// The end of the simulated day when none is given: output is the same everywhere and always.
const END: &str = "2026-11-01T00:00:00Z";

#[derive(Args)]
pub(crate) struct SimulateArguments {
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    #[arg(long, default_value_t = 1_000)]
    executions: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    #[arg(long, default_value = END)]
    end: String,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Shape {
    #[default]
    Demo,
    All,
    Express,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    #[default]
    Logs,
    History,
    Xray,
}

pub(crate) fn run(arguments: &SimulateArguments) -> Outcome {
    let end = analyzer::time::parse(&arguments.end)
        .ok_or_else(|| Failure::usage(format!("`{}` is no time", arguments.end)))?;
    let (end_ms, count, seed) = (end.0 / 1_000, arguments.executions, arguments.seed);
    let mut workload = demo(count, end_ms, seed);
    match arguments.shape {
        Shape::Demo => {}
        Shape::All => workload = Workload { plans: vec![(all_shapes(), count)], incidents: Vec::new(), ..workload },
        Shape::Express => workload = Workload { plans: vec![(api_enrich(), count)], incidents: Vec::new(), ..workload },
    }
    let mut out = crate::output::json();
    match arguments.format {
        Form::Logs => write_logs(&workload, &mut out)?,
        Form::History => workload.run(|it| writeln!(out, "{}", history_json(&it)))?,
        Form::Xray => workload.run(|it| xray_documents(&it).iter().try_for_each(|it| writeln!(out, "{it}")))?,
    }
    out.flush()?;
    Ok(0)
}

/// Writes log lines in the order of time, as a log group interleaves its executions; holds only what may still come.
fn write_logs(workload: &Workload, out: &mut impl Write) -> io::Result<()> {
    let mut waiting: BinaryHeap<Reverse<(i64, u64, String)>> = BinaryHeap::new();
    let mut order = 0;
    let mut lines = Vec::new();
    workload.run(|started| {
        while waiting.peek().is_some_and(|it| it.0.0 < started.run.started_ms) {
            if let Some(Reverse((_, _, line))) = waiting.pop() {
                writeln!(out, "{line}")?;
            }
        }
        log_lines(&started, &mut lines);
        for (at, line) in lines.drain(..) {
            order += 1;
            waiting.push(Reverse((at, order, line)));
        }
        Ok::<(), io::Error>(())
    })?;
    while let Some(Reverse((_, _, line))) = waiting.pop() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
