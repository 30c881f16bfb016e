//! What can go wrong with a machine, on purpose.

use super::plan::{Attempts, Plan, Step};

/// A change of a plan that lasts for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The state it befalls.
    pub state: &'static str,
    pub kind: IncidentKind,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    /// Work takes so many times as long.
    SlowState(u64),
    /// Attempts fail more often and are retried.
    RetryStorm(u32),
    /// The service answers that it is asked too often.
    Throttling(u32),
    /// A Map runs fewer items at once.
    ConcurrencyDrop(usize),
    /// So many calls of a thousand pay for a cold start of so many milliseconds.
    ColdStarts(u32, u64),
    /// The first way of a Choice gets this weight.
    BranchMix(u32),
    /// Payloads grow so many times.
    PayloadGrowth(usize),
    /// A new error that nothing retries.
    NewError(u32),
    /// Calls run into their time-out.
    DownstreamTimeout(u32),
    /// Maps get so many times as many items.
    FanOut(u64),
}

impl Incident {
    /// The plan while the incident lasts.
    pub fn applied_to(self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        if let IncidentKind::PayloadGrowth(factor) = self.kind {
            plan.payload *= factor;
        }
        Step::for_each(&mut plan.steps, &mut |step| {
            if step.name() == self.state {
                self.kind.change(step);
            }
        });
        plan
    }
}

impl IncidentKind {
    fn change(self, step: &mut Step) {
        match (self, step) {
            (Self::SlowState(factor), Step::Task { work, .. }) => work.typical_ms *= factor,
            (Self::RetryStorm(rate), Step::Task { attempts, .. }) => {
                attempts.fails_per_mille = rate;
                attempts.max_retries = attempts.max_retries.max(3);
                if attempts.error.is_empty() {
                    attempts.error = "States.TaskFailed";
                }
            }
            (Self::Throttling(rate), Step::Task { attempts, .. }) => {
                *attempts = Attempts {
                    is_caught: attempts.is_caught,
                    ..Attempts::failing(rate, "Lambda.TooManyRequestsException", 4)
                };
            }
            (Self::ConcurrencyDrop(limit), Step::Map { max_concurrency, .. }) => *max_concurrency = limit,
            (Self::ColdStarts(rate, ms), Step::Task { work, .. }) => {
                work.tail_per_mille = rate;
                work.typical_ms += ms * u64::from(rate) / 1_000;
            }
            (Self::BranchMix(weight), Step::Choice { ways, .. }) => {
                if let Some(first) = ways.first_mut() {
                    first.0 = weight;
                }
            }
            (Self::NewError(rate), Step::Task { attempts, .. }) => {
                *attempts = Attempts::failing(rate, "ValidationException", 0);
            }
            (Self::DownstreamTimeout(rate), Step::Task { attempts, work, .. }) => {
                *attempts = Attempts { times_out: true, ..Attempts::failing(rate, "States.Timeout", 0) };
                work.typical_ms *= 4;
            }
            (Self::FanOut(factor), Step::Map { items, .. }) => *items = (items.0 * factor, items.1 * factor),
            _ => {}
        }
    }
}
