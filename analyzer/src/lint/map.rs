//! Advice about Map states.

use serde_json::Value;

use super::{Around, Sink, StateRuns, task, took};
use crate::asl::{ProcessorMode, SERVICE_LIMIT, State, StateMachine};
use crate::model::StateType;

/// A Map is starved when its items wait for room this many times as long as its longest item takes.
const STARVED: f64 = 2.0;

pub(super) fn check(state: &State, around: &Around<'_>, runs: Option<&StateRuns>, sink: &mut Sink<'_>) {
    if state.kind != Some(StateType::Map) {
        return;
    }
    let name = &state.name;
    if state.fields.contains_key("Iterator") {
        sink.add("iterator_deprecated", "/Iterator", format!("`{name}` uses `Iterator`"));
    } else if state.fields.contains_key("Parameters") {
        sink.add(
            "iterator_deprecated",
            "/Parameters",
            format!("`{name}` uses `Parameters` for what is now `ItemSelector`"),
        );
    }
    let is_distributed = state.processor == Some(ProcessorMode::Distributed);
    let is_limited = state.max_concurrency.is_some_and(|it| it > 0)
        || state.fields.contains_key("MaxConcurrencyPath")
        || state.fields.get("MaxConcurrency").is_some_and(Value::is_string);
    let inner = state.inner.first();
    if !is_limited && is_distributed && inner.is_some_and(has_function) {
        let message = format!("`{name}` may run 10,000 children at once against Lambda");
        sink.add("map_without_limit", "", message);
    }
    if is_distributed {
        check_distributed(state, inner, sink);
    }
    let Some(map) = runs.and_then(|it| it.map.as_ref()) else { return };
    if !is_distributed && map.most_items > SERVICE_LIMIT as u64 {
        let message = format!("`{name}` has more items than the {SERVICE_LIMIT} that an inline Map runs at once");
        sink.add("map_large", "", message).evidence =
            Some(format!("up to {} items in {} visits", map.most_items, map.visits));
    }
    let (whole, longest) = (map.duration_p50.0, map.longest_item_p50.0);
    let limit = state.max_concurrency.filter(|it| *it > 0).unwrap_or(SERVICE_LIMIT as u64);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a Map fit")]
    if !is_distributed && longest > 0 && map.items_p50 > limit && whole as f64 > STARVED * longest as f64 {
        let message = format!("the items of `{name}` wait for room: at most {limit} run at once");
        let evidence = format!(
            "{} items take {}, the longest of them {}",
            map.items_p50,
            took(map.duration_p50),
            took(map.longest_item_p50)
        );
        sink.add("map_starved", "/MaxConcurrency", message).evidence = Some(evidence);
    }
    let throttled: u64 = inner.into_iter().flat_map(StateMachine::all_states).map(|it| around.throttled(it)).sum();
    if throttled > 0 {
        let message = format!("what `{name}` runs at once is more than its functions take");
        sink.add("map_throttled", "/MaxConcurrency", message).evidence =
            Some(format!("{throttled} calls were throttled"));
    }
}

fn check_distributed(state: &State, inner: Option<&StateMachine>, sink: &mut Sink<'_>) {
    let name = &state.name;
    let processor = state.fields.get("ItemProcessor").or_else(|| state.fields.get("Iterator"));
    let kind = processor.and_then(|it| it.pointer("/ProcessorConfig/ExecutionType")).and_then(Value::as_str);
    let needs_standard = |it: &&State| {
        let resource = it.resource.as_deref().unwrap_or_default();
        resource.contains(".sync")
            || resource.ends_with(".waitForTaskToken")
            || resource.contains(":activity:")
            || it.processor == Some(ProcessorMode::Distributed)
            || it.kind == Some(StateType::Wait)
    };
    if kind == Some("STANDARD") && inner.is_some_and(|it| it.all_states().iter().all(|it| !needs_standard(it))) {
        let message = format!("the children of `{name}` are Standard, and nothing in them needs it");
        sink.add("distributed_standard_children", "/ItemProcessor/ProcessorConfig/ExecutionType", message);
    }
    if !state.fields.contains_key("ItemBatcher") {
        sink.add("distributed_without_batches", "", format!("`{name}` starts an execution for each item"));
    }
}

fn has_function(machine: &StateMachine) -> bool {
    machine.all_states().into_iter().any(|it| task::calls_lambda(it.resource.as_deref().unwrap_or_default()))
}

impl Around<'_> {
    /// How many calls of a state were throttled.
    fn throttled(&self, state: &State) -> u64 {
        let runs = self.subject.runs.and_then(|it| it.states.get(&state.name));
        let errors = runs.into_iter().flat_map(|it| &it.errors);
        errors.filter(|(error, _)| error.contains("TooManyRequests") || error.contains("Throttl")).map(|it| it.1).sum()
    }
}
