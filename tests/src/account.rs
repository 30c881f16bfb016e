//! Bills of whole accounts against an oracle that prices every transition by its place in the order of time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stepscope::Bench;

/// Free transitions of a month in the price book of these tests.
const FREE: usize = 60;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-10-30, so that the workload reaches into the next month.
const BEGIN: i64 = 1_793_318_400_000;

/// Numbers by a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn span(&mut self, limit: i64) -> i64 {
        self.below(limit.unsigned_abs()).cast_signed()
    }
}

/// A transition as the oracle knows it.
#[derive(Clone)]
struct Transition {
    account: String,
    region: String,
    machine: String,
    execution: String,
    start: i64,
    at: i64,
    event: u64,
    state: Option<String>,
    version: Option<String>,
    error: Option<String>,
}

#[derive(Default)]
struct Workload {
    files: Vec<String>,
    transitions: Vec<Transition>,
}

fn time(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(DAY), ms.rem_euclid(DAY));
    // 2026-10-01 is day 20,727 of the epoch.
    let (month, day) = match days - 20_727 {
        it @ 0..31 => (10, it + 1),
        it => (11, it - 30),
    };
    let (h, m, s) = (rest / HOUR, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("2026-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", rest % 1_000)
}

/// One execution while it is made.
struct Making<'a> {
    random: &'a mut Random,
    now: i64,
    rows: Vec<(i64, String, Value)>,
    billed: Vec<(i64, u64, Option<String>)>,
}

impl Making<'_> {
    fn event(&mut self, kind: &str, details: Value) -> u64 {
        self.rows.push((self.now, kind.to_owned(), details));
        self.rows.len() as u64
    }

    fn bill(&mut self, event: u64, state: Option<&str>) {
        self.billed.push((self.now, event, state.map(str::to_owned)));
    }

    fn pass(&mut self, name: &str) {
        let event = self.event("PassStateEntered", json!({"name": name}));
        self.bill(event, Some(name));
        self.event("PassStateExited", json!({"name": name}));
    }

    /// A Task that fails so often before it succeeds; `fails` at the end, too.
    fn task(&mut self, name: &str, retries: u64, fails: bool) {
        let event = self.event("TaskStateEntered", json!({"name": name}));
        self.bill(event, Some(name));
        let resource = json!({"resourceType": "lambda", "resource": "invoke"});
        for attempt in 0..=retries {
            let scheduled = self.event(
                "TaskScheduled",
                json!({"resourceType": "lambda", "resource": "invoke", "region": "us-east-1", "parameters": "{}"}),
            );
            if attempt > 0 {
                self.bill(scheduled, Some(name));
            }
            self.event("TaskStarted", resource.clone());
            self.now += 1 + self.random.span(HOUR);
            if attempt < retries || fails {
                self.event("TaskFailed", json!({"resourceType": "lambda", "resource": "invoke", "error": "Busy"}));
                self.now += self.random.span(5_000);
            } else {
                self.event("TaskSucceeded", json!({"resourceType": "lambda", "resource": "invoke", "output": "{}"}));
            }
        }
        if !fails {
            self.event("TaskStateExited", json!({"name": name}));
        }
    }
}

impl Workload {
    fn make(random: &mut Random, executions: usize) -> Self {
        let mut all = Self::default();
        for number in 0..executions {
            let account = ["111111111111", "222222222222"][usize::try_from(random.below(2)).expect("small")];
            let region = ["us-east-1", "sa-east-1"][usize::try_from(random.below(2)).expect("small")];
            let machine = ["alpha", "beta"][usize::try_from(random.below(2)).expect("small")];
            // Many start at the very same instant.
            let start = BEGIN + random.span(60) * HOUR;
            all.add(random, (account, region, machine), &format!("run-{number:03}"), start);
        }
        all
    }

