//! Redrives a failed execution: what had not succeeded runs once more, succeeds, and is the last of its flow.

use super::kinds::{ContainerKinds, Kinds};
use super::plan::Call;
use super::simulate::{Place, Simulator};

/// How a redrive runs a state again. Which of the two the service does is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// It is scheduled, or just left, without a new entry.
    Scheduled,
    /// It is entered again.
    Entered,
}

/// The longest time that a closed execution waits.
const LONGEST_WAIT_MS: u64 = 86_400_000;

impl Simulator<'_> {
    /// Redrives an execution that `failed` closed; the event that closes it for good.
    pub(super) fn redrive(&mut self, failed: usize, rerun: Rerun) -> Option<usize> {
        let at = self.events[failed].at + 1_000 + self.random.below(LONGEST_WAIT_MS).cast_signed();
        for visit in 0..self.visits.len() {
            // What the execution's end cut off.
            if self.visits[visit].end.is_none() && !self.events[self.visits[visit].entry].dropped {
                return None;
            }
        }
        let redriven = self.emit(at, "ExecutionRedriven", Some(failed), Some(failed), None, "redrive_idle");
        self.events[redriven].number = Some(1);
        self.billed += 1;
        let last = self.rerun_flows(None, redriven, failed, rerun)?;
        let at = self.events[last].at + self.little(3);
        let owner = self.events[last].owner;
        Some(self.emit(at, "ExecutionSucceeded", Some(last), Some(last), owner, "overhead"))
    }

    /// Runs the flows inside a container, or the root, again that had not succeeded; the last event of the one that ends last.
    fn rerun_flows(&mut self, parent: Option<usize>, redriven: usize, failed: usize, rerun: Rerun) -> Option<usize> {
        let begun = parent.map_or(0, |it| {
            let own = &self.visits[it].own;
            own.iter().rev().find(|&&it| self.events[it].kind.ends_with("StateStarted")).copied().unwrap_or(usize::MAX)
        });
        let is_inside = |it: &usize| {
            let visit = &self.visits[*it];
            visit.parent == parent && visit.entry > begun && !self.events[visit.entry].dropped
        };
        let inside: Vec<usize> = (0..self.visits.len()).filter(is_inside).collect();
        let mut ends = Vec::new();
        let mut flows: Vec<usize> = inside.iter().map(|&it| self.visits[it].flow).collect();
        flows.dedup();
        for flow in flows {
            let last = inside.iter().copied().filter(|&it| self.visits[it].flow == flow).max()?;
            if matches!(self.visits[last].end, Some((_, "succeeded" | "caught"))) {
                continue;
            }
            let end = self.rerun_visit(last, redriven, failed, rerun)?;
            ends.push(match (parent, self.visits[last].iteration) {
                (Some(map), Some(item)) => {
                    let at = self.events[end].at;
                    let done = self.emit(at, "MapIterationSucceeded", Some(end), Some(end), Some(map), "overhead");
                    (self.events[done].name, self.events[done].number) =
                        (Some(self.visits[map].state), Some(item.into()));
                    done
                }
                _ => end,
            });
        }
        ends.into_iter().max_by_key(|&it| (self.events[it].at, it))
    }

    fn rerun_visit(&mut self, visit: usize, redriven: usize, failed: usize, rerun: Rerun) -> Option<usize> {
        let entered = self.events[self.visits[visit].entry].kind;
        let is_container = self.visits[visit].is_container;
        let place = Place {
            parent: self.visits[visit].parent,
            iteration: self.visits[visit].iteration,
            flow: self.visits[visit].flow,
        };
        if is_container {
            let kinds = if entered == "MapStateEntered" { ContainerKinds::MAP } else { ContainerKinds::PARALLEL };
            self.reopen(visit, redriven, failed);
            let joined = self.rerun_flows(Some(visit), redriven, failed, rerun)?;
            let at = self.events[joined].at + self.little(3);
            let succeeded = self.own(visit, at, kinds.succeeded, joined, "overhead");
            let at = at + self.little(2);
            let exit = self.emit(at, kinds.exited, Some(joined), Some(succeeded), Some(visit), "overhead");
            self.events[exit].name = Some(self.visits[visit].state);
            self.visits[visit].own.push(exit);
            self.visits[visit].end = Some((at, "succeeded"));
            return Some(exit);
        }
        let is_task = entered == "TaskStateEntered";
        let was_scheduled = self.visits[visit].own.iter().any(|&it| self.events[it].kind.ends_with("Scheduled"));
        let is_entered_again = rerun == Rerun::Entered || !(is_task && was_scheduled || self.visits[visit].is_wait);
        let visit = if is_entered_again {
            self.enter(self.visits[visit].state, entered, redriven, place)
        } else {
            self.reopen(visit, redriven, failed);
            self.billed += 1;
            visit
        };
        let mut last = if is_entered_again { self.visits[visit].entry } else { redriven };
        let exited = match entered {
            "TaskStateEntered" => {
                last = self.attempt_again(visit, last);
                "TaskStateExited"
            }
            "WaitStateEntered" => "WaitStateExited",
            "PassStateEntered" => "PassStateExited",
            "ChoiceStateEntered" => "ChoiceStateExited",
            "SucceedStateEntered" => "SucceedStateExited",
            _ => return None,
        };
        let ms = self.little(4);
        Some(self.exit(visit, exited, last, ms, "succeeded"))
    }

    /// One attempt that succeeds, called as the ones before it, or as a function.
    fn attempt_again(&mut self, visit: usize, after: usize) -> usize {
        let state = self.visits[visit].state;
        let mut before = self.visits.iter().filter(|it| it.state == state).flat_map(|it| &it.own);
        let call = before.find_map(|&it| self.events[it].call).unwrap_or(Call::Invoke);
        let kinds = Kinds::of(call);
        let mut last = after;
        let work = 5 + self.random.below(50).cast_signed();
        for (kind, ms, category) in
            [(kinds.scheduled, 1, "overhead"), (kinds.started, 2, "queue"), (kinds.succeeded, work, "work")]
        {
            let at = self.events[last].at + ms;
            last = self.own(visit, at, kind, last, category);
            self.events[last].call = Some(call);
        }
        self.visits[visit].n_attempts += 1;
        last
    }

    /// Opens a visit again that ended with or before its execution, and books the time since.
    fn reopen(&mut self, visit: usize, redriven: usize, failed: usize) {
        let Some((ended, status)) = self.visits[visit].end.take() else { return };
        let it = &self.visits[visit];
        let last = it.own.last().copied().unwrap_or(it.entry);
        let has_started = it.own.iter().any(|&it| self.events[it].kind.ends_with("StateStarted"));
        let cut_off =
            (status == "aborted" && !(it.is_container && has_started)).then(|| self.cut_off_part(it, last, ended));
        let (closed, begun) = (self.events[failed].at, self.events[redriven].at);
        let parts = cut_off.into_iter().chain([("overhead", closed - ended), ("redrive_idle", begun - closed)]);
        self.visits[visit].between_runs.extend(parts);
    }
}
