//! `REPORT` lines of Lambda functions: what an invocation took, was billed for, and how long it initialised.

use analyzer::model::{LambdaReport, Timestamp};

/// Reads a report; `None` for any other line.
pub(super) fn read(line: &str, at: Option<Timestamp>) -> Option<LambdaReport> {
    let start = line.find("REPORT RequestId: ")?;
    let report = &line[start + "REPORT RequestId: ".len()..];
    let request_id = report.split_whitespace().next().filter(|it| is_id(it))?;
    Some(LambdaReport {
        request_id: request_id.into(),
        at,
        duration_us: micros(after(report, "Duration: ")?)?,
        billed_ms: after(report, "Billed Duration: ")?.split('.').next()?.parse().ok()?,
        memory_mb: after(report, "Memory Size: ")?.parse().ok()?,
        max_memory_mb: after(report, "Max Memory Used: ").and_then(|it| it.parse().ok()),
        init_us: after(report, "Init Duration: ").and_then(micros),
        trace_id: after(report, "XRAY TraceId: ").filter(|it| is_id(it)).map(Into::into),
    })
}

/// The word after a label that stands at the start of a field.
fn after<'a>(report: &'a str, label: &str) -> Option<&'a str> {
    report
        .split('\t')
        .map(str::trim)
        .find_map(|field| field.strip_prefix(label))
        .and_then(|it| it.split_whitespace().next())
}

/// Ids of requests and traces: what else stands there was written by the function itself.
fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn micros(millis: &str) -> Option<i64> {
    let (whole, fraction) = millis.split_once('.').unwrap_or((millis, ""));
    format!("{whole}{fraction:0<3.3}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_cold_start_is_read_exactly() {
        let line = "REPORT RequestId: 6f2c\tDuration: 102.5 ms\tBilled Duration: 344 ms\tMemory Size: 512 MB\tMax Memory Used: 80 MB\tInit Duration: 240.71 ms\t";
        let report = read(line, None).expect("a report");
        assert_eq!((report.duration_us, report.billed_ms, report.init_us), (102_500, 344, Some(240_710)));
        assert_eq!(read("START RequestId: 6f2c", None), None);
    }
}
