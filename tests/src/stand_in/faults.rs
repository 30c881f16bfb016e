//! What goes wrong, and when: decided by a seed, the API and the number of the call, so that a run can be repeated.

use std::time::Duration;

use collector::synthetic::Random;
use serde_json::{Value, json};

use super::Answer;

/// Of a thousand calls so many go wrong in each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) throttled: u32,
    pub(crate) failed: u32,
    /// The connection is closed without a word.
    pub(crate) reset: u32,
    /// The answer breaks off.
    pub(crate) cut: u32,
    pub(crate) slow: u32,
    /// Pages show again what the page before has shown, in another order, or are empty.
    pub(crate) repeated: u32,
    pub(crate) shuffled: u32,
    pub(crate) empty: u32,
    /// The token of a page is not valid any more.
    pub(crate) expired_token: u32,
    /// Credentials are not valid any more.
    pub(crate) expired_credentials: u32,
}

impl Faults {
    /// Everything that can go wrong, each in one call of a hundred or so.
    pub(crate) fn all(seed: u64) -> Self {
        Self {
            seed,
            throttled: 20,
            failed: 15,
            reset: 10,
            cut: 10,
            slow: 5,
            repeated: 60,
            shuffled: 60,
            empty: 60,
            expired_token: 4,
            expired_credentials: 4,
        }
    }

    /// Chance for one call of an API.
    pub(crate) fn chance(&self, action: &str, number: u64) -> Random {
        Random::new(self.seed ^ analyzer::assembly::hash_of(&format!("{action}{number}")))
    }

    /// What happens to a call instead of an answer.
    pub(crate) fn instead(&self, random: &mut Random, has_token: bool) -> Option<Answer> {
        if random.per_mille(self.slow) {
            std::thread::sleep(Duration::from_millis(30));
        }
        let error = |status, code: &str| Some(Answer::error(status, code, "the stand-in misbehaves"));
        if random.per_mille(self.throttled) {
            return error(400, "ThrottlingException");
        }
        if random.per_mille(self.failed) {
            return error(500, "InternalFailure");
        }
        if random.per_mille(self.reset) {
            return Some(Answer::Reset);
        }
        if random.per_mille(self.cut) {
            return Some(Answer::Cut);
        }
        if random.per_mille(self.expired_credentials) {
            return error(400, "ExpiredTokenException");
        }
        if has_token && random.per_mille(self.expired_token) {
            return error(400, "InvalidToken");
        }
        None
    }

    /// A page of a list, from a place on: the items, and where the next page begins.
    pub(crate) fn page(&self, random: &mut Random, from: usize, size: usize, total: usize) -> (Vec<usize>, usize) {
        if from < total && random.per_mille(self.empty) {
            return (Vec::new(), from);
        }
        let to = (from + size).min(total);
        let again = if random.per_mille(self.repeated) { size.min(3).min(from) } else { 0 };
        let mut items: Vec<usize> = (from - again..to).collect();
        if random.per_mille(self.shuffled) {
            for index in (1..items.len()).rev() {
                items.swap(index, usize::try_from(random.below(index as u64 + 1)).unwrap_or(0));
            }
        }
        (items, to)
    }
}

/// The place that a token stands for.
pub(crate) fn place(body: &Value, key: &str) -> usize {
    body.get(key).and_then(Value::as_str).and_then(|it| it.split('.').next()?.parse().ok()).unwrap_or(0)
}

/// A token for a place; it is another one each time, as an empty page must lead on.
pub(crate) fn token(place: usize, number: u64) -> Value {
    json!(format!("{place}.{number}"))
}
