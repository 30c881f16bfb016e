//! Where do the states lead that led elsewhere?

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ChangeKind, Found, Names};
use crate::asl::{Graph, State, StateMachine};
use crate::model::Name;

/// Where the states lead, one sentence for each way that is another one.
pub(super) fn compare(old: &State, new: &State, path: &str, inserted: &[Between<'_>], found: &mut Found<'_>) {
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
    let is_told =
        is.as_ref().is_some_and(|it| inserted.iter().any(|(before, new)| *before == Some(name) && *new == it));
    if let Some(what) = what.filter(|_| !is_told) {
        found.add(format!("{path}/Next"), ChangeKind::Changed, &[name], what);
    }
    let old_default = old.choices.last().filter(|_| old.has_default).map(|it| names.now(it));
    let new_default = new.choices.last().filter(|_| new.has_default);
    if old_default != new_default {
        let said = |it: Option<&Name>| it.map_or_else(|| "nowhere".to_owned(), |it| format!("to `{it}`"));
        let what =
            format!("where no rule of `{name}` holds, it leads {} instead of {}", said(new_default), said(old_default));
        found.add(format!("{path}/Default"), ChangeKind::Changed, &[name], what);
    }
    for what in compare_rules(old, new, names) {
        found.add(format!("{path}/Choices"), ChangeKind::Changed, &[name], what);
    }
}

/// Which rules lead elsewhere, are new, are gone, or stand in another order.
fn compare_rules(old: &State, new: &State, names: Names<'_>) -> Vec<String> {
    let name = &new.name;
    let (before, after) = (rules(old, Some(names)), rules(new, None));
    if before == after {
        return Vec::new();
    }
    let targets = |it: &[Rule]| it.iter().filter_map(|it| it.target.clone()).collect::<BTreeSet<_>>();
    let (was, is) = (targets(&before), targets(&after));
    let quoted = |it: Vec<&Name>| it.into_iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let (more, fewer): (Vec<&Name>, Vec<&Name>) = (is.difference(&was).collect(), was.difference(&is).collect());
    let mut said = Vec::new();
    match (more.is_empty(), fewer.is_empty()) {
        (true, true) => {}
        (false, true) => said.push(format!("`{name}` may lead to {}, too", quoted(more))),
        (true, false) => said.push(format!("`{name}` leads no more to {}", quoted(fewer))),
        (false, false) => said.push(format!("`{name}` leads to {} instead of {}", quoted(more), quoted(fewer))),
    }
    let conditions = |it: &[Rule]| it.iter().map(|it| it.condition.to_string()).collect::<Vec<_>>();
    let (were, are) = (conditions(&before), conditions(&after));
    let sorted = |it: &[String]| it.iter().cloned().collect::<BTreeSet<_>>();
    if were == are {
        if said.is_empty() {
            said.push(format!("the rules of `{name}` lead elsewhere among the same states"));
        }
    } else if sorted(&were) == sorted(&are) {
        said.push(format!("the rules of `{name}` stand in another order"));
    } else {
        said.push(format!("the rules of `{name}` are others"));
    }
    said
}

/// A rule of a Choice: when it holds, where it leads, and what it keeps is part of the condition's value.
#[derive(PartialEq)]
struct Rule {
    condition: Value,
    target: Option<Name>,
}

fn rules(state: &State, names: Option<Names<'_>>) -> Vec<Rule> {
    let written = state.fields.get("Choices").and_then(Value::as_array).into_iter().flatten();
    let rule = |it: &Value| {
        let mut condition = it.clone();
        let target = condition.as_object_mut().and_then(|it| {
            it.shift_remove("Comment");
            it.shift_remove("Next")
        });
        let target = target.as_ref().and_then(Value::as_str).map(Name::from);
        let target = target.map(|it| names.map_or_else(|| it.clone(), |names| names.now(&it).clone()));
        Rule { condition, target }
    };
    written.map(rule).collect()
}

/// A new state, and the one behind which it was put; `None` where it is the first.
pub(super) type Between<'a> = (Option<&'a Name>, &'a Name);

/// Between which states a new one stands, where it was put into a way that was there.
pub(super) fn between<'a>(
    state: &'a State,
    (old, old_graph): (&StateMachine, &Graph<'_>),
    (new, new_graph): (&StateMachine, &Graph<'a>),
    names: Names<'_>,
) -> Option<(Between<'a>, String)> {
    let next = state.next.as_ref()?;
    let now = |it: &Name| names.now(it).clone();
    if new.start_at == state.name && now(&old.start_at) == *next {
        return Some(((None, &state.name), format!(" before `{next}`, at the start")));
    }
    let before = *new_graph.before(&state.name).iter().find(|it| it.next.as_ref() == Some(&state.name))?;
    let was = old_graph.state(names.before(&before.name))?;
    let led = was.next.as_ref().map(now);
    let said = || ((Some(&before.name), &state.name), format!(" between `{}` and `{next}`", before.name));
    (led.as_ref() == Some(next)).then(said)
}
