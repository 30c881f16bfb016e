//! The sums of one execution (`analyzer::digest`) as one value, for the same reason as its events (`packed.rs`).
//!
//! Names are ids, times are milliseconds unless a flag says otherwise, and a state that was visited once, on the path and
//! without a retry, as most are, says so in a flag.

use analyzer::digest::{Branch, Fate, MetError, StateSums, Sums};
use analyzer::model::{Micros, Name, StateType, Timestamp};
use analyzer::timeline::Category;

use crate::StoreError;
use crate::names::Names;
use crate::varint::{damaged, put, take, unzigzag, zigzag};

const MICROSECONDS: u64 = 1;
const KIND: u64 = 0x07;
const ONCE: u64 = 0x08;
const IN_ITEMS: u64 = 0x10;
const MAP: u64 = 0x20;
const ITEMS: u64 = 0x40;
const RESOURCE: u64 = 0x80;

/// Packs the sums of an execution that started at an instant.
pub(crate) fn pack(sums: &Sums, start: Timestamp, names: &mut Names, bytes: &mut Vec<u8>) {
    let unit = unit(sums, start);
    let mut it = Packing { bytes, names, unit };
    it.count(if unit == 1 { MICROSECONDS } else { 0 });
    it.opt_name(sums.alias_arn.as_ref());
    it.count(sums.input_bytes.map_or(0, |it| it + 1));
    it.opt_name(sums.failed_in.as_ref());
    it.times(&sums.own);
    it.count(sums.states.len() as u64);
    sums.states.iter().for_each(|state| it.state(state));
    it.count(sums.branches.len() as u64);
    for branch in &sums.branches {
        it.name(&branch.choice);
        it.name(&branch.next);
        it.count(branch.times << 1 | u64::from(branch.is_inside_items));
    }
    for error in &sums.errors {
        it.count(error.event);
        it.count(zigzag((error.at.0 - start.0) / unit));
        it.opt_name(error.state.as_ref());
        it.name(&error.error);
        it.count(error.fate as u64);
    }
}

/// Microseconds in the unit that all times are whole numbers of.
fn unit(sums: &Sums, start: Timestamp) -> i64 {
    let states = sums.states.iter().flat_map(|it| it.critical.iter().map(|it| it.1.0).chain([it.span.0]));
    let errors = sums.errors.iter().map(|it| it.at.0 - start.0);
    let mut all = sums.own.iter().map(|it| it.1.0).chain(states).chain(errors);
    if all.all(|it| it % 1_000 == 0) { 1_000 } else { 1 }
}

struct Packing<'a> {
    bytes: &'a mut Vec<u8>,
    names: &'a mut Names,
    unit: i64,
}

impl Packing<'_> {
    fn count(&mut self, n: u64) {
        put(self.bytes, n);
    }

    fn name(&mut self, name: &Name) {
        let id = self.names.id_of(name);
        self.count(id.into());
    }

    fn opt_name(&mut self, name: Option<&Name>) {
        match name {
            Some(name) => self.name(name),
            None => self.count(0),
        }
    }

    fn time(&mut self, time: Micros) {
        self.count(zigzag(time.0 / self.unit));
    }

    fn times(&mut self, times: &[(Category, Micros)]) {
        self.count(times.len() as u64);
        for (category, time) in times {
            self.count(*category as u64);
            self.time(*time);
        }
    }

    fn state(&mut self, it: &StateSums) {
        let is_once = (it.visits, it.on_path, it.retries) == (1, 1, 0);
        let flags = [
            (ONCE, is_once),
            (IN_ITEMS, it.is_inside_items),
            (MAP, it.map.is_some()),
            (ITEMS, it.items > 0),
            (RESOURCE, it.resource.is_some()),
        ];
        let flags = flags.into_iter().filter(|it| it.1).fold(it.kind as u64, |all, it| all | it.0);
        self.name(&it.state);
        self.count(flags);
        if !is_once {
            self.count(it.visits);
            self.count(it.on_path);
            self.count(it.retries);
        }
        it.map.iter().for_each(|it| self.name(it));
        if it.items > 0 {
            self.count(it.items);
        }
        it.resource.iter().for_each(|it| self.name(it));
        self.time(it.span);
        self.times(&it.critical);
    }
}

/// The inverse of packing; `name` knows the names by their ids.
pub(crate) fn unpack<'a>(
    bytes: &[u8],
    start: Timestamp,
    name: impl Fn(u64) -> Option<&'a Name>,
) -> Result<Sums, StoreError> {
    let mut it = Unpacking { rest: bytes, name, unit: 1 };
    it.unit = if it.count()? & MICROSECONDS == 0 { 1_000 } else { 1 };
    let mut sums = Sums {
        alias_arn: it.opt_name()?,
        input_bytes: it.count()?.checked_sub(1),
        failed_in: it.opt_name()?,
        own: it.times()?,
        ..Sums::default()
    };
    for _ in 0..it.count()? {
        sums.states.push(it.state()?);
    }
    for _ in 0..it.count()? {
        let (choice, next, times) = (it.name()?, it.name()?, it.count()?);
        sums.branches.push(Branch { choice, next, times: times >> 1, is_inside_items: times & 1 == 1 });
    }
    while !it.rest.is_empty() {
        sums.errors.push(MetError {
            event: it.count()?,
            at: Timestamp(start.0.wrapping_add(it.time()?.0)),
            state: it.opt_name()?,
            error: it.name()?,
            fate: *Fate::ALL.get(it.place()?).ok_or_else(damaged)?,
        });
    }
    Ok(sums)
}

