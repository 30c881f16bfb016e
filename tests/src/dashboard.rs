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
    ("collector", &["Nobody has collected"]),
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
