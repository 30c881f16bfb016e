//! Can AWS have sent this? Times, numbers and names outside the bounds of `limits.rs` come from damage, and one of them can spoil a
//! report about everything else.

use analyzer::model::{
    Event, EventKind, ExecutionRecord, LambdaReport, MapRunRecord, Name, Observation, Segment, Timestamp,
};

use crate::limits::{
    MAX_BILLED_MS, MAX_EVENT_ID, MAX_ITEMS, MAX_MEMORY_MB, MAX_METRIC, MAX_NAME_BYTES, MAX_REDRIVES, MAX_SEGMENT_BYTES,
    MIN_TIME,
};

type Sane = Result<(), String>;

/// Checks anything but events and executions, which have functions of their own.
pub(crate) fn observation(it: &Observation, latest: Timestamp) -> Sane {
    match it {
        Observation::Event { execution_arn, event: it } => event(execution_arn, it, latest),
        Observation::Execution { execution_arn, record: it } => record(execution_arn, it, latest),
        Observation::Segment(it) => segment(it, latest),
        Observation::LambdaReport(it) => report(it, latest),
        Observation::Metric(it) => {
            name("state machine", &it.machine_arn)?;
            name("metric", &it.name)?;
            time("time of the data point", it.at, latest)?;
            let is_sane = it.value.is_finite() && it.value.abs() <= MAX_METRIC;
            if is_sane { Ok(()) } else { Err(format!("data point: the value is beyond {MAX_METRIC:e} (`MAX_METRIC`)")) }
        }
        Observation::Definition(it) => {
            it.machine_arn.as_ref().map_or(Ok(()), |it| name("state machine", it))?;
            name("name", &it.name)?;
            opt_time("time of the definition", it.seen_at, latest)
        }
        Observation::Described(it) | Observation::Settings(it) => {
            name("state machine", &it.machine_arn)?;
            opt_time("`creationDate`", it.created_at, latest)?;
            time("`updateDate`", it.seen_at, latest)
        }
        Observation::Version(it) => time("`creationDate`", it.created_at, latest),
        Observation::Tags(it) => name("state machine", &it.machine_arn),
        _ => Ok(()),
    }
}

pub(crate) fn event(execution_arn: &Name, it: &Event, latest: Timestamp) -> Sane {
    name("execution ARN", execution_arn)?;
    time("timestamp", it.at, latest)?;
    if it.id == 0 {
        return Err("the id is 0, and ids begin with 1".to_owned());
    }
    most("id", Some(it.id), MAX_EVENT_ID, "MAX_EVENT_ID")?;
    most("id of the previous event", Some(it.previous), MAX_EVENT_ID, "MAX_EVENT_ID")?;
    match it.kind {
        // The hash of an input.
        EventKind::ExecutionStarted => {}
        EventKind::ExecutionRedriven => most("`redriveCount`", it.number, MAX_REDRIVES, "MAX_REDRIVES")?,
        _ => most("`index` or `length`", it.number, MAX_ITEMS, "MAX_ITEMS")?,
    }
    name("type", it.kind.as_str())?;
    let detail = it.detail.as_deref();
    let names = [
        ("name of the state", it.name.as_ref()),
        ("resource", it.resource.as_ref()),
        ("error", detail.and_then(|it| it.error.as_ref())),
        ("ARN of the Map Run", detail.and_then(|it| it.map_run_arn.as_ref())),
        ("ARN of the child", detail.and_then(|it| it.child_execution_arn.as_ref())),
        ("ARN of the version", detail.and_then(|it| it.version_arn.as_ref())),
    ];
    names.into_iter().try_for_each(|(what, it)| it.map_or(Ok(()), |it| name(what, it)))
}

pub(crate) fn record(execution_arn: &Name, it: &ExecutionRecord, latest: Timestamp) -> Sane {
    name("execution ARN", execution_arn)?;
    opt_time("`startDate`", it.started_at, latest)?;
    opt_time("`stopDate`", it.stopped_at, latest)?;
    most("`redriveCount`", it.redrive_count, MAX_REDRIVES, "MAX_REDRIVES")?;
    most("billed duration in milliseconds", it.billed_ms, MAX_BILLED_MS, "MAX_BILLED_MS")?;
    most("billed memory in MB", it.billed_memory_mb, MAX_MEMORY_MB, "MAX_MEMORY_MB")?;
    let names = [
        ("ARN of the state machine", &it.machine_arn),
        ("error", &it.error),
        ("ARN of the version", &it.version_arn),
        ("ARN of the alias", &it.alias_arn),
        ("ARN of the Map Run", &it.map_run_arn),
        ("trace id", &it.trace_id),
    ];
    names.into_iter().try_for_each(|(what, it)| it.as_ref().map_or(Ok(()), |it| name(what, it)))?;
    it.map_runs.iter().try_for_each(|(arn, run)| map_run(arn, run))
}

fn map_run(arn: &Name, it: &MapRunRecord) -> Sane {
    name("ARN of the Map Run", arn)?;
    most("number of children", it.children_started, MAX_ITEMS, "MAX_ITEMS")?;
    most("`maxConcurrency`", it.max_concurrency, MAX_ITEMS, "MAX_ITEMS")
}

