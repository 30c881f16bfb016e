//! Which transitions came first? An account's free tier is used up in the order of time, whatever is asked for.

use std::collections::BinaryHeap;

use crate::model::{Name, Timestamp};

/// The place of a transition in the order of an account: by time, then by the ARN of its execution, then by event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub at: Timestamp,
    pub execution_arn: Name,
    pub event: u64,
}

/// The first so many of what is added, in whatever order that comes.
#[derive(Clone, Debug)]
pub struct First<T> {
    limit: usize,
    heap: BinaryHeap<Placed<T>>,
}

#[derive(Clone, Debug)]
struct Placed<T> {
    place: Place,
    item: T,
}

impl<T> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Placed<T> {}

impl<T> PartialOrd for Placed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Placed<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl<T> First<T> {
    pub fn new(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), heap: BinaryHeap::new() }
    }

    pub fn add(&mut self, place: Place, item: T) {
        if self.heap.len() < self.limit {
            self.heap.push(Placed { place, item });
        } else if let Some(mut last) = self.heap.peek_mut().filter(|it| place < it.place) {
            *last = Placed { place, item };
        }
    }

    /// Whether something at this instant, or after it, could still be among the first.
    pub fn reaches(&self, at: Timestamp) -> bool {
        self.heap.len() < self.limit || self.heap.peek().is_some_and(|it| at <= it.place.at)
    }

    /// How many more there is room for.
    pub fn room(&self) -> usize {
        self.limit - self.heap.len()
    }

    /// The instant of the last one, once there is no more room.
    pub fn end(&self) -> Option<Timestamp> {
        self.heap.peek().filter(|_| self.room() == 0).map(|it| it.place.at)
    }

    /// In ascending order.
    pub fn into_sorted(self) -> Vec<(Place, T)> {
        self.heap.into_sorted_vec().into_iter().map(|it| (it.place, it.item)).collect()
    }
}