    fn add(&mut self, random: &mut Random, (account, region, machine): (&str, &str, &str), name: &str, start: i64) {
        let arn = format!("arn:aws:states:{region}:{account}:execution:{machine}:{name}");
        let machine_arn = format!("arn:aws:states:{region}:{account}:stateMachine:{machine}");
        let version = (random.below(2) == 0).then(|| format!("{machine_arn}:{}", 1 + random.below(2)));
        let mut it = Making { random, now: start, rows: Vec::new(), billed: Vec::new() };
        let begun =
            version.as_ref().map_or(json!({"input": "{}"}), |it| json!({"input": "{}", "stateMachineVersionArn": it}));
        it.event("ExecutionStarted", begun);
        for number in 0..=it.random.below(4) {
            it.now += it.random.span(3) * it.random.span(2 * HOUR);
            if it.random.below(2) == 0 {
                it.pass(&format!("P{number}"));
            } else {
                let retries = it.random.below(3);
                it.task(&format!("T{number}"), retries, false);
            }
        }
        if it.random.below(5) == 0 {
            it.task("Redriven", 0, true);
            it.event("ExecutionFailed", json!({"error": "Busy"}));
            it.now += it.random.span(20 * HOUR);
            let event = it.event("ExecutionRedriven", json!({"redriveCount": 1}));
            it.bill(event, None);
            it.task("Redriven", 0, false);
        }
        let mut map = None;
        if it.random.below(4) == 0 {
            let entered = it.event("MapStateEntered", json!({"name": "Many"}));
            it.bill(entered, Some("Many"));
            it.event("MapStateStarted", json!({"length": 5}));
            let run = format!("arn:aws:states:{region}:{account}:mapRun:{machine}/Many:{name}");
            let started = it.event("MapRunStarted", json!({"mapRunArn": run}));
            let (n, n_stored) = (2 + it.random.below(4), it.random.below(4));
            let begun = it.now;
            let mut child_starts: Vec<i64> = (0..n_stored.min(n)).map(|_| begun + it.random.span(10 * HOUR)).collect();
            child_starts.sort_unstable();
            for index in 0..n {
                let at = usize::try_from(index).ok().and_then(|it| child_starts.get(it)).copied().unwrap_or(begun);
                it.billed.push((at, started, None));
            }
            it.now += 11 * HOUR;
            it.event("MapRunSucceeded", json!({}));
            it.event("MapStateSucceeded", json!({}));
            it.event("MapStateExited", json!({"name": "Many"}));
            map = Some((run, n, child_starts));
        }
        let fails = it.random.below(4) == 0;
        it.event(
            if fails { "ExecutionFailed" } else { "ExecutionSucceeded" },
            if fails { json!({"error": "Broken"}) } else { json!({"output": "{}"}) },
        );
        let (rows, billed) = (it.rows, it.billed);
        self.files.push(document(&arn, &rows));
        let transition = |(at, event, state): (i64, u64, Option<String>)| Transition {
            account: account.to_owned(),
            region: region.to_owned(),
            machine: machine_arn.clone(),
            execution: arn.clone(),
            start,
            at,
            event,
            state,
            version: version.clone(),
            error: fails.then(|| "Broken".to_owned()),
        };
        self.transitions.extend(billed.into_iter().map(transition));
        let Some((run, n, child_starts)) = map else { return };
        self.files.push(json!({"mapRunArn": run, "executionArn": arn, "status": "SUCCEEDED", "executionCounts": {"total": n, "pending": 0}}).to_string());
        for (index, start) in child_starts.into_iter().enumerate() {
            self.add_child(random, (account, region, machine), &format!("{name}-{index}"), &run, start);
        }
    }

    fn add_child(
        &mut self,
        random: &mut Random,
        (account, region, machine): (&str, &str, &str),
        name: &str,
        run: &str,
        start: i64,
    ) {
        let machine = format!("{machine}/Many");
        let arn = format!("arn:aws:states:{region}:{account}:execution:{machine}:{name}");
        let machine_arn = format!("arn:aws:states:{region}:{account}:stateMachine:{machine}");
        let mut it = Making { random, now: start, rows: Vec::new(), billed: Vec::new() };
        it.event("ExecutionStarted", json!({"input": "{}"}));
        it.pass("Item");
        it.now += it.random.span(9_000);
        it.event("ExecutionSucceeded", json!({"output": "{}"}));
        let (rows, billed) = (it.rows, it.billed);
        self.files.push(document(&arn, &rows));
        self.files.push(json!({"executionArn": arn, "stateMachineArn": machine_arn, "mapRunArn": run, "name": name, "status": "SUCCEEDED", "startDate": time(start), "stopDate": time(rows.last().map_or(start, |it| it.0))}).to_string());
        self.transitions.extend(billed.into_iter().map(|(at, event, state)| Transition {
            account: account.to_owned(),
            region: region.to_owned(),
            machine: machine_arn.clone(),
            execution: arn.clone(),
            start,
            at,
            event,
            state,
            version: None,
            error: None,
        }));
    }

