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

/// When a Choice leads where, told by where it leads.
fn compare_rules(old: &State, new: &State, names: Names<'_>) -> Vec<String> {
    let name = &new.name;
    let (before, after) = (rules(old, Some(names)), rules(new, None));
    let targets: BTreeSet<&Name> = before.iter().chain(&after).map(|it| &it.0).collect();
    let of = |all: &[Rule], target: &Name| {
        all.iter().filter(|it| it.0 == *target).map(|it| it.1.clone()).collect::<Vec<_>>()
    };
    let mut said = Vec::new();
    for target in targets {
        let (was, is) = (of(&before, target), of(&after, target));
        if was == is {
            continue;
        }
        let (when_was, when_is) = (when(&was), when(&is));
        said.push(match (was.is_empty(), is.is_empty()) {
            (true, _) => format!("`{name}` leads to `{target}`, too, {when_is}"),
            (_, true) => format!("`{name}` leads no more to `{target}`, {when_was}"),
            _ if when_was == when_is => format!("`{name}` keeps something else where it leads to `{target}`"),
            _ => format!("`{name}` leads to `{target}` {when_is} instead of {when_was}"),
        });
    }
    if said.is_empty() && before != after {
        said.push(format!("the rules of `{name}` stand in another order"));
    }
    said
}

/// Where a rule leads, and the rest of it.
type Rule = (Name, Value);

fn rules(state: &State, names: Option<Names<'_>>) -> Vec<Rule> {
    let written = state.fields.get("Choices").and_then(Value::as_array).into_iter().flatten();
    let rule = |it: &Value| {
        let mut rest = it.as_object()?.clone();
        rest.shift_remove("Comment");
        let target = Name::from(rest.shift_remove("Next")?.as_str()?);
        let target = names.map_or_else(|| target.clone(), |names| names.now(&target).clone());
        Some((target, Value::Object(rest)))
    };
    written.filter_map(rule).collect()
}

fn when(rules: &[Value]) -> String {
    rules.iter().map(|it| format!("when {}", condition(it))).collect::<Vec<_>>().join(" or ")
}

/// A comparison in words: `$.a NumericEquals 1 and not $.b IsPresent true`.
fn condition(rule: &Value) -> String {
    let Some(fields) = rule.as_object() else { return rule.to_string() };
    if let Some(condition) = fields.get("Condition") {
        return condition.as_str().map_or_else(|| condition.to_string(), str::to_owned);
    }
    let parts = |all: &Value, word: &str| {
        let all = all.as_array().into_iter().flatten().map(condition).collect::<Vec<_>>();
        format!("({})", all.join(word))
    };
    let beside = ["Variable", "Assign", "Output"];
    let comparison = fields.iter().find(|it| !beside.contains(&it.0.as_str()));
    match comparison.map(|it| (it.0.as_str(), it.1)) {
        Some(("And", all)) => parts(all, " and "),
        Some(("Or", all)) => parts(all, " or "),
        Some(("Not", inner)) => format!("not {}", condition(inner)),
        Some((operator, value)) => {
            let variable = fields.get("Variable").and_then(Value::as_str).unwrap_or("?");
            format!("{variable} {operator} {value}")
        }
        None => "?".to_owned(),
    }
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
