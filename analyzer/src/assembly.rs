//! Which events belong together? A log group interleaves many executions; this collects each one's.
//!
//! An execution is handed on as soon as its closing event and all events before it are there, or when too many events
//! are held. Nothing depends on that: what comes later is merged with what was handed on earlier, and merging is
//! commutative, associative and idempotent.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::model::{Detail, Event, ExecutionRecord, Name, Payload};

/// Room for so many events is made at once: most executions have more.
const FIRST_EVENTS: usize = 16;
/// Lists kept to be filled again, and the longest that is worth keeping.
const SPARE: usize = 2_000;
const LARGEST_SPARE: usize = 128;

/// What has been seen of one execution since it was last handed on.
#[derive(Clone, Debug)]
pub struct Assembly {
    pub execution_arn: Name,
    /// In ascending order of id, each id once, after [`Assembly::settle`].
    pub events: Vec<Event>,
    pub record: Option<ExecutionRecord>,
    /// Events seen more than once.
    pub duplicates: u64,
    /// Ids of events that came twice with different types: only one of the two can be true.
    pub conflicts: Vec<u64>,
    touched: u64,
    closing_id: u64,
}

/// Collects events by execution, holding at most about `capacity` of them.
#[derive(Debug)]
pub struct Assembler {
    open: FxHashMap<Name, Assembly>,
    held: usize,
    capacity: usize,
    clock: u64,
    /// Emptied lists of events, to be filled again.
    spare: Vec<Vec<Event>>,
}

