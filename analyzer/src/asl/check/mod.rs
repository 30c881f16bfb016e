//! Would AWS refuse this definition, and why?

mod choice;
mod express;
mod fields;
mod handlers;
mod resources;
mod template;
mod values;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{Graph, State, StateMachine};
use crate::model::{Name, StateType};

pub use express::express_problems;

/// One reason for which a definition would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub rule: &'static str,
    /// Where, as AWS writes it: `/States/Charge/Next`.
    pub path: String,
    pub message: String,
}

/// Everything that makes a definition invalid; empty for one that AWS would take.
pub fn problems(machine: &StateMachine) -> Vec<Problem> {
    let mut found = Vec::new();
    check_machine(machine, "", language_of(&machine.fields).unwrap_or(Language::JsonPath), &mut found);
    let mut names: Vec<&Name> = machine.all_states().into_iter().map(|it| &it.name).collect();
    names.sort();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        let message = format!("the name `{}` is used by two states", pair[0]);
        found.push(Problem { rule: "duplicate_name", path: "/States".to_owned(), message });
    }
    let mut labels: Vec<&str> = machine.all_states().iter().filter_map(|it| it.fields.get("Label")?.as_str()).collect();
    labels.sort_unstable();
    for pair in labels.windows(2).filter(|pair| pair[0] == pair[1]) {
        let message = format!("the label `{}` is used by two Maps", pair[0]);
        found.push(Problem { rule: "duplicate_name", path: "/States".to_owned(), message });
    }
    found
}

/// How a state picks and shapes data. Of states inside one with a language of its own it is not known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    JsonPath,
    Jsonata,
    Unknown,
}

fn language_of(fields: &Map<String, Value>) -> Option<Language> {
    match fields.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => Some(Language::Jsonata),
        Some("JSONPath") => Some(Language::JsonPath),
        _ => None,
    }
}

/// Says what is wrong at a place below the state or machine that is looked at.
type Report<'a> = dyn FnMut(&str, String) + 'a;

fn check_machine(machine: &StateMachine, path: &str, language: Language, found: &mut Vec<Problem>) {
    let mut report = |rule: &'static str, place: &str, message: String| {
        found.push(Problem { rule, path: format!("{path}{place}"), message });
    };
    let graph = Graph::of(machine);
    // States and ways that deployment fills in may be the ones that are missed.
    let is_open = machine.fields.values().any(values::is_open) || machine.states.iter().any(has_open_way);
    if !is_open {
        check_ways(machine, &graph, &mut report);
    }
    values::check_machine(&machine.fields, &mut |place, message| report("invalid", place, message));
    for state in &machine.states {
        let here = format!("{path}/States/{}", state.name);
        for (place, target) in places_of_targets(state) {
            if !is_open && graph.state(target).is_none() {
                let message = format!("`{target}` is not among the states beside it");
                found.push(Problem { rule: "missing_target", path: format!("{here}{place}"), message });
            }
        }
        let own = language_of(&state.fields).unwrap_or(language);
        check_state(state, own, &here, found);
        express::of_children(state, &here, found);
        if language == Language::Jsonata && own == Language::JsonPath {
            let message = "a machine in JSONata has no states in JSONPath".to_owned();
            found.push(Problem { rule: "invalid", path: format!("{here}/QueryLanguage"), message });
        }
        let inside = if own == language { language } else { Language::Unknown };
        for (index, inner) in state.inner.iter().enumerate() {
            check_machine(inner, &format!("{here}/{}", state.place_of_inner(index)), inside, found);
        }
    }
}

/// Whether the way begins, ends, and comes by every state.
fn check_ways(machine: &StateMachine, graph: &Graph<'_>, report: &mut impl FnMut(&'static str, &str, String)) {
    if machine.states.is_empty() {
        return report("invalid", "/States", "a state machine needs a state".to_owned());
    }
    let reachable = graph.reachable();
    if graph.state(&machine.start_at).is_none() {
        report("missing_target", "/StartAt", format!("`{}` is not among the states", machine.start_at));
    } else {
        let is_lost = |it: &&State| reachable.as_ref().is_some_and(|all| !all.contains(&*it.name));
        for state in machine.states.iter().filter(is_lost) {
            report("unreachable", &format!("/States/{}", state.name), format!("no way leads to `{}`", state.name));
        }
    }
    if !machine.states.iter().any(is_terminal) {
        report("no_terminal_state", "/States", "no state ends the machine".to_owned());
    }
}

/// Whether where a state leads, or what it is, is filled in at deployment.
fn has_open_way(state: &State) -> bool {
    let parts = |key: &str| state.fields.get(key).and_then(Value::as_array).into_iter().flatten();
    let fields = ["Type", "Next", "End", "Default", "Choices", "Catch"];
    fields.iter().filter_map(|it| state.fields.get(*it)).any(values::is_open)
        || state.targets().any(|it| it.contains("${"))
        || parts("Choices").chain(parts("Catch")).any(values::is_open)
}