    /// The price of every transition, in pico-dollars: the first of an account and month are free.
    fn prices(&self) -> Vec<i128> {
        let all = &self.transitions;
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| {
            (all[a].at, &all[a].execution, all[a].event).cmp(&(all[b].at, &all[b].execution, all[b].event))
        });
        let mut seen: BTreeMap<(&str, String), usize> = BTreeMap::new();
        let mut prices = vec![0; all.len()];
        for index in order {
            let it = &all[index];
            let n = seen.entry((&it.account, time(it.at)[..7].to_owned())).or_default();
            *n += 1;
            if *n > FREE {
                prices[index] = if it.region == "sa-east-1" { 37_500_000 } else { 25_000_000 };
            }
        }
        prices
    }
}

fn document(arn: &str, rows: &[(i64, String, Value)]) -> String {
    let event = |(index, (ms, kind, details)): (usize, &(i64, String, Value))| {
        let mut event = json!({"id": index + 1, "previousEventId": index, "type": kind, "timestamp": time(*ms)});
        let key = match kind.as_str() {
            it if it.ends_with("StateEntered") => "stateEnteredEventDetails".to_owned(),
            it if it.ends_with("StateExited") => "stateExitedEventDetails".to_owned(),
            it => format!("{}{}EventDetails", it[..1].to_lowercase(), &it[1..]),
        };
        event[key] = details.clone();
        event
    };
    let events: Vec<Value> = rows.iter().enumerate().map(event).collect();
    json!({"executionArn": arn, "events": events}).to_string()
}

/// The built-in book with a small free tier.
fn book(bench: &Bench) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../analyzer/prices/2026-11-01.toml");
    let text = std::fs::read_to_string(path).expect("the built-in book");
    let text = text.replace("free_transitions_per_month = 4000", &format!("free_transitions_per_month = {FREE}"));
    bench.write("book.toml", text).to_string_lossy().into_owned()
}

fn pico(usd: &Value) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "small amounts with at most twelve decimals")]
    usd.as_f64().map_or_else(|| panic!("{usd} is not an amount"), |it| (it * 1e12).round() as i128)
}

fn cost(bench: &Bench, book: &str, options: &[&str]) -> Value {
    bench.json(&[&["cost", "--prices", book][..], options].concat())
}

/// What is paid under each key, by machine.
fn grouped(cost: &Value, key: &str) -> BTreeMap<(String, Option<String>), i128> {
    let mut all = BTreeMap::new();
    for machine in cost["machines"].as_array().expect("machines") {
        let arn = machine["state_machine_arn"].as_str().expect("an ARN");
        for group in machine["groups"].as_array().expect("groups") {
            *all.entry((arn.to_owned(), group[key].as_str().map(str::to_owned))).or_insert(0) += pico(&group["usd"]);
        }
    }
    all
}

fn import(bench: &Bench, name: &str, files: &[&String]) {
    let lines: Vec<&str> = files.iter().map(|it| it.as_str()).collect();
    let path = bench.write(name, lines.join("\n"));
    let imported = bench.json(&["import", &path.to_string_lossy()]);
    assert_eq!(imported["quarantined"], 0, "{imported}");
}

/// What a transition is counted under.
type Key = fn(&Transition) -> Option<String>;

