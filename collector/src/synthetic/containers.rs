//! Runs a Parallel or a Map: its flows one after the other, what a failure in one cuts off of the others, and when they join.

use super::kinds::ContainerKinds;
use super::plan::Step;
use super::simulate::{End, Place, Simulator};

impl Simulator<'_> {
    pub(super) fn container(&mut self, step: &Step, after: usize, place: Place) -> End {
        let (name, max_retries, is_caught, is_map) = match step {
            Step::Parallel { name, max_retries, is_caught, .. } => (*name, *max_retries, *is_caught, false),
            Step::Map { name, max_retries, is_caught, .. } => (*name, *max_retries, *is_caught, true),
            _ => unreachable!("only these two are containers"),
        };
        let kinds = if is_map { ContainerKinds::MAP } else { ContainerKinds::PARALLEL };
        let visit = self.enter(name, kinds.entered, after, place);
        let mut last = self.visits[visit].entry;
        for round in 0..=max_retries {
            if round > 0 {
                self.billed += 1;
            }
            let gap = if round == 0 { self.little(5) } else { 1_000 << (round - 1).min(10) };
            let at = self.events[last].at + gap;
            let started = self.own(visit, at, kinds.started, last, if round == 0 { "overhead" } else { "backoff" });
            let outcome = match step {
                Step::Parallel { branches, .. } => self.branches(branches, visit, started),
                Step::Map { items, max_concurrency, body, .. } => {
                    let n_items = items.0 + self.random.below(items.1 - items.0 + 1);
                    self.events[started].number = Some(n_items);
                    self.items(name, body, n_items, *max_concurrency, visit, started)
                }
                _ => unreachable!("only these two are containers"),
            };
            match outcome {
                End::Done(joined) => {
                    let at = self.events[joined].at + self.little(3);
                    let succeeded = self.own(visit, at, kinds.succeeded, joined, "overhead");
                    let at = at + self.little(2);
                    // On AWS the exit links to what the round ended with, not to the event that says so.
                    let exit = self.emit(at, kinds.exited, Some(joined), Some(succeeded), Some(visit), "overhead");
                    self.events[exit].name = Some(name);
                    self.visits[visit].own.push(exit);
                    self.visits[visit].end = Some((at, "succeeded"));
                    return End::Done(exit);
                }
                End::Failed { event, error, visit: failed_in } => {
                    last = event;
                    if round < max_retries {
                        let at = self.events[event].at;
                        self.visits[failed_in].end.get_or_insert((at, "failed"));
                        continue;
                    }
                    let at = self.events[event].at + self.little(2);
                    let failed = self.own(visit, at, kinds.failed, event, "overhead");
                    // A Fail state ends with the event that follows from it.
                    self.visits[failed_in].end.get_or_insert((at, "failed"));
                    if is_caught {
                        let ms = self.little(3);
                        return End::Done(self.exit(visit, kinds.exited, failed, ms, "caught"));
                    }
                    self.visits[visit].end = Some((at, "failed"));
                    return End::Failed { event: failed, error, visit };
                }
            }
        }
        unreachable!("the last round returns")
    }

    fn branches(&mut self, branches: &[Vec<Step>], visit: usize, started: usize) -> End {
        let mut flows = Vec::new();
        for steps in branches {
            let (events, visits) = (self.events.len(), self.visits.len());
            let flow = self.new_flow();
            let end = self.flow(steps, started, Place { parent: Some(visit), iteration: None, flow });
            flows.push((end, events..self.events.len(), visits..self.visits.len()));
        }
        self.join(visit, started, flows, None)
    }

    fn items(
        &mut self,
        name: &'static str,
        body: &[Step],
        n_items: u64,
        max_concurrency: usize,
        visit: usize,
        started: usize,
    ) -> End {
        // Slots that are taken: when each is freed, by which event, and what the next iteration links to.
        let mut busy: Vec<(i64, usize, usize)> = Vec::new();
        let mut flows = Vec::new();
        let limit = if max_concurrency == 0 { 40 } else { max_concurrency };
        for item in 0..n_items {
            let (freed, link) = if busy.len() < limit {
                (started, started)
            } else {
                let slot = (0..busy.len()).min_by_key(|&it| busy[it]).unwrap_or(0);
                let (_, freed, link) = busy.swap_remove(slot);
                (freed, link)
            };
            let (events, visits) = (self.events.len(), self.visits.len());
            let (delay, category) =
                if freed == started { (self.little(2), "overhead") } else { (self.little(1), "slot_wait") };
            let at = self.events[freed].at + delay;
            let begun = self.emit(at, "MapIterationStarted", Some(link), Some(freed), Some(visit), category);
            (self.events[begun].name, self.events[begun].number) = (Some(name), Some(item));
            let iteration = u32::try_from(item).ok();
            let flow = self.new_flow();
            let end = match self.flow(body, begun, Place { parent: Some(visit), iteration, flow }) {
                End::Done(last) => {
                    let at = self.events[last].at + self.little(2);
                    let done = self.emit(at, "MapIterationSucceeded", Some(last), Some(last), Some(visit), "overhead");
                    (self.events[done].name, self.events[done].number) = (Some(name), Some(item));
                    busy.push((at, done, last));
                    End::Done(done)
                }
                failed @ End::Failed { event, .. } => {
                    busy.push((self.events[event].at, event, event));
                    failed
                }
            };
            flows.push((end, events..self.events.len(), visits..self.visits.len()));
        }
        self.join(visit, started, flows, Some(name))
    }

    /// The end of a round: that of the last flow, or the first failure, which cuts the others off.
    fn join(
        &mut self,
        container: usize,
        started: usize,
        flows: Vec<(End, std::ops::Range<usize>, std::ops::Range<usize>)>,
        map: Option<&'static str>,
    ) -> End {
        let failure = flows
            .iter()
            .enumerate()
            .filter_map(|(index, (end, ..))| match end {
                End::Failed { event, .. } => Some((self.events[*event].at, *event, index)),
                End::Done(_) => None,
            })
            .min();
        let Some((failed_at, failed_event, failed_flow)) = failure else {
            let ends = flows.iter().filter_map(|(end, ..)| match end {
                End::Done(event) => Some((self.events[*event].at, *event)),
                End::Failed { .. } => None,
            });
            let last = ends.max().map_or(started, |it| it.1);
            return End::Done(last);
        };
        let n_before = self.events.len();
        for (index, (_, events, visits)) in flows.iter().enumerate() {
            if index != failed_flow {
                self.cut_off(events.clone(), visits.clone(), failed_event);
            }
        }
        let End::Failed { error, visit, .. } =
            flows.into_iter().nth(failed_flow).map(|it| it.0).unwrap_or(End::Done(started))
        else {
            return End::Done(started);
        };
        if self.visits[visit].end.is_none() && (map.is_some() || self.events.len() > n_before) {
            // A Fail state ends with the event that follows from it; clean-up comes in the same moment.
            self.visits[visit].end = Some((failed_at, "failed"));
        }
        if let Some(name) = map {
            let item = self.visits[visit].iteration;
            let item = self.item_of(visit, container).or(item);
            let event = self.emit(
                failed_at,
                "MapIterationFailed",
                Some(failed_event),
                Some(failed_event),
                Some(container),
                "overhead",
            );
            (self.events[event].name, self.events[event].number) = (Some(name), item.map(u64::from));
        }
        End::Failed { event: failed_event, error, visit }
    }

    /// The item of a Map that a visit runs in, at any depth.
    fn item_of(&self, visit: usize, map: usize) -> Option<u32> {
        let mut at = visit;
        while let Some(parent) = self.visits[at].parent {
            if parent == map {
                return self.visits[at].iteration;
            }
            at = parent;
        }
        None
    }

    /// Drops what would have happened after a failure elsewhere; what is open then is aborted, and said to be.
    fn cut_off(&mut self, events_of: std::ops::Range<usize>, visits: std::ops::Range<usize>, failure: usize) {
        let at = self.events[failure].at;
        for event in events_of.clone() {
            if (self.events[event].at, event) > (at, failure) && !self.events[event].dropped {
                self.events[event].dropped = true;
                let is_entry = self.events[event].kind.ends_with("StateEntered");
                if is_entry || self.is_retry(event) {
                    self.billed -= 1;
                }
            }
        }
        self.emit_aborted_items(events_of, failure);
        for visit in visits.rev() {
            if self.events[self.visits[visit].entry].dropped {
                continue;
            }
            let events = &self.events;
            let it = &mut self.visits[visit];
            let n_before = it.own.len();
            it.own.retain(|&event| !events[event].dropped);
            it.n_attempts = it.own.iter().filter(|&&event| events[event].kind.ends_with("Scheduled")).count();
            let was_open = it.own.len() < n_before || it.end.is_none_or(|(end, _)| end > at);
            if was_open {
                it.end = Some((at, "aborted"));
                self.emit_abort(visit, at, failure);
            }
        }
    }

    /// Items that had begun and not ended.
    fn emit_aborted_items(&mut self, events: std::ops::Range<usize>, failure: usize) {
        let at = self.events[failure].at;
        for begun in events.clone() {
            let it = &self.events[begun];
            if it.kind != "MapIterationStarted" || it.dropped {
                continue;
            }
            let (owner, name, number) = (it.owner, it.name, it.number);
            let is_end = |it: &super::simulate::Raw| {
                it.kind.starts_with("MapIteration") && !it.dropped && it.owner == owner && it.number == number
            };
            if !self.events[begun + 1..].iter().any(is_end) {
                let event = self.emit(at, "MapIterationAborted", Some(failure), Some(failure), owner, "overhead");
                (self.events[event].name, self.events[event].number) = (name, number);
            }
        }
    }

    /// The clean-up event of a visit; it links to the failure, not to the visit.
    fn emit_abort(&mut self, visit: usize, at: i64, failure: usize) {
        let kind = match self.events[self.visits[visit].entry].kind {
            "TaskStateEntered" => "TaskStateAborted",
            "WaitStateEntered" => "WaitStateAborted",
            "ParallelStateEntered" => "ParallelStateAborted",
            "MapStateEntered" => "MapStateAborted",
            _ => return,
        };
        self.emit(at, kind, Some(failure), Some(failure), Some(visit), "overhead");
    }

    /// Whether an event is a second attempt or round of its visit, which was billed.
    fn is_retry(&self, event: usize) -> bool {
        let Some(visit) = self.events[event].owner else {
            return false;
        };
        let kind = self.events[event].kind;
        let counts = kind.ends_with("Scheduled") || matches!(kind, "MapStateStarted" | "ParallelStateStarted");
        counts && self.visits[visit].own.iter().find(|&&it| self.events[it].kind == kind) != Some(&event)
    }
}
