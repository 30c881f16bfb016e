//! Every command, over hostile names; and the ways in which each of them fails.

use std::path::{Path, PathBuf};

use super::database::{ARNS, NOW, files, worst};
use crate::stepscope::Bench;

/// A run of a command that is checked.
pub(super) struct Invocation {
    /// The command of the help, such as `export focus`.
    pub(super) command: &'static str,
    pub(super) arguments: Vec<String>,
    /// `None` where every form of `--output` is to be checked.
    pub(super) own_form: Option<&'static str>,
}

/// Where commands write their files.
const OUT: &str = "out";
const BASELINE: &str = "2026-10-31T10:40:00Z/2026-10-31T19:45:00Z";
const INCIDENT: &str = "2026-10-31T19:50:00Z/2026-11-01T00:00:00Z";

#[expect(clippy::too_many_lines, reason = "one line for each command")]
pub(super) fn covered(bench: &Bench) -> Vec<Invocation> {
    let mut all = Vec::new();
    let mut add = |command: &'static str, form: Option<&'static str>, more: &[&str]| {
        let arguments = ["--now", NOW].into_iter().chain(command.split(' ')).chain(more.iter().copied());
        all.push(Invocation { command, arguments: arguments.map(str::to_owned).collect(), own_form: form });
    };
    let worst = worst();
    let machine = worst.as_str();
    let runs = [0, 1, 120].map(|it| format!("{ARNS}execution:{machine}:{machine}{it}"));
    let [first, second, late] = [&runs[0], &runs[1], &runs[2]].map(String::as_str);
    let out = bench.folder.path().join(OUT);
    std::fs::create_dir_all(&out).expect("a folder");
    let file = |name: &str| out.join(name).to_string_lossy().into_owned();
    let files = files(bench);
    let lint_folder = bench.folder.path().join("lint").to_string_lossy().into_owned();

    for (command, more) in [
        ("executions", &[][..]),
        ("executions", &["--machine", machine, "--search", machine]),
        ("show", &["--all"]),
        ("show", &[late]),
        ("states", &[]),
        ("bottlenecks", &[]),
        ("bottlenecks", &[machine, "--status", "FAILED"]),
        ("whatif", &[machine, "--no-retries", "--free", machine]),
        ("compare", &[machine, "--baseline", BASELINE, "--incident", INCIDENT, "--all"]),
        ("compare", &[machine, "--versions", "1,2", "--all"]),
        ("compare", &[first, late]),
        ("incidents", &[]),
        ("report", &["cost", "--period", "13h"]),
        ("report", &["health", "--period", "6h"]),
        ("report", &["bottlenecks", "--period", "13h"]),
        ("report", &["incident", "--period", "13h"]),
        ("cost", &[]),
        ("cost", &["--by", "error"]),
        ("cost", &["--by", "state"]),
        ("cost", &["--by", &format!("tag:{machine}")]),
        ("lint", &[machine, "--fail-on", "never"]),
        ("lint", &[&lint_folder]),
        ("audit", &[]),
        ("versions", &[machine]),
        ("diff", &[machine]),
        ("diff", &[&files[0], &files[3]]),
        ("redrivable", &[]),
        ("prices", &["--region", machine]),
        ("sql", &["SELECT * EXCLUDE (events) FROM executions"]),
        ("sql", &["FROM visits"]),
        ("sql", &["SELECT execution_arn, state, error, resource FROM attempts"]),
        ("sql", &["FROM definitions"]),
        ("doctor", &["--offline"]),
        ("config", &[]),
        ("alerts list", &[]),
        ("alerts run", &[]),
        ("schedule list", &[]),
        ("import", &[&files[0], &files[1]]),
    ] {
        add(command, None, more);
    }
    for (name, view) in [
        ("overview", String::new()),
        ("executions", String::new()),
        ("machine", "SUM".to_owned()),
        ("bottlenecks", "SUM".to_owned()),
        ("cost", "SUM".to_owned()),
        ("incident", "SUM".to_owned()),
        ("timeline", "SUM(1+1)0".to_owned()),
        ("twins", "SUM(1+1)0 SUM(1+1)1".to_owned()),
        ("collector", String::new()),
        ("states", String::new()),
        ("redrivable", String::new()),
        ("versions", "SUM".to_owned()),
        ("incidents", String::new()),
    ] {
        for size in ["80x24", "160x50"] {
            add("dash", Some("plain"), &["--once", "--view", format!("{name} {view}").trim(), "--size", size]);
        }
    }
    add("dash", Some("plain"), &["--once", "--keys", "enter enter enter"]);
    for kind in ["cost", "health", "bottlenecks", "incident"] {
        for form in ["html", "md", "json", "csv"] {
            add("report", Some("table"), &[kind, "--period", "13h", "--out", &file(&format!("{kind}.{form}"))]);
        }
    }
    for form in ["html", "md", "json"] {
        let ranges = ["--baseline", BASELINE, "--incident", INCIDENT, "--all", "--report"];
        add("compare", Some("table"), &[&[machine], &ranges[..], &[&file(&format!("compare.{form}"))]].concat());
    }
    add("show", Some("plain"), &[first, second, "--unfold", "--color", "never"]);
    add("lint", Some("json"), &[&lint_folder, "--sarif"]);
    add("lint", Some("plain"), &[&lint_folder, "--github"]);
    add("lint", Some("plain"), &["--explain", "unreadable"]);
    add("export bundle", Some("ndjson"), &[]);
    add("export otlp", Some("bytes"), &[]);
    add("export focus", Some("csv"), &[]);
    add("export infracost", Some("plain"), &[]);
    add("export parquet", Some("table"), &["--out", &file("parquet")]);
    add("export perfetto", Some("json"), &[first]);
    add("export perfetto", Some("bytes"), &[first, "--form", "protobuf"]);
    add("export prometheus", Some("plain"), &[]);
    add("cost reconcile", Some("table"), &[&files[0]]);
    add("prices import", Some("table"), &[&files[0], "--to", &file("prices.toml")]);
    add(
        "prices refresh",
        Some("table"),
        &["--endpoint-url", "http://127.0.0.1:1", "--region", "x\u{1b}[2J", "--to", &file("p.toml")],
    );
    add("policy", Some("json"), &["--machine", machine, "--account", machine]);
    add("schema", Some("json"), &["show"]);
    add("completions", Some("bytes"), &["bash"]);
    add("schedule add", Some("table"), &["--cron", "0 7 * * *", "--report", "health", "--to", &file("told")]);
    add("schedule run", Some("table"), &["health"]);
    add("schedule remove", Some("table"), &[machine]);
    add("schedule install", Some("table"), &[]);
    add("alerts test", Some("table"), &[machine]);
    add("mark deploy", Some("table"), &[machine, "--at", "2026-10-30", "--label", machine]);
    // No name of the database is in what these say; their errors name what they were given.
    add("collect", Some("table"), &["--once"]);
    add("demo", Some("table"), &["--once", "--executions", "20"]);
    add("lake status", Some("table"), &[]);
    add("lake init", Some("table"), &["--data", machine]);
    add("lake compact", Some("table"), &[]);
    // The last two: they take something away.
    add("forget", Some("table"), &[second]);
    add("prune", Some("table"), &["--before", "2026-10-31T12:00:00Z"]);
    configured(bench, machine);
    all
}