/// Every bill of a workload: in full, of parts of the time, and split by everything that it can be split by.
fn check(bench: &Bench, workload: &Workload) {
    let book = book(bench);
    let prices = workload.prices();
    let all = || workload.transitions.iter().zip(&prices);
    let whole = cost(bench, &book, &[]);
    let mut expected: BTreeMap<&str, (i128, u64)> = BTreeMap::new();
    for (it, usd) in all() {
        let sum = expected.entry(&it.machine).or_default();
        *sum = (sum.0 + usd, sum.1 + 1);
    }
    for machine in whole["machines"].as_array().expect("machines") {
        let (usd, n) =
            expected.get(machine["state_machine_arn"].as_str().expect("an ARN")).copied().unwrap_or_default();
        assert_eq!(
            (pico(&machine["actual_usd"]), machine["billed_transitions"].as_u64()),
            (usd, Some(n)),
            "{}",
            machine["machine"]
        );
        let states: i128 = machine["by_state"].as_array().expect("states").iter().map(|it| pico(&it["usd"])).sum();
        assert_eq!(states, usd, "the states of {}", machine["machine"]);
    }
    // Any two cuts of the time.
    for cut in [5 * HOUR, DAY + 7 * HOUR, 2 * DAY, 2 * DAY + 3 * HOUR] {
        let at = time(BEGIN + cut);
        let (before, after) = (cost(bench, &book, &["--until", &at]), cost(bench, &book, &["--since", &at]));
        for (part, is_before) in [(before, true), (after, false)] {
            let sum: i128 =
                part["machines"].as_array().expect("machines").iter().map(|it| pico(&it["actual_usd"])).sum();
            let own: i128 = all().filter(|it| (it.0.start < BEGIN + cut) == is_before).map(|it| it.1).sum();
            assert_eq!(sum, own, "cut at {at}");
        }
    }
    let keys: [(&str, &str, Key); 8] = [
        ("day", "day", |it| Some(time(it.start)[..10].to_owned())),
        ("usage-day", "usage_day", |it| Some(time(it.at)[..10].to_owned())),
        ("version", "version", |it| it.version.clone()),
        ("error", "error", |it| it.error.clone()),
        ("state", "state", |it| it.state.clone()),
        ("account", "account", |it| Some(it.account.clone())),
        ("region", "region", |it| Some(it.region.clone())),
        ("path", "path", |_| None),
    ];
    for (by, key, of) in keys {
        let found = grouped(&cost(bench, &book, &["--by", by]), key);
        if by == "path" {
            let sum: i128 = found.values().sum();
            assert_eq!(sum, prices.iter().sum::<i128>(), "by path");
            continue;
        }
        let mut expected: BTreeMap<(String, Option<String>), i128> = BTreeMap::new();
        for (it, usd) in all() {
            *expected.entry((it.machine.clone(), of(it))).or_default() += usd;
        }
        assert_eq!(found, expected, "by {by}");
    }
    // A FOCUS export, and a budget, are of the transitions' own days.
    let focus = bench.run(&["export", "focus", "--prices", &book, "--since", "2026-11-01", "--until", "2026-11-02"]);
    let text = String::from_utf8(focus.stdout).expect("text");
    let amount =
        |line: &str| pico(&json!(line.split(',').next().and_then(|it| it.parse::<f64>().ok()).expect("an amount")));
    let billed: i128 = text.lines().skip(1).map(amount).sum();
    let day = |it: &Transition| time(it.at).starts_with("2026-11-01");
    assert_eq!(billed, all().filter(|it| day(it.0)).map(|it| it.1).sum::<i128>());
}

#[test]
fn every_bill_of_an_account_is_that_of_its_transitions_one_by_one() {
    for seed in [1, 2] {
        let mut random = Random(seed);
        let workload = Workload::make(&mut random, 45);
        let bench = Bench::new();
        let files: Vec<&String> = workload.files.iter().collect();
        import(&bench, "all.ndjson", &files);
        check(&bench, &workload);
    }
}

#[test]
fn what_becomes_known_late_moves_the_free_tier_and_nothing_else() {
    let mut random = Random(11);
    let workload = Workload::make(&mut random, 40);
    let bench = Bench::new();
    // The later half first: then the earlier one takes the free tier from it.
    let files: Vec<&String> = workload.files.iter().collect();
    let (early, late) = files.split_at(files.len() / 2);
    import(&bench, "late.ndjson", late);
    bench.json(&["cost", "--prices", &book(&bench)]);
    import(&bench, "early.ndjson", early);
    check(&bench, &workload);
}