fn segment(it: &Segment, latest: Timestamp) -> Sane {
    time("`start_time` of the segment", it.started_at, latest)?;
    opt_time("`end_time` of the segment", it.ended_at, latest)?;
    if it.document.len() > MAX_SEGMENT_BYTES {
        return Err(format!("the segment document is longer than {MAX_SEGMENT_BYTES} bytes (`MAX_SEGMENT_BYTES`)"));
    }
    [&it.id, &it.name].into_iter().try_for_each(|it| name("name of the segment", it))
}

fn report(it: &LambdaReport, latest: Timestamp) -> Sane {
    opt_time("time of the report", it.at, latest)?;
    name("request id", &it.request_id)?;
    most("billed duration in milliseconds", Some(it.billed_ms), MAX_BILLED_MS, "MAX_BILLED_MS")?;
    most("memory in MB", Some(it.memory_mb), MAX_MEMORY_MB, "MAX_MEMORY_MB")?;
    most("used memory in MB", it.max_memory_mb, MAX_MEMORY_MB, "MAX_MEMORY_MB")?;
    let micros = |it: i64| u64::try_from(it).map_or(u64::MAX, |it| it / 1_000);
    most("duration in milliseconds", Some(micros(it.duration_us)), MAX_BILLED_MS, "MAX_BILLED_MS")?;
    most("init duration in milliseconds", it.init_us.map(micros), MAX_BILLED_MS, "MAX_BILLED_MS")
}

fn opt_time(what: &str, at: Option<Timestamp>, latest: Timestamp) -> Sane {
    at.map_or(Ok(()), |at| time(what, at, latest))
}

fn time(what: &str, at: Timestamp, latest: Timestamp) -> Sane {
    if at < MIN_TIME {
        Err(format!("the {what} is {}, before the year 2000 (`MIN_TIME`)", written(at)))
    } else if at > latest {
        Err(format!("the {what} is {}, more than a year ahead of the clock (`MAX_AHEAD`)", written(at)))
    } else {
        Ok(())
    }
}

fn written(at: Timestamp) -> String {
    Some(analyzer::time::format(at)).filter(|it| !it.is_empty()).unwrap_or_else(|| format!("{} µs", at.0))
}

fn most(what: &str, it: Option<u64>, most: u64, bound: &str) -> Sane {
    match it {
        Some(it) if it > most => Err(format!("the {what} is {it}, more than AWS sends ({most}, `{bound}`)")),
        _ => Ok(()),
    }
}

fn name(what: &str, it: &str) -> Sane {
    if it.len() > MAX_NAME_BYTES {
        Err(format!("the {what} is longer than {MAX_NAME_BYTES} bytes (`MAX_NAME_BYTES`): `{}`", short(it)))
    } else {
        Ok(())
    }
}

/// The beginning of a name that may be of any length.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The latest time that is taken in, at a time of the clock.
pub(crate) fn latest(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_add(crate::limits::MAX_AHEAD.0))
}

#[cfg(test)]
mod tests {
    use analyzer::model::Micros;

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn event_at(at: Timestamp) -> Event {
        let kind = EventKind::PassStateEntered;
        Event { id: 1, previous: 0, at, kind, name: None, resource: None, number: None, log_bytes: 0, detail: None }
    }

    fn check(it: &Event) -> Sane {
        event(&"arn:aws:states:eu-west-1:123456789012:execution:a:b".into(), it, latest(NOW))
    }

    #[test]
    fn times_before_2000_and_a_year_ahead_are_refused() {
        for at in [MIN_TIME, NOW, NOW + Micros(360 * 86_400_000_000)] {
            assert_eq!(check(&event_at(at)), Ok(()));
        }
        for (at, bound) in
            [(Timestamp(0), "MIN_TIME"), (MIN_TIME - Micros(1), "MIN_TIME"), (Timestamp(i64::MIN), "MIN_TIME")]
        {
            assert!(check(&event_at(at)).is_err_and(|it| it.contains(bound)));
        }
        let ahead = [NOW + Micros(367 * 86_400_000_000), Timestamp(i64::MAX)];
        assert!(ahead.into_iter().all(|it| check(&event_at(it)).is_err_and(|it| it.contains("MAX_AHEAD"))));
    }

    #[test]
    fn numbers_and_names_beyond_their_bounds_are_refused() {
        let plain = event_at(NOW);
        for (it, bound) in [
            (Event { id: 0, ..plain.clone() }, "ids begin with 1"),
            (Event { id: u64::MAX, ..plain.clone() }, "MAX_EVENT_ID"),
            (Event { previous: MAX_EVENT_ID + 1, ..plain.clone() }, "MAX_EVENT_ID"),
            (Event { number: Some(u64::MAX), ..plain.clone() }, "MAX_ITEMS"),
            (Event { name: Some("x".repeat(MAX_NAME_BYTES + 1).into()), ..plain.clone() }, "MAX_NAME_BYTES"),
        ] {
            assert!(check(&it).is_err_and(|it| it.contains(bound)), "{bound}");
        }
        let hash = Event { kind: EventKind::ExecutionStarted, number: Some(u64::MAX), ..plain };
        assert_eq!(check(&hash), Ok(()));
    }
}
