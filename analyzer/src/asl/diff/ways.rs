//! Where do the states lead that led elsewhere?

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ChangeKind, Found, Names};
use crate::asl::{State, StateMachine};
use crate::model::Name;

/// Where the states lead, one sentence for each way that is another one.
pub(super) fn compare(old: &State, new: &State, path: &str, inserted: &[&Name], found: &mut Found<'_>) {
    let name = &new.name;
    let names = found.names;
    let (was, is) = (old.next.as_ref().map(|it| names.now(it).clone()), new.next.clone());
    let what = match (&was, &is) {
        (Some(was), Some(is)) if was != is => Some(format!("`{name}` leads to `{is}` instead of `{was}`")),
        (None, Some(is)) if old.end => Some(format!("`{name}` leads to `{is}` and no longer ends the way")),
        (Some(was), None) if new.end => Some(format!("`{name}` ends the way; it led to `{was}`")),
        _ => None,
    };
    // That a new state stands between is told with the new state.
    let is_told = is.as_ref().is_some_and(|it| inserted.contains(&it));
    if let Some(what) = what.filter(|_| !is_told) {
        found.add(format!("{path}/Next"), ChangeKind::Changed, &[name], what);
    }
    let was: Vec<Name> = old.choices.iter().map(|it| names.now(it).clone()).collect();
    let is = new.choices.clone();
    let old_default = was.last().filter(|_| old.has_default);
    let new_default = is.last().filter(|_| new.has_default);
    if old_default != new_default {
        let said = |it: Option<&Name>| it.map_or_else(|| "nowhere".to_owned(), |it| format!("to `{it}`"));
        let what =
            format!("where no rule of `{name}` holds, it leads {} instead of {}", said(new_default), said(old_default));
        found.add(format!("{path}/Default"), ChangeKind::Changed, &[name], what);
    }
    let sorted = |it: &[Name]| it.iter().cloned().collect::<BTreeSet<_>>();
    let (before, after) = (sorted(&was), sorted(&is));
    let quoted = |it: Vec<&Name>| it.into_iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let more: Vec<&Name> = after.difference(&before).filter(|it| Some(*it) != new_default).collect();
    let fewer: Vec<&Name> = before.difference(&after).filter(|it| Some(*it) != old_default).collect();
    let what = match (more.is_empty(), fewer.is_empty()) {
        (true, true) => return,
        (false, true) => format!("`{name}` may lead to {}, too", quoted(more)),
        (true, false) => format!("`{name}` leads no more to {}", quoted(fewer)),
        (false, false) => format!("`{name}` leads to {} instead of {}", quoted(more), quoted(fewer)),
    };
    found.add(format!("{path}/Choices"), ChangeKind::Changed, &[name], what);
}

/// The rules of a Choice but where they lead.
pub(super) fn without_ways(rules: Option<&Value>) -> Option<Value> {
    let mut rules = rules?.clone();
    for rule in rules.as_array_mut()? {
        if let Some(rule) = rule.as_object_mut() {
            rule.shift_remove("Next");
        }
    }
    Some(rules)
}

/// Between which states a new one stands, where it was put into a way that was there.
pub(super) fn between(state: &State, old: &StateMachine, new: &StateMachine, names: Names<'_>) -> Option<String> {
    let next = state.next.as_ref()?;
    let now = |it: &Name| names.now(it).clone();
    if new.start_at == state.name && now(&old.start_at) == *next {
        return Some(format!(" before `{next}`, at the start"));
    }
    let before = new.states.iter().find(|it| it.next.as_ref() == Some(&state.name))?;
    let led = old.states.iter().find(|it| now(&it.name) == before.name)?.next.as_ref().map(now);
    (led.as_ref() == Some(next)).then(|| format!(" between `{}` and `{next}`", before.name))
}
