//! What is made of compared executions beside the comparison: the slices that carry the difference, and the errors they met.

use analyzer::compare::Side;
use analyzer::digest::{Digest, MetError};
use analyzer::error_groups::{ErrorGroup, ErrorGroups};
use analyzer::model::Name;
use analyzer::slices::{Slice, Slices};
use queries::Reader;

use crate::failure::Failure;

/// Executions whose causes are read at once.
const TOGETHER: usize = 5_000;

/// By default nothing is made.
#[derive(Default)]
pub(super) struct Beside {
    slices: Option<Slices>,
    met: Option<Vec<Met>>,
    /// What was found, once all executions are in.
    pub(super) found: Vec<Slice>,
    pub(super) errors: Vec<ErrorGroup>,
}

/// An execution that met errors.
struct Met {
    id: u64,
    arn: Name,
    side: Side,
    errors: Vec<MetError>,
}

impl Beside {
    pub(super) fn with_slices() -> Self {
        Self { slices: Some(Slices::default()), ..Self::default() }
    }

    pub(super) fn with_errors() -> Self {
        Self { met: Some(Vec::new()), ..Self::with_slices() }
    }

    pub(super) fn add(&mut self, id: u64, it: &Digest, side: Side) {
        if let Some(slices) = &mut self.slices {
            slices.add(it, side);
        }
        if let Some(met) = self.met.as_mut().filter(|_| !it.sums.errors.is_empty()) {
            met.push(Met { id, arn: it.arn.clone(), side, errors: it.sums.errors.clone() });
        }
    }

    pub(super) fn finish(&mut self, reader: &Reader) -> Result<(), Failure> {
        self.found = self.slices.take().map(Slices::finish).unwrap_or_default();
        self.errors = errors(reader, &self.met.take().unwrap_or_default())?;
        Ok(())
    }
}

/// The errors in groups. Their causes are read, where they are kept.
fn errors(reader: &Reader, met: &[Met]) -> Result<Vec<ErrorGroup>, Failure> {
    let mut groups = ErrorGroups::default();
    for chunk in met.chunks(TOGETHER) {
        let ids: Vec<u64> = chunk.iter().map(|it| it.id).collect();
        let causes = reader.causes(&ids)?;
        for it in chunk {
            groups.add(&it.arn, &it.errors, it.side, |event| causes.get(&(it.id, event)).map(String::as_str));
        }
    }
    Ok(groups.finish())
}
