//! Names and errors that others write, in everything that leaves the product: no output obeys them.
//!
//! A database holds names of every kind that a terminal, a shell, a page or a spreadsheet would obey. Every command is run
//! over it in every form of output, and what comes out is checked by rules; the commands are those of the help, so that a
//! new one is missed here until it is covered.

mod commands;
mod database;
mod rules;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;

use serde_json::Value;

use crate::stepscope::Bench;
use commands::{covered, failing};
use database::{ARNS, bench, names};
use rules::{Checked, check_csv, check_html, check_json, check_lines, check_markdown, check_plain};

const FORMS: [&str; 5] = ["table", "json", "ndjson", "csv", "markdown"];

/// A process like those of users, which finds no credentials and no other configuration.
fn run(bench: &Bench, arguments: &[String]) -> Output {
    let mut command = bench.command(&[]);
    command.args(arguments).current_dir(bench.folder.path());
    for variable in ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(variable);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", bench.folder.path()).env("COLUMNS", "120");
    command.output().expect("it runs")
}

/// The commands of the help, those below commands too: `export focus`.
fn commands_of_help(bench: &Bench, around: &[String]) -> BTreeSet<String> {
    let asked: Vec<String> = around.iter().cloned().chain(["--help".to_owned()]).collect();
    let help = String::from_utf8_lossy(&run(bench, &asked).stdout).into_owned();
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let listed = listed.lines().take_while(|it| !it.trim().is_empty());
    // Names stand at two blanks; what their descriptions go on with is indented more.
    let names = listed.filter_map(|it| it.strip_prefix("  ").filter(|it| !it.starts_with(' ')));
    let names = names.filter_map(|it| it.split_whitespace().next()).filter(|it| *it != "help");
    let mut found = BTreeSet::new();
    for name in names {
        let path: Vec<String> = around.iter().cloned().chain([name.to_owned()]).collect();
        found.extend(commands_of_help(bench, &path));
        found.insert(path.join(" "));
    }
    found
}

/// The commands of the help, those below commands too.
pub(crate) fn commands() -> BTreeSet<String> {
    commands_of_help(&Bench::new(), &[])
}

/// Checks what a run wrote, as its form asks for.
fn check(arguments: &[String], form: &str, output: &Output, checked: &Mutex<Checked>) {
    let place = format!("{arguments:?}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| panic!("{place}: no UTF-8"));
    let code = output.status.code();
    assert!(code.is_some_and(|it| it <= 4), "{place}: {code:?} {}", String::from_utf8_lossy(&output.stderr));
    let stdout = if form == "bytes" { String::new() } else { text(&output.stdout) };
    let stderr = text(&output.stderr);
    let mut checked = checked.lock().expect("no test panics while it holds this");
    checked.outputs += 2;
    check_lines(&place, &stderr, &mut checked);
    assert!(!stderr.contains("panicked"), "{place}: {stderr}");
    match form {
        "json" => check_json(&place, &stdout, &mut checked),
        "ndjson" => stdout.lines().for_each(|it| check_json(&place, it, &mut checked)),
        "csv" => check_csv(&place, &stdout, &mut checked),
        "markdown" => check_markdown(&place, &stdout, &mut checked),
        "plain" => check_plain(&place, &stdout, &mut checked),
        "bytes" => {}
        _ => {
            check_lines(&place, &stdout, &mut checked);
            checked.commands.extend(rules::commands_in(&stdout));
        }
    }
}

#[test]
fn nothing_that_is_printed_is_obeyed() {
    let bench = bench();
    let checked = Mutex::new(Checked::default());
    let invocations = covered(&bench);
    let all: BTreeSet<String> = commands_of_help(&bench, &[]);
    let known: BTreeSet<String> = invocations.iter().map(|it| it.command.to_owned()).collect();
    let groups = |it: &&String| !all.iter().any(|other| other.starts_with(&format!("{it} ")));
    let missed: Vec<&String> = all.iter().filter(|it| !known.contains(*it)).filter(groups).collect();
    assert!(all.len() > 40 && missed.is_empty(), "no hostile names are given to {missed:?}; see `commands.rs`");
    let gone: Vec<&String> = known.iter().filter(|it| !all.contains(*it)).collect();
    assert!(gone.is_empty(), "{gone:?} are no commands");
    let mut jobs: Vec<(Vec<String>, &str)> = Vec::new();
    for it in &invocations {
        if let Some(form) = it.own_form {
            jobs.push((it.arguments.clone(), form));
            continue;
        }
        for form in FORMS {
            let more = ["-o".to_owned(), form.to_owned()];
            jobs.push((it.arguments.iter().cloned().chain(more).collect(), form));
        }
    }
    jobs.extend(failing(&bench).into_iter().map(|it| (it, "table")));
    // Statements that read run side by side; those that write come last, one by one.
    let (writing, reading): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|it| commands::writes(&it.0));
    let next = Mutex::new(reading.iter());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some((arguments, form)) = next.lock().expect("a queue").next() else { return };
                    check(arguments, form, &run(&bench, arguments), &checked);
                }
            });
        }
    });
    for (arguments, form) in &writing {
        check(arguments, form, &run(&bench, arguments), &checked);
    }
    let mut checked = checked.into_inner().expect("no thread panicked");
    files(bench.folder.path(), &mut checked);
    let faults = &checked.faults;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    rules::check_commands(&checked.commands, &names(), bench.folder.path());
    eprintln!(
        "{} outputs of {} commands in {} runs; {} files; {} shell commands given to a shell",
        checked.outputs,
        known.len(),
        invocations.len(),
        checked.files,
        checked.commands.len()
    );
    assert!(checked.outputs > 500 && checked.files > 20 && checked.commands.len() > 20, "{checked:?}");
}

