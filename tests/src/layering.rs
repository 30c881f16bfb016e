//! Who may import whom, held against every manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const MEMBERS: [&str; 4] = ["analyzer", "collector", "queries", "tui"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The dependencies of a member that every build has, and those that only tests have.
fn dependencies(member: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).expect("a manifest");
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some((name, _)) = line.split_once(['.', ' ', '='])
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn all() -> BTreeMap<&'static str, Vec<String>> {
    MEMBERS.iter().map(|it| (*it, dependencies(it))).collect()
}

#[test]
fn each_outside_world_has_one_owner() {
    for (member, names) in all() {
        for name in names {
            let owner = match name.as_str() {
                "duckdb" => "queries",
                "ratatui" => "tui",
                it if it.starts_with("aws-") => "collector",
                "polars" => "analyzer",
                _ => continue,
            };
            assert_eq!(member, owner, "{member} depends on {name}; only {owner} may");
        }
    }
}

#[test]
fn the_core_depends_on_none_of_ours_and_the_others_only_on_the_core() {
    let all = all();
    let ours =
        |member: &str| all[member].iter().filter(|it| MEMBERS.contains(&it.as_str())).cloned().collect::<Vec<_>>();
    assert_eq!(ours("analyzer"), Vec::<String>::new());
    assert_eq!(ours("collector"), ["analyzer"]);
    assert_eq!(ours("queries"), ["analyzer"]);
}

#[test]
fn the_core_has_no_clock_no_files_and_no_threads() {
    let mut files = Vec::new();
    collect(&root().join("analyzer/src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for word in [
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "async fn",
        ] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn the_library_of_the_terminal_interface_does_not_see_the_other_crates() {
    let mut files = Vec::new();
    for place in ["tui/src/dash", "tui/src/lib.rs", "tui/src/gantt", "tui/src/text.rs"] {
        collect(&root().join(place), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for word in ["collector::", "queries::", "crossterm::"] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

/// What others write is made safe where it leaves the process; so nothing else may lead out of it.
#[test]
fn one_file_writes_to_the_terminal() {
    const MEANT: [&str; 2] = ["is_terminal()", "tcgetwinsize("];
    let mut files = Vec::new();
    for member in MEMBERS {
        collect(&root().join(member).join("src"), &mut files);
    }
    for file in files.iter().filter(|it| !it.ends_with("tui/src/output.rs")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        // The shell of the dashboard speaks to the terminal itself: it draws, and hands over what is copied as base64.
        let is_shell = file.ends_with("cli/dash/drive.rs");
        for (number, line) in text.replace("use_stderr()", "").lines().enumerate() {
            let leads_out = ["stdout()", "stderr()", "std::eprint", "std::print", "io::stderr", "dbg!("];
            let found =
                leads_out.iter().find(|it| line.contains(*it) && !MEANT.iter().any(|meant| line.contains(meant)));
            assert!(found.is_none() || is_shell, "{}:{}: {line}", file.display(), number + 1);
            // Outside the binary these would be the ones of the standard library.
            let is_binary = file.starts_with(root().join("tui/src")) && !file.starts_with(root().join("tui/src/dash"));
            assert!(is_binary || !line.contains("eprint"), "{}:{}: {line}", file.display(), number + 1);
        }
    }
    let main = fs::read_to_string(root().join("tui/src/main.rs")).expect("a source file");
    let first = main.lines().find(|it| it.starts_with("mod ")).expect("a module");
    assert_eq!(first, "mod output;", "its macros hold for the modules after it");
}

fn collect(path: &Path, files: &mut Vec<std::path::PathBuf>) {
    if path.is_file() {
        files.push(path.to_path_buf());
        return;
    }
    for entry in fs::read_dir(path).expect("a folder") {
        collect(&entry.expect("an entry").path(), files);
    }
}
