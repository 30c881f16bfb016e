//! The collector about itself, in the Prometheus text format: in a file, or over HTTP on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use collector::live::{LiveReport, TargetReport};

/// Without a word from the collector for so long, it is not well.
const SILENCE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);

/// A metric of each target: its name, kind and meaning, and its value.
type Family = (&'static str, &'static str, &'static str, fn(&TargetReport) -> Option<f64>);

/// The newest report.
#[derive(Default)]
pub(crate) struct OwnMetrics {
    report: LiveReport,
    at: Option<Instant>,
}

impl OwnMetrics {
    pub(crate) fn update(&mut self, report: LiveReport) {
        self.report = report;
        self.at = Some(Instant::now());
    }

    /// Whether the collector has spoken lately and reaches something.
    fn is_healthy(&self) -> bool {
        let speaks = self.at.is_some_and(|it| it.elapsed() < SILENCE);
        speaks && self.report.targets.iter().any(|it| it.ok)
    }

    /// Replaces the file at once, so that nobody reads half of it.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        fs::write(&beside, self.text())?;
        fs::rename(beside, path)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let report = &self.report;
        counter(&mut text, "stepscope_collector_calls_total", "Calls of AWS APIs.", &by_api(&report.calls));
        counter(
            &mut text,
            "stepscope_collector_throttled_total",
            "Calls that were throttled.",
            &by_api(&report.throttled),
        );
        let families: [Family; 5] = [
            ("stepscope_collector_events_total", "counter", "Events read.", |it| Some(float(it.events))),
            ("stepscope_collector_executions_total", "counter", "Executions read.", |it| Some(float(it.executions))),
            ("stepscope_collector_segments_total", "counter", "Segments of traces read.", |it| {
                Some(float(it.segments))
            }),
            ("stepscope_collector_lag_seconds", "gauge", "Age of the newest event when it was read.", |it| {
                it.lag_ms.map(|it| float(it) / 1_000.0)
            }),
            ("stepscope_collector_up", "gauge", "Whether the account and region can be read.", |it| {
                Some(f64::from(u8::from(it.ok)))
            }),
        ];
        for (name, kind, help, value) in families {
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (index, it) in report.targets.iter().enumerate() {
                if let Some(value) = value(it) {
                    let (account, region) = (it.account.as_deref().unwrap_or(""), it.region.as_deref().unwrap_or(""));
                    text +=
                        &format!("{name}{{target=\"{index}\",account=\"{account}\",region=\"{region}\"}} {value}\n");
                }
            }
        }
        text
    }
}

fn by_api(counts: &BTreeMap<&'static str, u64>) -> Vec<(String, u64)> {
    counts.iter().map(|(api, count)| (format!("api=\"{api}\""), *count)).collect()
}

fn counter(text: &mut String, name: &str, help: &str, values: &[(String, u64)]) {
    *text += &format!("# HELP {name} {help}\n# TYPE {name} counter\n");
    for (labels, value) in values {
        *text += &format!("{name}{{{labels}}} {value}\n");
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format has floating point numbers only")]
fn float(it: u64) -> f64 {
    it as f64
}

/// Serves the metrics on a port of this machine, and of no other.
pub(crate) fn serve(port: u16, metrics: Arc<Mutex<OwnMetrics>>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(&stream, &metrics);
        }
    });
    Ok(())
}

fn answer(stream: &TcpStream, metrics: &Mutex<OwnMetrics>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = String::new();
    BufReader::new(io::Read::take(stream, 8_192)).read_line(&mut request)?;
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    let (status, body) = match metrics.lock() {
        Ok(metrics) if path == "/metrics" => ("200 OK", metrics.text()),
        Ok(metrics) if path == "/healthz" && metrics.is_healthy() => ("200 OK", "ok\n".to_owned()),
        Ok(_) if path == "/healthz" => ("503 Service Unavailable", "nothing can be read\n".to_owned()),
        _ => ("404 Not Found", "/metrics and /healthz are here\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_head_and_a_value_for_each_target() {
        let target = TargetReport {
            account: Some("123456789012".to_owned()),
            region: Some("eu-west-1".to_owned()),
            ok: true,
            events: 7,
            lag_ms: Some(1_500),
            ..TargetReport::default()
        };
        let calls = BTreeMap::from([("GetExecutionHistory", 3)]);
        let mut metrics = OwnMetrics::default();
        assert!(!metrics.is_healthy());
        metrics.update(LiveReport { targets: vec![target], calls, ..LiveReport::default() });
        assert!(metrics.is_healthy());
        let text = metrics.text();
        for line in [
            "stepscope_collector_calls_total{api=\"GetExecutionHistory\"} 3",
            "stepscope_collector_events_total{target=\"0\",account=\"123456789012\",region=\"eu-west-1\"} 7",
            "stepscope_collector_lag_seconds{target=\"0\",account=\"123456789012\",region=\"eu-west-1\"} 1.5",
            "# TYPE stepscope_collector_up gauge",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }
}