/// A configuration with names of the same kind, where every command finds it.
fn configured(bench: &Bench, machine: &str) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    let text = format!(
        "[[alerts]]\nname = {name}\nrule = \"p95_ms\"\nmachine = {name}\nabove = 2500.0\nwindow = \"4h\"\nto = [\"here\"]\n\
         [[alerts]]\nname = \"rate\"\nrule = \"failure_rate\"\nabove = 0.01\nwindow = \"4h\"\nto = [\"here\"]\n\
         [[deliveries]]\nname = \"here\"\nkind = \"folder\"\npath = {folder}\n",
        name = quoted(machine),
        folder = quoted(&bench.folder.path().join(OUT).join("alerts").to_string_lossy()),
    );
    bench.write("stepscope/config.toml", text);
}

/// What users get wrong, with arguments that come from elsewhere.
pub(super) fn failing(bench: &Bench) -> Vec<Vec<String>> {
    let worst = worst();
    let bad = "no\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2028}\nFORGED such";
    let broken = bench.write("broken.toml", format!("a = \"{bad}\n")).to_string_lossy().into_owned();
    let book = bench.write(&format!("{}.toml", bad.replace('/', "_")), "x").to_string_lossy().into_owned();
    let all: &[&[&str]] = &[
        // Many fit.
        &["show", "arn:"],
        &["states", "arn:"],
        &["forget", "execution:"],
        &["compare", "arn:"],
        // None does.
        &["show", bad],
        &["states", bad],
        &["cost", bad],
        &["versions", bad],
        &["diff", bad],
        &["lint", bad],
        &["redrivable", bad],
        &["export", "perfetto", bad],
        &["whatif", &worst, "--work", bad],
        &["whatif", &worst, "--free", bad],
        // The command line itself.
        &[bad],
        &["executions", bad],
        &["executions", "-o", bad],
        &["executions", &format!("--{bad}")],
        &["executions", "--status", bad],
        &["executions", "--since", bad],
        &["report", bad],
        &["schema", bad],
        &["lint", "--explain", bad],
        &["dash", "--once", "--view", bad],
        &["dash", "--once", "--keys", bad],
        &["sql", bad],
        &["sql", &format!("SELECT \"{bad}\"")],
        &["alerts", "run", "--fail-on", bad],
        &["schedule", "run", bad],
        &["schedule", "add", "--cron", bad, "--report", "cost", "--to", bad],
        // Files.
        &["import", bad],
        &["import", &broken],
        &["--config", &broken, "config"],
        &["--config", bad, "config"],
        &["--prices", &book, "prices"],
        &["--db", bad, "executions"],
        &["--db", &broken, "executions"],
        &["--price-region", bad, "cost"],
        &["--function-memory", bad, "cost"],
        &["--discount", bad, "cost"],
        &["report", "cost", "--period", "13h", "--out", &format!("{bad}.exe")],
        &["report", "cost", "--period", "13h", "--out", &format!("/gone/{bad}.md")],
    ];
    all.iter().map(|it| ["--now", NOW].iter().chain(it.iter()).map(|it| (*it).to_owned()).collect()).collect()
}

/// Whether a run changes the database, or what stands beside it.
pub(super) fn writes(arguments: &[String]) -> bool {
    const WRITING: [&str; 9] = ["import", "collect", "mark", "forget", "prune", "alerts", "schedule", "lake", "demo"];
    arguments.iter().any(|it| WRITING.contains(&it.as_str()))
}

/// The files that the runs wrote.
pub(super) fn written(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.join(OUT)];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found
}
