//! What is wrong with a definition, what is not wise, and what have its runs to say about it?
//!
//! An error is what AWS would refuse. Everything else is advice: from the best practices of the Step Functions Developer
//! Guide ("sfn-best-practices") and from what was measured. A state whose `Comment` says `stepscope:ignore RULE` is spared
//! that rule, and so is everything below a machine whose `Comment` says it.

mod deployment;
mod flow;
mod handlers;
mod map;
mod rules;
mod runs;
mod task;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::asl::{Deployment, Graph, State, StateMachine, express_problems, problems};
use crate::model::{Micros, Name, Usd, WorkflowType};

pub use rules::{RULES, Rule, rule_named};
pub use runs::{MapRuns, Runs, StateRuns};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|it| it.as_str() == text)
    }
}

/// One place where a rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// As AWS writes it: `/States/Charge/Retry[0]`.
    pub path: String,
    /// The state it is about; `None` where it is about the machine.
    pub state: Option<Name>,
    pub rule: &'static str,
    pub severity: Severity,
    pub message: String,
    pub fix: &'static str,
    /// What was measured, where it was.
    pub evidence: Option<String>,
    /// What it cost in the time that was measured, at list price, where it costs anything that is known.
    pub cost: Option<Usd>,
}

impl Finding {
    pub fn new(rule: &'static str, path: String, message: String) -> Self {
        let known = rule_named(rule).unwrap_or(&RULES[0]);
        let (severity, fix) = (known.severity, known.fix);
        Self { path, state: None, rule: known.name, severity, message, fix, evidence: None, cost: None }
    }
}

/// What is looked at: a definition, what is known of its machine, and of its runs.
pub struct Subject<'a> {
    pub machine: &'a StateMachine,
    pub deployment: &'a Deployment,
    pub runs: Option<&'a Runs>,
}

/// States from which on a machine is said to be large.
const MANY_STATES: usize = 80;

/// Checks a definition.
pub fn lint(subject: &Subject<'_>) -> Vec<Finding> {
    let Subject { machine, deployment, runs } = subject;
    let mut refused = problems(machine);
    if deployment.workflow_type == Some(WorkflowType::Express) {
        refused.extend(express_problems(machine));
    }
    let mut found: Vec<Finding> = refused.into_iter().map(|it| Finding::new(it.rule, it.path, it.message)).collect();
    deployment::check(subject, &mut found);
    let n_states = machine.all_states().len();
    if n_states > MANY_STATES {
        found.push(Finding::new("machine_large", String::new(), format!("this machine has {n_states} states")));
    }
    if let Some(runs) = runs {
        runs.check_machine(&mut found);
    }
    look(&Around::of(machine, subject), "", &mut found);
    let mut spared = Vec::new();
    note_spared(machine, "", &mut spared);
    found.retain(|it| {
        !spared.iter().any(|(path, rules)| is_below(&it.path, path) && rules.iter().any(|rule| rule == it.rule))
    });
    found
}

/// What comments spare: everything below a path, of some rules.
fn note_spared(machine: &StateMachine, path: &str, spared: &mut Vec<(String, Vec<String>)>) {
    let mut note = |path: &str, comment: Option<&Value>| {
        let rules = ignored_in(comment.and_then(Value::as_str).unwrap_or_default());
        if !rules.is_empty() {
            spared.push((path.to_owned(), rules));
        }
    };
    note(path, machine.fields.get("Comment"));
    for state in &machine.states {
        note(&format!("{path}/States/{}", state.name), state.fields.get("Comment"));
    }
    for state in &machine.states {
        for (index, inner) in state.inner.iter().enumerate() {
            note_spared(inner, &format!("{path}/States/{}/{}", state.name, state.place_of_inner(index)), spared);
        }
    }
}

fn is_below(path: &str, around: &str) -> bool {
    path.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

/// The machine that a state stands in.
struct Around<'a> {
    /// The machine itself, or the branch or item processor.
    machine: &'a StateMachine,
    graph: Graph<'a>,
    /// States of circles that ask whether something is done, by the Wait that is told.
    polling: BTreeMap<&'a Name, Vec<&'a Name>>,
    subject: &'a Subject<'a>,
    /// Whether it is the machine itself, whose end is that of the execution.
    is_outermost: bool,
    /// Whether a Parallel or Map around it retries whatever fails.
    is_retried: bool,
    /// Whether it runs many times at once, in a Map.
    is_fanned_out: bool,
}

impl<'a> Around<'a> {
    fn of(machine: &'a StateMachine, subject: &'a Subject<'a>) -> Self {
        let graph = Graph::of(machine);
        let polling = flow::polling(machine, &graph);
        Self { machine, graph, polling, subject, is_outermost: true, is_retried: false, is_fanned_out: false }
    }
}

/// Takes findings about one state.
struct Sink<'a> {
    state: &'a State,
    path: &'a str,
    found: Vec<Finding>,
}

impl Sink<'_> {
    fn add(&mut self, rule: &'static str, place: &str, message: String) -> &mut Finding {
        let mut finding = Finding::new(rule, format!("{}{place}", self.path), message);
        finding.state = Some(self.state.name.clone());
        self.found.push(finding);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }
}

fn look(around: &Around<'_>, path: &str, found: &mut Vec<Finding>) {
    for state in &around.machine.states {
        let here = format!("{path}/States/{}", state.name);
        let mut sink = Sink { state, path: &here, found: Vec::new() };
        let runs = around.subject.runs.and_then(|it| it.states.get(&state.name));
        task::check(state, around, &mut sink);
        flow::check(state, around, &mut sink);
        handlers::check(state, around, runs, &mut sink);
        map::check(state, around, runs, &mut sink);
        if let Some((all, runs)) = around.subject.runs.zip(runs) {
            runs.check(state, all, &mut sink);
        }
        found.append(&mut sink.found);
        let is_fanned_out = around.is_fanned_out || state.processor.is_some();
        let retried = state.retry.iter().filter(|it| it.max_attempts > 0).flat_map(|it| &it.error_equals);
        let takes_all = |it: &Name| ["States.ALL", "States.TaskFailed"].contains(&&**it);
        let is_retried = around.is_retried || (!state.inner.is_empty() && retried.into_iter().any(takes_all));
        for (index, inner) in state.inner.iter().enumerate() {
            let inside = Around { is_outermost: false, is_retried, is_fanned_out, ..Around::of(inner, around.subject) };
            look(&inside, &format!("{here}/{}", state.place_of_inner(index)), found);
        }
    }
}

/// The rules that a comment spares: what follows `stepscope:ignore`, with commas or spaces between.
pub fn ignored_in(text: &str) -> Vec<String> {
    let mut rules = Vec::new();
    for part in text.split("stepscope:ignore").skip(1) {
        let words = part.split([' ', ',']).filter(|it| !it.is_empty()).map(|it| it.trim_matches(['"', '\'', ';', '.']));
        rules.extend(words.take_while(|it| rule_named(it).is_some()).map(str::to_owned));
    }
    rules
}

/// Counts by name, the most frequent first.
fn most_frequent(counts: &BTreeMap<Name, u64>) -> Vec<(&Name, u64)> {
    let mut all: Vec<(&Name, u64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

/// A time for people: milliseconds below a second.
fn took(time: Micros) -> String {
    let ms = time.as_millis();
    if ms < 1_000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1e3) }
}