/// Where a state names those that may follow it.
fn places_of_targets(state: &State) -> Vec<(String, &Name)> {
    let mut found: Vec<(String, &Name)> = state.next.iter().map(|it| ("/Next".to_owned(), it)).collect();
    let n_rules = state.choices.len() - usize::from(state.has_default);
    for (index, target) in state.choices.iter().enumerate() {
        let place = if index < n_rules { format!("/Choices[{index}]/Next") } else { "/Default".to_owned() };
        found.push((place, target));
    }
    let catches = state.catch.iter().enumerate();
    found.extend(catches.filter_map(|(index, it)| Some((format!("/Catch[{index}]/Next"), it.next.as_ref()?))));
    found
}

fn is_terminal(state: &State) -> bool {
    let is_filled_in = state.fields.get("End").is_some_and(Value::is_string);
    state.end || is_filled_in || matches!(state.kind, Some(StateType::Succeed | StateType::Fail))
}

fn check_state(state: &State, language: Language, path: &str, found: &mut Vec<Problem>) {
    if language == Language::JsonPath {
        for field in ["Parameters", "ResultSelector", "ItemSelector", "Assign"] {
            if let Some(template) = state.fields.get(field) {
                template::check(template, &format!("{path}/{field}"), found);
            }
        }
    }
    let mut report = |place: &str, message: String| {
        found.push(Problem { rule: "invalid", path: format!("{path}{place}"), message });
    };
    let Some(kind) = state.kind else {
        if state.fields.get("Type").is_some_and(values::is_open) {
            return;
        }
        report("/Type", "a state needs one of the eight types".to_owned());
        return;
    };
    check_parts(state, kind, &mut report);
    check_fields(state, kind, language, &mut report);
    values::check_state(state, kind, language, &mut report);
    handlers::check(state, &mut report);
    if kind == StateType::Choice {
        choice::check(state, language, &mut report);
    }
}

/// Whether it has what a state of its type needs.
fn check_parts(state: &State, kind: StateType, report: &mut Report<'_>) {
    let has = |field: &str| state.fields.contains_key(field);
    let is_open = |field: &str| {
        let value = state.fields.get(field);
        value.is_some_and(values::is_open)
            || value.and_then(Value::as_array).is_some_and(|it| it.iter().any(values::is_open))
    };
    let n_waits = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"].into_iter().filter(|it| has(it)).count();
    let missing = match kind {
        StateType::Task if !has("Resource") => Some(("/Resource", "a Task needs a resource")),
        StateType::Choice if !has("Choices") => Some(("/Choices", "a Choice needs rules")),
        StateType::Parallel if state.inner.is_empty() && !is_open("Branches") => {
            Some(("/Branches", "a Parallel needs a branch"))
        }
        StateType::Map if state.inner.is_empty() && !is_open("ItemProcessor") && !is_open("Iterator") => {
            Some(("/ItemProcessor", "a Map needs an item processor"))
        }
        StateType::Map if has("ItemProcessor") && has("Iterator") => {
            Some(("/Iterator", "`ItemProcessor` and the deprecated `Iterator` exclude one another"))
        }
        StateType::Wait if n_waits == 0 => Some(("", "a Wait needs to know how long: `Seconds` or `Timestamp`")),
        _ => None,
    };
    if let Some((place, message)) = missing {
        report(place, message.to_owned());
    }
    let leads_on = !matches!(kind, StateType::Choice | StateType::Succeed | StateType::Fail);
    let is_filled_in = state.fields.get("End").is_some_and(Value::is_string);
    if leads_on && !is_filled_in && state.next.is_some() == state.end {
        report("/Next", "a state needs exactly one of `Next` and `End`".to_owned());
    }
}

/// Whether the fields it has belong to its type and its language.
fn check_fields(state: &State, kind: StateType, language: Language, report: &mut Report<'_>) {
    let has = |field: &str| state.fields.contains_key(field);
    for field in state.fields.keys() {
        let place = format!("/{field}");
        if !fields::is_allowed(kind, field) {
            report(&place, format!("a {} state has no field `{field}`", kind.as_str()));
        } else if language == Language::Jsonata && fields::JSONPATH.contains(&field.as_str()) {
            report(&place, format!("`{field}` belongs to JSONPath, and this state is in JSONata"));
        } else if language == Language::JsonPath && fields::JSONATA.contains(&field.as_str()) {
            report(&place, format!("`{field}` belongs to JSONata, and this state is in JSONPath"));
        }
    }
    for (one, other) in fields::EXCLUSIVE.iter().filter(|(one, other)| has(one) && has(other)) {
        report(&format!("/{other}"), format!("`{one}` and `{other}` exclude one another"));
    }
}
