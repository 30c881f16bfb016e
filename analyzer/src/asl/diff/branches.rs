//! Which branch of a Parallel was which, and what changed in each? A Map's processor is its only one.

use std::collections::BTreeSet;

use super::{ChangeKind, Found, compare as compare_machines};
use crate::asl::{State, StateMachine};
use crate::model::Name;

pub(super) fn compare(old: &State, new: &State, path: &str, found: &mut Found<'_>) {
    let mut left: Vec<usize> = (0..old.inner.len()).collect();
    let mut pairs: Vec<(Option<usize>, usize)> = Vec::new();
    for (index, is) in new.inner.iter().enumerate() {
        // The one with the most states in common; of equals, the one in the same place.
        let best = left.iter().copied().max_by_key(|was| (in_common(&old.inner[*was], is, found), *was == index));
        let best = best.filter(|was| in_common(&old.inner[*was], is, found) > 0 || old.inner.len() == new.inner.len());
        left.retain(|it| Some(*it) != best);
        pairs.push((best, index));
    }
    for was in left {
        let what = format!("`{}` has no branch any more that begins at `{}`", new.name, old.inner[was].start_at);
        found.add(format!("{path}/Branches[{was}]"), ChangeKind::Removed, &[&new.name], what);
    }
    for (was, index) in pairs {
        let (is, place) = (&new.inner[index], format!("{path}/{}", new.place_of_inner(index)));
        if let Some(was) = was {
            compare_machines(&old.inner[was], is, &place, found);
        } else {
            let states: Vec<String> = is.states.iter().map(|it| format!("`{}`", it.name)).collect();
            let what = format!("`{}` has a new branch: {}", new.name, states.join(", "));
            found.add(place, ChangeKind::Added, &[&new.name], what);
        }
    }
}

fn in_common(old: &StateMachine, new: &StateMachine, found: &Found<'_>) -> usize {
    let before: BTreeSet<&Name> = old.states.iter().map(|it| found.names.now(&it.name)).collect();
    new.states.iter().filter(|it| before.contains(&it.name)).count()
}