#[test]
fn the_end_of_a_busy_month_is_not_free() {
    let bench = Bench::demo(2_000);
    let hour = bench.json(&["cost", "--since", "2026-10-31T23:00:00Z", "--until", "2026-11-01T00:00:00Z"]);
    for machine in hour["machines"].as_array().expect("machines") {
        assert_eq!(machine["actual_usd"], machine["list_usd"], "{machine}");
        assert!(machine["actual_usd"].as_f64() > Some(0.0));
    }
    assert_eq!((&hour["free_tier_basis"], pico(&hour["free_tier_uncertainty_usd"])), (&json!("stored_part"), 0));
    // The whole day has the free tier once.
    let day = bench.json(&["cost"]);
    let free: i128 =
        day["machines"].as_array().expect("machines").iter().map(|it| pico(&it["standard"]["free_tier_usd"])).sum();
    assert_eq!(free, 4_000 * 25_000_000);
    assert_eq!(pico(&day["free_tier_uncertainty_usd"]), free);
    // Part of it was used elsewhere.
    let day = bench.json(&["cost", "--free-tier-used", "3000"]);
    let free: i128 =
        day["machines"].as_array().expect("machines").iter().map(|it| pico(&it["standard"]["free_tier_usd"])).sum();
    assert_eq!(free, 1_000 * 25_000_000);
}

/// Executions of an Express machine: a start, and milliseconds.
fn express_files(account: &str, machine: &str, runs: &[(i64, i64)]) -> Vec<String> {
    let one = |(index, (start, ms)): (usize, &(i64, i64))| {
        let arn = format!("arn:aws:states:us-east-1:{account}:express:{machine}:run-{index:03}:u-{index:03}");
        let rows = [
            (*start, "ExecutionStarted".to_owned(), json!({"input": "{}"})),
            (*start, "PassStateEntered".to_owned(), json!({"name": "P"})),
            (start + ms, "PassStateExited".to_owned(), json!({"name": "P"})),
            (start + ms, "ExecutionSucceeded".to_owned(), json!({"output": "{}"})),
        ];
        document(&arn, &rows)
    };
    runs.iter().enumerate().map(one).collect()
}

#[test]
fn tiers_of_express_are_used_up_in_the_order_of_starts() {
    let mut random = Random(5);
    let mut runs = |n: usize| -> Vec<(i64, i64)> {
        let mut all: Vec<(i64, i64)> =
            (0..n).map(|_| (BEGIN + random.span(30) * HOUR, 100 + random.span(60_000))).collect();
        all.sort_unstable();
        all
    };
    let bench = Bench::new();
    let (fast, slow) = (runs(60), runs(60));
    let files: Vec<String> =
        [express_files("111111111111", "fast", &fast), express_files("111111111111", "slow", &slow)].concat();
    import(&bench, "express.ndjson", &files.iter().collect::<Vec<_>>());
    let text = std::fs::read_to_string(book(&bench)).expect("the book");
    let text =
        text.replace("above_gb_s = 3600000", "above_gb_s = 40").replace("above_gb_s = 18000000", "above_gb_s = 90");
    let book = bench.write("tiers.toml", text).to_string_lossy().into_owned();
    // Attodollars of a chunk of 64 MB for 100 ms; the tiers begin after so many.
    let tiers = [(0, 104_187_500_000_i128), (40 * 160, 52_062_500_000), (90 * 160, 28_500_000_000)];
    let mut order: Vec<(i64, String, &str, i64)> = Vec::new();
    for (machine, runs) in [("fast", &fast), ("slow", &slow)] {
        let one = |(index, (start, ms)): (usize, &(i64, i64))| {
            (*start, format!("{machine}:run-{index:03}"), machine, (ms + 99) / 100)
        };
        order.extend(runs.iter().enumerate().map(one));
    }
    order.sort();
    let (mut used, mut prices) = (0, Vec::new());
    for (start, _, machine, chunks) in &order {
        let mut price = 1_000_000_000_000_i128;
        for _ in 0..*chunks {
            price += tiers.iter().rev().find(|it| used >= it.0).expect("the first begins at 0").1;
            used += 1;
        }
        prices.push((*start, *machine, price));
    }
    assert!(used > 90 * 160, "all three tiers are reached");
    let paid = |options: &[&str]| -> BTreeMap<String, i128> {
        let cost = cost(&bench, &book, options);
        let machines = cost["machines"].as_array().expect("machines").iter();
        machines.map(|it| (it["machine"].as_str().expect("a name").to_owned(), pico(&it["actual_usd"]))).collect()
    };
    let expected = |is_in: &dyn Fn(i64) -> bool| -> BTreeMap<String, i128> {
        let mut all: BTreeMap<String, i128> = BTreeMap::new();
        for (_, machine, price) in prices.iter().filter(|it| is_in(it.0)) {
            *all.entry((*machine).to_owned()).or_default() += price;
        }
        all.into_iter().map(|(machine, atto)| (machine, (atto + 500_000) / 1_000_000)).collect()
    };
    assert_eq!(paid(&[]), expected(&|_| true));
    for hours in [1, 9, 14, 22] {
        let cut = BEGIN + hours * HOUR;
        assert_eq!(paid(&["--until", &time(cut)]), expected(&|it| it < cut), "until {hours} h");
        assert_eq!(paid(&["--since", &time(cut)]), expected(&|it| it >= cut), "since {hours} h");
    }
    // Usage elsewhere comes first: the third tier from the beginning.
    let elsewhere = paid(&["--tier-used", "90"]);
    let alone: i128 = order.iter().map(|it| 1_000_000_000_000 + 28_500_000_000 * i128::from(it.3)).sum();
    assert!((elsewhere.values().sum::<i128>() - alone / 1_000_000).abs() <= 2);
}

