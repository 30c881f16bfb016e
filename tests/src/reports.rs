//! `report`: a period against the one before, from the outside and in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stepscope::Bench;

const PERIOD: [&str; 4] = ["--until", "2026-11-01T00:00:00Z", "--period", "12h"];
const KINDS: [&str; 4] = ["cost", "health", "bottlenecks", "incident"];

fn sum(list: &serde_json::Value, key: &str) -> f64 {
    list.as_array().expect("a list").iter().filter_map(|it| it[key].as_f64()).sum()
}

#[test]
fn a_change_of_the_bill_is_split_to_the_last_digit() {
    let bench = Bench::demo(2_000);
    let told = bench.json(&[&["report", "cost"][..], &PERIOD].concat());
    let machines = told["machines"].as_array().expect("machines");
    assert_eq!(machines.len(), 3);
    for it in machines {
        let part = |key: &str| it[key].as_f64().unwrap_or_else(|| panic!("{key} of {it}"));
        let (volume, price) = (part("by_executions_usd"), part("by_price_usd"));
        let parts = volume + price + part("by_free_tier_usd");
        // The free tier was used up in the period before: it is no change of the price of an execution.
        assert!(((volume + price) - (part("list_usd") - part("list_usd_before"))).abs() < 1e-11, "{it}");
        assert!(part("by_free_tier_usd") > 0.0 && price.abs() < 0.1 * part("list_usd"), "{it}");
        assert!((parts - it["difference_usd"].as_f64().expect("a difference")).abs() < 1e-11, "{it}");
    }
    assert!((sum(&told["machines"], "usd") - told["usd"].as_f64().expect("a sum")).abs() < 1e-11);
    let own: f64 = told["days"]
        .as_array()
        .expect("days")
        .iter()
        .filter(|it| it["is_in_period"] == true)
        .filter_map(|it| it["usd"].as_f64())
        .sum();
    assert!((own - told["usd"].as_f64().expect("a sum")).abs() < 1e-9, "{}", told["days"]);
    // The same as `cost` says of the same time.
    let cost = bench.json(&["cost", "--since", "2026-10-31T12:00:00Z", "--until", "2026-11-01T00:00:00Z"]);
    assert!((sum(&cost["machines"], "actual_usd") - told["usd"].as_f64().expect("a sum")).abs() < 1e-11);
    assert!((sum(&told["actions"], "usd_per_month") - sum(&cost["machines"], "saves_usd_per_month")).abs() < 1e-9);
}

#[test]
fn health_and_incident_name_what_happened() {
    let bench = Bench::demo(2_000);
    let told = bench.json(&[&["report", "health"][..], &PERIOD].concat());
    assert_eq!(told["machines"][0]["machine"], "order-processing", "the one that changed comes first");
    let command = told["actions"][0]["command"].as_str().expect("a command");
    assert!(command.starts_with("stepscope compare 'order-processing' --baseline "), "{command}");
    let incident = bench.json(&[&["report", "incident"][..], &PERIOD].concat());
    assert_eq!(incident["causes"][0]["state"], "ChargeCard");
    // Nothing happened in the morning, and that is an answer.
    let quiet =
        bench.json(&["report", "incident", "--since", "2026-10-31T04:00:00Z", "--until", "2026-10-31T09:00:00Z"]);
    assert_eq!(quiet["causes"], serde_json::json!([]));
    let said = bench.json(&["--now", "2025-01-01", "report", "cost"]);
    assert!(
        said["answer"][0].as_str().is_some_and(|it| it.contains("newest stored one started at 2026-10-31")),
        "{said}"
    );
    assert_eq!(bench.run(&["report", "cost", "--period", "soon"]).status.code(), Some(2));
}

#[test]
fn pages_stand_alone_in_a_browser() {
    let bench = Bench::demo(2_000);
    for kind in KINDS {
        for form in ["html", "md", "json", "csv"] {
            let path = bench.folder.path().join(format!("{kind}.{form}"));
            let output = bench.run(&[&["report", kind, "--out", &path.to_string_lossy()][..], &PERIOD].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = std::fs::read_to_string(&path).expect("a page");
            assert!(!text.contains("123456789012"), "{kind}.{form} names the account");
            assert!(text.contains("order-processing"), "{kind}.{form}");
            assert!(
                form == "html" || form == "md" || !text.contains(".************"),
                "{kind}.{form}: a decimal is no account"
            );
            assert!(
                !text.contains("<script") && !text.contains("http://") && !text.contains("https://"),
                "{kind}.{form}"
            );
        }
    }
    let Some(browser) = browser() else {
        eprintln!("left out: no chromium to look at the pages with");
        return;
    };
    for kind in KINDS {
        let page = bench.folder.path().join(format!("{kind}.html"));
        let (width, console) = looked_at(&browser, bench.folder.path(), &page);
        assert!(width.is_some_and(|it| it <= 390), "{kind} is wider than a phone: {width:?}");
        assert!(!console.contains("CONSOLE"), "{kind}: {console}");
    }
}

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").map(|it| std::env::split_paths(&it).collect::<Vec<_>>()).unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).find(|it| it.is_file())
}

/// How wide the page is in a window as wide as a phone, and what the browser says of it.
fn looked_at(browser: &Path, folder: &Path, page: &Path) -> (Option<u32>, String) {
    let frame = folder.join("frame.html");
    let name = page.file_name().expect("a name").to_string_lossy();
    let script = "onload=\"document.title='width '+this.contentDocument.documentElement.scrollWidth\"";
    std::fs::write(
        &frame,
        format!(
            "<!doctype html><title></title><iframe width=390 height=800 style=border:0 src={name} {script}></iframe>"
        ),
    )
    .expect("a frame");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .args(["--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("file://{}", frame.display()))
        .output()
        .expect("the browser runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let width = text.split("<title>width ").nth(1).and_then(|it| it.split('<').next()).and_then(|it| it.parse().ok());
    (width, String::from_utf8_lossy(&output.stderr).into_owned())
}