impl Assembler {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { open: FxHashMap::default(), held: 0, capacity, clock: 0, spare: Vec::new() }
    }

    /// Takes an event in; returns its execution when that is complete.
    pub fn add_event(&mut self, execution_arn: &Name, event: Event) -> Option<Assembly> {
        self.held += 1;
        self.clock += 1;
        let assembly = if let Some(known) = self.open.get_mut(execution_arn) {
            known
        } else {
            let events = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(FIRST_EVENTS));
            let assembly = Assembly::new(execution_arn.clone(), events);
            self.open.entry(execution_arn.clone()).or_insert(assembly)
        };
        assembly.touched = self.clock;
        if event.kind.closes_execution() {
            assembly.closing_id = assembly.closing_id.max(event.id);
        }
        assembly.events.push(event);
        let complete = assembly.closing_id > 0 && assembly.events.len() as u64 >= assembly.closing_id;
        if !complete {
            return None;
        }
        let assembly = self.open.remove(execution_arn)?;
        self.held -= assembly.events.len();
        Some(assembly)
    }

    pub fn add_record(&mut self, execution_arn: Name, record: ExecutionRecord) {
        self.clock += 1;
        self.held += 1;
        let assembly =
            self.open.entry(execution_arn.clone()).or_insert_with(|| Assembly::new(execution_arn, Vec::new()));
        assembly.touched = self.clock;
        assembly.record = Some(match assembly.record.take() {
            Some(known) => known.merged(record),
            None => record,
        });
    }

    /// Takes back a list of events that nobody needs any more: its memory serves the next execution.
    pub fn recycle(&mut self, mut events: Vec<Event>) {
        if self.spare.len() < SPARE && events.capacity() <= LARGEST_SPARE {
            events.clear();
            self.spare.push(events);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether more is held than should be.
    pub fn is_full(&self) -> bool {
        self.held > self.capacity
    }

    /// Hands on the half that has been quiet for longest.
    pub fn take_quiet(&mut self) -> Vec<Assembly> {
        let mut touched: Vec<u64> = self.open.values().map(|it| it.touched).collect();
        let middle = touched.len() / 2;
        let limit = *touched.select_nth_unstable(middle).1;
        let quiet: Vec<Name> =
            self.open.values().filter(|it| it.touched <= limit).map(|it| it.execution_arn.clone()).collect();
        let taken = quiet.iter().filter_map(|arn| self.open.remove(arn)).collect::<Vec<_>>();
        self.held -= taken.iter().map(Assembly::weight).sum::<usize>().min(self.held);
        taken
    }

    /// Hands on everything.
    pub fn take_all(&mut self) -> Vec<Assembly> {
        self.held = 0;
        let mut all: Vec<Assembly> = self.open.drain().map(|(_, it)| it).collect();
        all.sort_by_key(|it| it.touched);
        all
    }
}

impl Assembly {
    fn new(execution_arn: Name, events: Vec<Event>) -> Self {
        Self { execution_arn, events, record: None, duplicates: 0, conflicts: Vec::new(), touched: 0, closing_id: 0 }
    }

    fn weight(&self) -> usize {
        self.events.len() + usize::from(self.record.is_some())
    }

    /// Puts the events into order and merges those that came more than once.
    pub fn settle(&mut self) {
        if self.events.windows(2).all(|pair| pair[0].id < pair[1].id) {
            return;
        }
        self.events.sort_by_key(|it| it.id);
        let mut settled: Vec<Event> = Vec::with_capacity(self.events.len());
        for event in self.events.drain(..) {
            match settled.last_mut().filter(|it| it.id == event.id) {
                Some(known) => {
                    self.duplicates += 1;
                    if known.kind != event.kind {
                        self.conflicts.push(event.id);
                    }
                    merge(known, event);
                }
                None => settled.push(event),
            }
        }
        self.events = settled;
    }

    /// Joins what was handed on earlier of the same execution.
    pub fn absorb_other(&mut self, other: Self) {
        self.conflicts.extend(other.conflicts);
        let duplicates = self.duplicates;
        self.absorb(other.events, other.record);
        self.duplicates = duplicates;
    }

    /// Adds what is already stored of this execution. Returns how many of its events are new.
    pub fn absorb(&mut self, stored: Vec<Event>, record: Option<ExecutionRecord>) -> u64 {
        self.settle();
        let n_stored = stored.len();
        let fresh = std::mem::take(&mut self.events);
        self.events = stored;
        self.events.extend(fresh);
        let duplicates = self.duplicates;
        self.settle();
        self.duplicates = duplicates;
        self.record = match (self.record.take(), record) {
            (Some(a), Some(b)) => Some(a.merged(b)),
            (a, b) => a.or(b),
        };
        (self.events.len() - n_stored) as u64
    }
}

/// A fingerprint of everything stored of an execution; it does not depend on the order of its events.
pub fn fingerprint(events: &[Event], record: Option<&ExecutionRecord>) -> u64 {
    let events = events.iter().fold(0_u64, |sum, event| sum.wrapping_add(hash_event(event)));
    let record = record.map_or(0, |it| hash_of(&format!("{it:?}")));
    events ^ record.rotate_left(17)
}

/// A fingerprint of a text, such as an ARN.
pub fn hash_of(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    // FxHash leaves the high bits weak in short texts; one multiplication spreads them.
    let it = hasher.finish();
    (it ^ (it >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn hash_event(event: &Event) -> u64 {
    let mut hasher = FxHasher::default();
    (event.id, event.previous, event.at.0, &event.kind, &event.name, &event.resource, event.number, event.log_bytes)
        .hash(&mut hasher);
    if let Some(detail) = &event.detail {
        (&detail.error, &detail.map_run_arn, &detail.child_execution_arn, &detail.version_arn, &detail.rest)
            .hash(&mut hasher);
        for payload in &detail.payloads {
            (payload.field, &payload.body).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Merges a second telling of an event into the first; the result does not depend on which came first.
fn merge(known: &mut Event, other: Event) {
    if *known == other {
        return;
    }
    if known.kind != other.kind {
        if rank(&other) > rank(known) {
            *known = other;
        }
        return;
    }
    known.previous = known.previous.max(other.previous);
    known.at = known.at.min(other.at);
    take_larger(&mut known.name, other.name);
    take_larger(&mut known.resource, other.resource);
    take_larger(&mut known.number, other.number);
    known.log_bytes = known.log_bytes.max(other.log_bytes);
    known.detail = match (known.detail.take(), other.detail) {
        (Some(mut a), Some(b)) => {
            merge_detail(&mut a, *b);
            Some(a)
        }
        (a, b) => a.or(b),
    };
}

/// A total order over tellings that contradict one another.
fn rank(event: &Event) -> (&str, i64, u64, Option<&Name>, u64) {
    (event.kind.as_str(), event.at.0, event.previous, event.name.as_ref(), hash_event(event))
}

fn merge_detail(known: &mut Detail, other: Detail) {
    take_larger(&mut known.error, other.error);
    take_larger(&mut known.map_run_arn, other.map_run_arn);
    take_larger(&mut known.child_execution_arn, other.child_execution_arn);
    take_larger(&mut known.version_arn, other.version_arn);
    take_longer(&mut known.rest, other.rest);
    for payload in other.payloads {
        match known.payloads.iter_mut().find(|it| it.field == payload.field) {
            Some(it) => take_longer_payload(it, payload),
            None => known.payloads.push(payload),
        }
    }
    known.payloads.sort_by_key(|it| it.field);
}

fn take_larger<T: Ord>(known: &mut Option<T>, other: Option<T>) {
    if other > *known {
        *known = other;
    }
}

/// The longer text tells more; of equally long ones the greater, so that the order of merging does not matter.
fn take_longer(known: &mut Option<Box<str>>, other: Option<Box<str>>) {
    let key = |it: &Option<Box<str>>| it.as_ref().map(|text| (text.len(), text.clone()));
    if key(&other) > key(known) {
        *known = other;
    }
}

fn take_longer_payload(known: &mut Payload, other: Payload) {
    if (other.body.len(), &other.body) > (known.body.len(), &known.body) {
        *known = other;
    }
}