/// As Express a state machine takes its place in the pool, and what is blocked is left out.
#[test]
fn as_express_is_one_figure_everywhere() {
    let bench = Bench::demo(400);
    let cost = bench.json(&["cost", "--what-if", "type=express"]);
    let machines = cost["machines"].as_array().expect("machines");
    let movable: Vec<&Value> = machines.iter().filter(|it| it["express"]["blocked"] == false).collect();
    assert_eq!(
        (movable.len(), &cost["what_if"]["state_machines"], &cost["what_if"]["blocked"]),
        (2, &json!(2), &json!(1))
    );
    for it in machines {
        let (express, what_if) = (&it["express"], &it["what_if"]);
        assert_eq!(what_if["usd_with_logs"], express["usd_with_logs"]);
        assert!((pico(&express["usd"]) + pico(&express["logs_usd"]) - pico(&express["usd_with_logs"])).abs() <= 1);
        let logs = it["logs_usd"].as_f64().map_or(0, |_| pico(&it["logs_usd"]));
        let saves = pico(&it["actual_usd"]) + logs - pico(&express["usd_with_logs"]);
        assert!((saves - pico(&express["saves_usd"])).abs() <= 2, "{it}");
        // Never more than was paid.
        assert!(it["saves_usd"].as_f64() <= it["of_usd"].as_f64(), "{it}");
    }
    let sum = |key: &str| movable.iter().map(|it| pico(&it["express"][key])).sum::<i128>();
    assert!((pico(&cost["what_if"]["usd_with_logs"]) - sum("usd_with_logs")).abs() <= 3);
    let heading = String::from_utf8(bench.run(&["cost", "--what-if", "type=express"]).stdout).expect("text");
    assert!(heading.contains("1 state machine cannot be Express and is left out"), "{heading}");
    // All that stay have the whole free tier then.
    let paid: i128 = machines.iter().map(|it| pico(&it["actual_usd"])).sum();
    assert!(pico(&cost["what_if"]["saves_usd"]) <= paid);
}

#[test]
fn inside_the_free_tier_nothing_is_saved() {
    let bench = Bench::demo(40);
    let cost = bench.json(&["cost"]);
    for it in cost["machines"].as_array().expect("machines") {
        assert_eq!((pico(&it["actual_usd"]), pico(&it["saves_usd"])), (0, 0), "{it}");
        assert_eq!(it["recommendation"], "stay", "{it}");
    }
}