/// Checks what the runs left in files.
fn files(folder: &Path, checked: &mut Checked) {
    for path in commands::written(folder) {
        let place = path.display().to_string();
        let bytes = std::fs::read(&path).expect("a file");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        checked.files += 1;
        checked.outputs += 1;
        match path.extension().and_then(|it| it.to_str()) {
            Some("html") => check_html(&place, &text, checked),
            Some("md") => check_markdown(&place, &text, checked),
            Some("csv") => check_csv(&place, &text, checked),
            Some("json") => check_json(&place, &text, checked),
            Some("txt") => check_lines(&place, &text, checked),
            _ => {}
        }
    }
}

/// What is made safe for a terminal is the same to a program.
#[test]
fn programs_get_the_names_as_they_are() {
    let bench = bench();
    let found = bench.json(&["executions"]);
    let errors: BTreeSet<&str> =
        found["executions"].as_array().expect("rows").iter().filter_map(|it| it["error"].as_str()).collect();
    for name in names() {
        assert!(errors.contains(name.as_str()), "{name:?} is not among {errors:?}");
    }
    let output = bench.run(&["executions", "-o", "csv", "--csv-raw"]);
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let place = reader.headers().expect("a head").iter().position(|it| it == "error").expect("a column");
    let cells: BTreeSet<String> = reader.records().map(|it| it.expect("a row")[place].to_owned()).collect();
    assert!(cells.contains("=cmd|'/c calc'!A0") && !cells.iter().any(|it| it.starts_with("'=")), "{cells:?}");
    let output = bench.run(&["sql", "SELECT -1.5 AS a, -2::DECIMAL(9,2) AS b, '-x' AS c, -3 AS d", "-o", "csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a,b,c,d\n-1.5,-2.00,'-x,-3\n");
}

/// The command that repeats an execution takes its name whole, whatever is in it.
#[test]
fn a_redrive_is_of_the_execution_that_is_meant() {
    let bench = bench();
    let found = bench.json(&["--now", database::NOW, "redrivable"]);
    let groups = found["groups"].as_array().expect("groups");
    let executions: Vec<&Value> = groups.iter().filter_map(|it| it["executions"].as_array()).flatten().collect();
    assert!(executions.len() >= names().len());
    for it in executions {
        let command = it["command"].as_str().expect("a command");
        let words = rules::words_of(command, bench.folder.path());
        let arn = words.iter().position(|it| it == "--execution-arn").map(|at| words[at + 1].as_str());
        // No program can be given a zero.
        let expected = it["execution_arn"].as_str().map(|it| it.replace('\0', "\u{fffd}"));
        assert_eq!(arn, expected.as_deref(), "{command}");
        assert_eq!(words.len(), 6, "{command}");
    }
    assert!(ARNS.starts_with("arn:aws:states"));
    assert!(!bench.folder.path().join("pwned").exists());
}

#[test]
fn the_configuration_shows_no_secret() {
    let bench = Bench::new();
    let config = "index_salt = \"CANARY1\"\nbackfill = \"7d\"\n\
        [[deliveries]]\nname = \"a\"\nkind = \"slack\"\nurl = \"https://hooks.example.com/CANARY2\"\n\
        [[deliveries]]\nname = \"b\"\nkind = \"mail\"\nurl = \"smtps://user:CANARY3@host\"\nurl_command = \"echo CANARY4\"\n\
        [[targets]]\nroles = [\"arn:aws:iam::123456789012:role/r\"]\nexternal_id = \"CANARY5\"\nendpoint_url = \"https://u:CANARY6@h/?t=CANARY7\"\n";
    let path = bench.write("config.toml", config).to_string_lossy().into_owned();
    for form in FORMS {
        let output = bench.run(&["--config", &path, "config", "-o", form]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !text.contains("CANARY"), "{form}: {text}");
        assert!(text.contains("***") && text.contains("7d") && text.contains("role/r"), "{form}: {text}");
    }
    let broken = bench.write("broken.toml", "a = 1\nindex_salt = \"CANARY8\" x\n").to_string_lossy().into_owned();
    for wrong in ["share = \"CANARY9\"\n", "index_salt = \"CANARY8\" x\n"] {
        std::fs::write(&broken, format!("backfill = \"7d\"\n{wrong}")).expect("a file");
        let said = bench.run(&["--config", &broken, "config"]).stderr;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("line 2") && !said.contains("CANARY"), "{said}");
    }
}
