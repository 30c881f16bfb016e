//! What does the database have already, in the collector's words?

use std::path::Path;

use analyzer::model::{Micros, Timestamp};
use collector::live::{Known, RunningExecution, Stored};
use queries::{KnownExecution, Reader, SubjectSpans};

use crate::failure::Failure;

/// No overlap of listings is as long as this.
const MARGIN: Micros = Micros(3_600_000_000);

pub(super) fn known(path: &Path, since: Option<Timestamp>) -> Result<Known, Failure> {
    let reader = Reader::open(path)?;
    let collected = reader.collected_spans()?;
    let histories = collected.iter().filter(|((source, _), _)| source == "history").map(|it| it.1);
    // Executions that stopped before are not listed again.
    let from = since.or_else(|| histories.map(reached).min()).map(|it| it - MARGIN);
    let mut known = Known { collected: collected.clone(), mean_events: reader.mean_events()?, ..Known::default() };
    known.newest = reader.newest_by_account()?;
    known.definitions.extend(reader.definition_fingerprints()?);
    for it in reader.known_executions(from)? {
        known.executions.insert(it.arn_hash, stored(&it));
        known.running.extend(it.running.map(|(execution_arn, machine_arn, started_at)| RunningExecution {
            execution_arn,
            machine_arn,
            started_at,
        }));
    }
    Ok(known)
}

fn stored(it: &KnownExecution) -> Stored {
    Stored { upto: it.upto, redrives: it.redrives, is_complete: it.is_complete }
}

/// Up to where everything of a subject was read.
fn reached((wanted_from, spans): &SubjectSpans) -> Timestamp {
    let end = spans.end().unwrap_or(*wanted_from);
    let missing = spans.missing(analyzer::spans::Span { from: *wanted_from, to: end });
    missing.first().map_or(end, |it| it.from)
}