struct Unpacking<'b, F> {
    rest: &'b [u8],
    name: F,
    unit: i64,
}

impl<'a, F: Fn(u64) -> Option<&'a Name>> Unpacking<'_, F> {
    fn count(&mut self) -> Result<u64, StoreError> {
        take(&mut self.rest)
    }

    fn place(&mut self) -> Result<usize, StoreError> {
        usize::try_from(self.count()?).map_err(|_| damaged())
    }

    fn opt_name(&mut self) -> Result<Option<Name>, StoreError> {
        let id = self.count()?;
        if id == 0 { Ok(None) } else { (self.name)(id).cloned().map(Some).ok_or_else(damaged) }
    }

    fn name(&mut self) -> Result<Name, StoreError> {
        self.opt_name()?.ok_or_else(damaged)
    }

    fn time(&mut self) -> Result<Micros, StoreError> {
        Ok(Micros(unzigzag(self.count()?).wrapping_mul(self.unit)))
    }

    fn times(&mut self) -> Result<Vec<(Category, Micros)>, StoreError> {
        let n = self.place()?;
        let mut times = Vec::with_capacity(n.min(Category::ALL.len()));
        for _ in 0..n {
            let category = *Category::ALL.get(self.place()?).ok_or_else(damaged)?;
            times.push((category, self.time()?));
        }
        Ok(times)
    }

    fn state(&mut self) -> Result<StateSums, StoreError> {
        let (state, flags) = (self.name()?, self.count()?);
        let kind = usize::try_from(flags & KIND).ok().and_then(|it| StateType::ALL.get(it)).ok_or_else(damaged)?;
        let has = |flag: u64| flags & flag != 0;
        let (visits, on_path, retries) =
            if has(ONCE) { (1, 1, 0) } else { (self.count()?, self.count()?, self.count()?) };
        Ok(StateSums {
            state,
            kind: *kind,
            is_inside_items: has(IN_ITEMS),
            visits,
            on_path,
            retries,
            map: if has(MAP) { Some(self.name()?) } else { None },
            items: if has(ITEMS) { self.count()? } else { 0 },
            resource: if has(RESOURCE) { Some(self.name()?) } else { None },
            span: self.time()?,
            critical: self.times()?,
            cold_start: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_name() -> impl Strategy<Value = Name> {
        "[a-d]".prop_map(Name::from)
    }

    fn any_time() -> impl Strategy<Value = Micros> {
        prop_oneof![(0..90_000_000_i64).prop_map(|it| it * 1_000), 0..90_000_000_i64].prop_map(Micros)
    }

    fn any_times() -> impl Strategy<Value = Vec<(Category, Micros)>> {
        prop::collection::vec((prop::sample::select(&Category::ALL[..]), any_time()), 0..4)
    }

    prop_compose! {
        fn any_state()(
            (state, map, resource) in (any_name(), prop::option::of(any_name()), prop::option::of(any_name())),
            kind in prop::sample::select(&StateType::ALL[..]),
            (visits, on_path, retries, items) in (0..3_u64, 0..3_u64, 0..3_u64, 0..300_u64),
            (is_inside_items, span, critical) in (any::<bool>(), any_time(), any_times()),
        ) -> StateSums {
            StateSums { state, kind, map, is_inside_items, visits, on_path, retries, span, items, resource, critical, cold_start: None }
        }
    }

    prop_compose! {
        fn any_error()(
            (event, at, state, error) in (any::<u32>(), any_time(), prop::option::of(any_name()), any_name()),
            fate in prop::sample::select(&Fate::ALL[..]),
        ) -> MetError {
            MetError { event: event.into(), at: Timestamp(START.0 + at.0), state, error, fate }
        }
    }

    prop_compose! {
        fn any_sums()(
            (alias_arn, failed_in) in (prop::option::of(any_name()), prop::option::of(any_name())),
            input_bytes in prop::option::of(0..300_000_u64),
            own in any_times(),
            states in prop::collection::vec(any_state(), 0..6),
            branches in prop::collection::vec((any_name(), any_name(), 0..9_u64, any::<bool>()), 0..4),
            errors in prop::collection::vec(any_error(), 0..4),
        ) -> Sums {
            let branch = |(choice, next, times, is_inside_items)| Branch { choice, next, times, is_inside_items };
            let branches = branches.into_iter().map(branch).collect();
            Sums { alias_arn, input_bytes, failed_in, own, states, branches, errors }
        }
    }

    const START: Timestamp = Timestamp(1_793_000_000_000_000);

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_sums_come_back_as_they_were(sums in any_sums()) {
            let mut names = Names::default();
            let mut bytes = Vec::new();
            pack(&sums, START, &mut names, &mut bytes);
            let known = ["a", "b", "c", "d"].map(|it| (u64::from(names.id(it)), Name::from(it)));
            let name = |id: u64| known.iter().find(|it| it.0 == id).map(|it| &it.1);
            prop_assert_eq!(unpack(&bytes, START, name).ok(), Some(sums));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let name = Name::from("a");
            let _ = unpack(&bytes, START, |it| (it < 5).then_some(&name));
        }
    }
}
