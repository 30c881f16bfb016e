//! The dashboard's views as text, on the demo.

use unicode_width::UnicodeWidthStr;

use crate::stepscope::Bench;

/// A view, and what has to be in it.
const VIEWS: [(&str, &[&str]); 12] = [
    ("overview", &["3 machines", "order-processing", "ml-inference", "Needs a look", "p95"]),
    ("executions", &["order-processing", "not successful", "SUCCEEDED"]),
    ("machine order-processing", &["ValidateOrder", "┌", "p50"]),
    ("bottlenecks order-processing", &["ChargeCard", "of the critical path", "What if"]),
    ("cost ml-inference", &["$", "Standard (now)", "Hybrid", "blocker"]),
    ("incident order-processing", &["ChargeCard", "backoff", "bbbi"]),
    ("collector", &["No collector has written"]),
    ("states order-processing", &["ChargeCard", "ValidateOrder"]),
    ("bottlenecks", &["ChargeCard", "RunTransform"]),
    ("cost", &["$", "order-processing"]),
    ("incidents", &["p95 ms"]),
    ("compare order-processing", &["ChargeCard", "backoff"]),
];

#[test]
fn every_view_fits_its_frame_and_says_what_it_is_for() {
    let bench = Bench::demo(1_000);
    for size in ["60x20", "80x24", "160x50"] {
        let (width, height) = size.split_once('x').expect("a size");
        let (width, height): (usize, usize) = (width.parse().expect("a number"), height.parse().expect("a number"));
        for (view, expected) in VIEWS {
            let output = bench.run(&["dash", "--once", "--view", view, "--size", size]);
            assert!(output.status.success(), "{view}: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(text.lines().count(), height, "{view} {size}");
            assert!(text.lines().all(|it| it.width() <= width), "{view} {size}:\n{text}");
            for word in expected {
                assert!(text.contains(word), "{view} {size} lacks {word}:\n{text}");
            }
        }
    }
}

#[test]
fn a_view_that_is_none_is_refused() {
    let bench = Bench::demo(300);
    for (view, said) in [("import x", "has no page"), ("nonsense", "unrecognized"), ("cost nobody", "nobody")] {
        let output = bench.run(&["dash", "--once", "--view", view]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{view}: {text}");
        assert!(text.contains(said), "{view}: {text}");
    }
    assert_eq!(bench.run(&["dash", "--once", "--size", "2x2"]).status.code(), Some(2));
}

/// The screens in the documentation, and the command that prints each.
#[test]
fn the_screens_of_the_walk_are_what_the_dashboard_shows() {
    const NOW: &str = "2026-11-01T00:00:00Z";
    let bench = Bench::demo_until(2_000, NOW);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dashboard.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let mut renewed = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<!-- stepscope ") {
        let (command, after) = after.split_once(" -->\n```text\n").expect("a command and a screen");
        // A screen may be empty before it is first made.
        let (_, after) = after.split_once("```\n").expect("the end of a screen");
        let output = bench.run(&[&["--now", NOW], &words(command)[..]].concat());
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let screen = String::from_utf8_lossy(&output.stdout).into_owned();
        renewed += &format!("{before}<!-- stepscope {command} -->\n```text\n{screen}```\n");
        rest = after;
    }
    renewed += rest;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &renewed).expect("the documentation");
    }
    assert_eq!(text, renewed, "UPDATE_DOCS=1 makes the screens anew");
}

/// Words with blanks between them; what is quoted is one.
fn words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (index, piece) in command.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(piece);
        } else {
            words.extend(piece.split_whitespace());
        }
    }
    words
}
