//! What leaves the tool is read by what others wrote: OpenTelemetry, Perfetto, polars, Spark, FOCUS, Prometheus, YAML.

use std::path::Path;
use std::process::Command;

use crate::automation::{next, server};
use crate::emulator::python_of;
use crate::stepscope::Bench;

/// What a script in `tests/readers` prints of files, run by the Python that has its libraries.
pub(crate) fn read_by(python: &str, script: &str, files: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("readers/{script}.py"));
    let output = Command::new(python_of(python)).arg(script).args(files).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first row of a query as text without its brackets.
fn first(bench: &Bench, query: &str) -> String {
    bench.rows(query)[0].trim_matches(['[', ']']).to_owned()
}

#[test]
fn a_bundle_is_read_back_with_the_same_visits_and_no_account() {
    let bench = Bench::demo(200);
    let path = bench.folder.path().join("bundle.jsonl.gz");
    let file = path.to_string_lossy().into_owned();
    assert!(bench.run(&["export", "bundle", "--out", &file]).status.success());
    let other = Bench::new();
    let read = other.json(&["import", &file]);
    assert_eq!((&read["executions"], &read["quarantined"]), (&200.into(), &0.into()), "{read}");
    for query in ["FROM visits", "FROM attempts", "FROM critical_path"] {
        let mut own: Vec<String> =
            bench.rows(query).iter().map(|it| it.replace("123456789012", "000000000001")).collect();
        own.sort();
        assert!(own == other.rows(query), "{query}");
    }
    assert_eq!(other.rows("SELECT count(*) FROM executions WHERE contains(execution_arn, '123456789012')"), ["[0]"]);
    assert_eq!(other.rows("SELECT count(*) FROM payloads"), ["[0]"]);
}

#[test]
fn traces_are_read_by_the_official_definitions_and_taken_by_an_endpoint() {
    let bench = Bench::demo(100);
    let path = bench.folder.path().join("traces.pb");
    let file = path.to_string_lossy().into_owned();
    assert!(bench.run(&["export", "otlp", "--out", &file]).status.success());
    let said = read_by("readers", "otlp", &[&file]);
    let spans = bench.rows("SELECT 100 + (SELECT count(*) FROM visits) + (SELECT count(*) FROM attempts)");
    let expected = format!("100 True 100 {}\n", spans[0].trim_matches(['[', ']']));
    assert_eq!(said, expected);
    let (port, received) = server(&[200]);
    let endpoint = format!("http://127.0.0.1:{port}");
    let output = bench.run(&["export", "otlp", "--endpoint", &endpoint, "--header", "api-key=word"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (line, body) = next(&received);
    assert_eq!(line, "POST /v1/traces HTTP/1.1");
    assert_eq!(body, std::fs::read(&path).expect("the file"), "the same as in the file");
}

/// What Perfetto's own definitions read of a trace.
#[test]
fn perfetto_reads_every_slice() {
    let bench = Bench::demo(200);
    let run = bench.json(&["executions", "--limit", "1"])["executions"][0]["execution_arn"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    let trace = bench.folder.path().join("trace.pftrace").to_string_lossy().into_owned();
    assert!(bench.run(&["export", "perfetto", &run, "--form", "protobuf", "--out", &trace]).status.success());
    let of_run = |view: &str| first(&bench, &format!("SELECT count(*) FROM {view} WHERE execution_arn = '{run}'"));
    let slices: u64 =
        ["visits", "attempts", "critical_path"].iter().filter_map(|it| of_run(it).parse::<u64>().ok()).sum();
    assert_eq!(read_by("readers", "perfetto_trace", &[&trace]), format!("{}\n", slices + 1));
}

#[test]
fn polars_and_spark_read_every_file_in_folders_and_plain() {
    let bench = Bench::demo(200);
    let [lake, plain] = ["lake", "plain"].map(|it| bench.folder.path().join(it).to_string_lossy().into_owned());
    let notes = bench.folder.path().join("lake/visits");
    std::fs::create_dir_all(&notes).expect("a folder");
    std::fs::write(notes.join("_notes.txt"), "not ours").expect("a file");
    for _ in 0..2 {
        let output = bench.run(&["export", "parquet", "--partitioned", "--out", &lake]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(notes.join("_notes.txt").exists(), "what is not ours stays");
    let output = bench.run(&["export", "parquet", "--out", &plain]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let visits = first(&bench, "SELECT count(*) FROM visits");
    let days = first(&bench, "SELECT count(DISTINCT strftime(entered_at, '%Y-%m-%d')) FROM visits");
    assert_eq!(read_by("readers", "polars_parquet", &[&lake]), format!("3 {days} {visits}\n"));
    let read = read_by("spark", "spark_parquet", &[&lake, &plain]);
    let mut lines = read.lines();
    let retries = first(&bench, "SELECT sum(retries)::BIGINT FROM visits");
    assert_eq!(lines.next(), Some(format!("3 {days} {visits} {retries}").as_str()));
    let mut n_files = 0;
    for (view, rows) in lines.filter_map(|it| it.split_once(' ')) {
        assert_eq!(rows, first(&bench, &format!("SELECT count(*) FROM {view}")), "{view}");
        n_files += 1;
    }
    let files = std::fs::read_dir(&plain).expect("a folder").count();
    assert_eq!(n_files, files, "each file is read");
}

/// The FinOps Foundation's validator asks for four columns by the names of a draft, and breaks off one rule over
/// `ChargeType`, a fifth such name; everything else holds.
#[test]
fn the_validator_of_focus_finds_nothing_but_its_own_old_names() {
    let bench = Bench::demo(300);
    let path = bench.write("focus.csv", bench.run(&["export", "focus"]).stdout);
    let failed = read_by("focus", "focus", &[&path.to_string_lossy()]);
    let old = "InvoiceIssuer_Required Provider_Required Publisher_Required ResourceID_Required SkuPriceId_Nullable\n";
    assert_eq!(failed, old);
    let text = std::fs::read_to_string(&path).expect("the file").replace(",USD,", ",dollars,");
    let path = bench.write("wrong.csv", text);
    assert!(read_by("focus", "focus", &[&path.to_string_lossy()]).contains("BillingCurrency_IsCurrencyCode"));
}

#[test]
fn prometheus_and_a_yaml_reader_take_metrics_and_usage() {
    let bench = Bench::demo(300);
    let counts = bench.rows(
        "SELECT split_part(state_machine_arn, ':', 7) || '=' || count(*) FROM executions GROUP BY state_machine_arn",
    );
    let sorted = |text: String| {
        let mut all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        all.sort();
        all
    };
    let metrics = bench.write("metrics.prom", bench.run(&["export", "prometheus"]).stdout);
    let mut expected: Vec<String> = counts.iter().map(|it| it.trim_matches(['[', ']', '"']).to_owned()).collect();
    expected.sort();
    assert_eq!(sorted(read_by("readers", "metrics", &[&metrics.to_string_lossy()])), expected);
    let usage = bench.write("usage.yml", bench.run(&["export", "infracost"]).stdout);
    let read = sorted(read_by("readers", "usage", &[&usage.to_string_lossy()]));
    assert_eq!(read.len(), 3);
    assert!(read.iter().all(|it| !it.ends_with("=0")), "{read:?}");
}
