//! The collector against a stand-in for the service: an HTTP server that speaks its JSON protocol, and misbehaves.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use analyzer::time::parse;
use collector::synthetic::{Random, Started, definition, history_json, image_ingest, order_processing, simulate};
use serde_json::{Value, json};

use crate::stepscope::Bench;

const START_MS: i64 = 1_790_000_000_000;
/// Events of a page: small, so that every history has several.
const PAGE: usize = 10;

/// What the service knows, and how it behaves.
struct Service {
    machines: Vec<Value>,
    histories: BTreeMap<String, Vec<Value>>,
    executions: BTreeMap<String, Vec<Value>>,
    calls: Mutex<BTreeMap<String, u64>>,
    /// Every so many calls are throttled, fail or are cut off.
    misbehaves: u64,
    denied: Option<&'static str>,
}

impl Service {
    fn new(n_executions: i64, misbehaves: u64, denied: Option<&'static str>) -> Self {
        let mut random = Random::new(20_261_125);
        let mut service = Self {
            machines: Vec::new(),
            histories: BTreeMap::new(),
            executions: BTreeMap::new(),
            calls: Mutex::new(BTreeMap::new()),
            misbehaves,
            denied,
        };
        for plan in [order_processing(), image_ingest()] {
            let machine_arn = format!("arn:aws:states:us-east-1:123456789012:stateMachine:{}", plan.machine);
            service.machines.push(json!({
                "stateMachineArn": machine_arn, "name": plan.machine, "type": "STANDARD", "creationDate": 1_780_000_000.0,
                "definition": definition(&plan).to_string(), "roleArn": "arn:aws:iam::123456789012:role/x", "status": "ACTIVE",
            }));
            let mut listed = Vec::new();
            for number in 0..n_executions {
                let run = simulate(&plan, START_MS + number * 1_000, &mut random);
                let arn = format!("arn:aws:states:us-east-1:123456789012:execution:{}:run-{number:04}", plan.machine);
                let mut document = history_json(&Started { execution_arn: arn.clone(), run, payload: 40 });
                let mut events = document["events"].take();
                for event in events.as_array_mut().into_iter().flatten() {
                    let seconds = event["timestamp"].as_str().and_then(parse).map_or(0.0, |it| seconds(it.0));
                    event["timestamp"] = json!(seconds);
                }
                let events = events.as_array().cloned().unwrap_or_default();
                let (first, last) = (&events[0], &events[events.len() - 1]);
                let status = last["type"].as_str().unwrap_or_default().trim_start_matches("Execution").to_uppercase();
                listed.push(json!({
                    "executionArn": arn, "stateMachineArn": machine_arn, "name": format!("run-{number:04}"), "status": status,
                    "startDate": first["timestamp"], "stopDate": last["timestamp"],
                }));
                service.histories.insert(arn, events);
            }
            listed.reverse();
            service.executions.insert(machine_arn, listed);
        }
        service
    }

    fn answer(&self, action: &str, body: &Value) -> (u16, Value) {
        let number = {
            let mut calls = self.calls.lock().expect("the lock");
            let count = calls.entry(action.to_owned()).or_default();
            *count += 1;
            *count
        };
        if self.denied == Some(action) {
            return (400, json!({"__type": "AccessDeniedException", "message": "not authorized"}));
        }
        if self.misbehaves > 0 && number % self.misbehaves == 0 {
            return match number / self.misbehaves % 3 {
                0 => (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})),
                1 => (500, json!({"__type": "InternalFailure", "message": "try again"})),
                _ => (0, Value::Null),
            };
        }
        let token = body.get("nextToken").or_else(|| body.get("NextToken"));
        let from: usize = token.and_then(Value::as_str).and_then(|it| it.parse().ok()).unwrap_or(0);
        let page = |items: &[Value], size: usize, key: &str| {
            let to = (from + size).min(items.len());
            let mut answer = json!({key: items[from.min(to)..to]});
            if to < items.len() {
                let next = if key == "PriceList" { "NextToken" } else { "nextToken" };
                answer[next] = to.to_string().into();
            }
            (200, answer)
        };
        match action {
            "ListStateMachines" => page(&self.machines, 1, "stateMachines"),
            "DescribeStateMachine" => {
                let machine = self.machines.iter().find(|it| it["stateMachineArn"] == body["stateMachineArn"]);
                machine.map_or((400, json!({"__type": "StateMachineDoesNotExist"})), |it| (200, it.clone()))
            }
            "GetProducts" => page(&Self::products(), 2, "PriceList"),
            "ListTagsForResource" => (200, json!({"tags": [{"key": "team", "value": "payments"}]})),
            "ListExecutions" => {
                page(&self.executions[body["stateMachineArn"].as_str().unwrap_or_default()], 7, "executions")
            }
            "GetExecutionHistory" => {
                page(&self.histories[body["executionArn"].as_str().unwrap_or_default()], PAGE, "events")
            }
            _ => (400, json!({"__type": "UnknownOperationException"})),
        }
    }

    /// Products as the Price List API prints them: a text each.
    fn products() -> Vec<Value> {
        let product = |sku: &str, usage: &str, tiers: &[(&str, &str)]| {
            let dimension = |(begin, usd): &(&str, &str)| {
                (format!("{sku}.J.{begin}"), json!({"beginRange": begin, "pricePerUnit": {"USD": usd}, "unit": "x"}))
            };
            let dimensions: serde_json::Map<String, Value> = tiers.iter().map(dimension).collect();
            let product = json!({
                "product": {"sku": sku, "attributes": {"regionCode": "eu-west-3", "usagetype": usage}},
                "serviceCode": "AmazonStates", "publicationDate": "2026-11-20T00:00:00Z",
                "terms": {"OnDemand": {format!("{sku}.J"): {"priceDimensions": dimensions}}},
            });
            Value::from(product.to_string())
        };
        vec![
            product("A1", "EUW3-StateTransition", &[("0", "0.0000297000")]),
            product("A2", "EUW3-StepFunctions-Request", &[("0", "0.0000010000")]),
            product("A3", "EUW3-StepFunctions-GB-Second", &[("0", "0.0000166700"), ("3600000", "0.0000083300")]),
        ]
    }

    fn n_events(&self) -> usize {
        self.histories.values().map(Vec::len).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "the protocol's timestamps are floating point seconds")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

/// Serves until the test ends; returns the address.
fn serve(service: Arc<Service>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let service = Arc::clone(&service);
            thread::spawn(move || handle(&service, stream));
        }
    });
    address
}

fn handle(service: &Service, stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut action, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => action = value.trim().rsplit('.').next().unwrap_or_default().to_owned(),
                "content-length" => length = value.trim().parse().ok()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, answer) = service.answer(&action, &serde_json::from_slice(&body).unwrap_or(Value::Null));
        if status == 0 {
            // Cut off in the middle of the answer.
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 100\r\n\r\n{\"eve",
            );
            return None;
        }
        let text = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(text.as_bytes()).ok()?;
    }
}

fn collect(bench: &Bench, address: &str, more: &[&str]) -> std::process::Output {
    let arguments =
        ["collect", "--endpoint-url", address, "--region", "us-east-1", "--since", "2020-01-01", "--share", "1"];
    let mut command = bench.command(&arguments);
    command.args(more).args(["-o", "json"]);
    with_credentials(&mut command).output().expect("it runs")
}

/// Made-up credentials, and nothing that belongs to the machine.
fn with_credentials(command: &mut Command) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_CONFIG_FILE", "/nowhere/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

fn result(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The same executions as files, for comparison.
fn imported(service: &Service) -> Bench {
    let bench = Bench::new();
    let mut lines = String::new();
    for (arn, events) in &service.histories {
        lines += &format!("{}\n", json!({"executionArn": arn, "events": events}));
    }
    let path = bench.write("histories.jsonl", &lines);
    bench.json(&["import", "--payloads", "none", &path.to_string_lossy()]);
    bench
}

#[test]
fn what_is_collected_equals_what_the_service_has_also_when_it_misbehaves() {
    let service = Arc::new(Service::new(12, 17, None));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    let first = result(&collect(&bench, &address, &[]));
    assert_eq!(first["targets"][0]["executions"], 24);
    assert_eq!(first["new_events"], service.n_events());
    let schema = bench.run(&["schema", "collect"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("a schema");
    assert!(jsonschema::is_valid(&schema, &first), "{first}");
    let files = imported(&service);
    for view in ["events", "visits", "attempts", "critical_path"] {
        let query = format!("FROM {view}");
        assert!(bench.rows(&query) == files.rows(&query), "{view}");
    }
    // Nothing is read twice: a finished execution costs nothing more.
    let calls = |result: &Value| result["calls"]["GetExecutionHistory"].as_u64().unwrap_or(0);
    let again = result(&collect(&bench, &address, &[]));
    assert_eq!((calls(&again), &again["new_events"]), (0, &json!(0)));
    assert!(calls(&first) > 0);
    assert!(first["throttled"].as_object().is_some_and(|it| !it.is_empty()), "{first}");
}

#[test]
fn a_finished_execution_costs_one_call_a_page_and_no_more() {
    let service = Arc::new(Service::new(4, 0, None));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &[]));
    let pages: usize = service.histories.values().map(|it| it.len().div_ceil(PAGE)).sum();
    assert_eq!(collected["calls"]["GetExecutionHistory"], pages);
}

#[test]
fn a_denied_call_is_named_and_the_rest_goes_in() {
    let service = Arc::new(Service::new(3, 0, Some("GetExecutionHistory")));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &[]));
    assert_eq!(collected["targets"][0]["denied"][0]["permission"], "states:GetExecutionHistory");
    assert_eq!(bench.rows("SELECT count(*) FROM executions"), ["[6]"]);
    assert_eq!(collect(&bench, &address, &["--strict"]).status.code(), Some(4));
    let service = Arc::new(Service::new(1, 0, Some("ListStateMachines")));
    let output = collect(&Bench::new(), &serve(service), &[]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_doctor_says_whether_the_service_answers() {
    let bench = Bench::new();
    let address = serve(Arc::new(Service::new(1, 0, None)));
    let ask = |address: &str| {
        let mut command =
            bench.command(&["doctor", "--endpoint-url", address, "--region", "us-east-1", "--now", "2026-11-25"]);
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .expect("it runs")
            .status
            .code()
    };
    assert_eq!(ask(&address), Some(0));
    let denying = serve(Arc::new(Service::new(1, 0, Some("ListStateMachines"))));
    assert_eq!(ask(&denying), Some(1));
}

/// The collector calls nothing that the printed policy does not allow.
#[test]
fn the_policy_allows_what_is_called_and_nothing_else() {
    let service = Arc::new(Service::new(2, 0, None));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    result(&collect(&bench, &address, &[]));
    let policy: Value = serde_json::from_slice(&bench.run(&["policy"]).stdout).expect("a policy");
    let allowed: Vec<String> = policy["Statement"]
        .as_array()
        .expect("statements")
        .iter()
        .flat_map(|it| it["Action"].as_array().expect("actions"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let called: Vec<String> = service.calls.lock().expect("the lock").keys().map(|it| format!("states:{it}")).collect();
    for action in &called {
        assert!(allowed.contains(action), "{action}");
    }
    assert_eq!(allowed.len(), called.len(), "{allowed:?} {called:?}");
}

#[test]
fn a_price_book_is_made_from_the_price_list() {
    let address = serve(Arc::new(Service::new(0, 0, None)));
    let bench = Bench::new();
    let book = bench.folder.path().join("book.toml");
    let book = book.to_string_lossy().into_owned();
    let mut command = bench.command(&["prices", "refresh", "--endpoint-url", &address, "--to", &book]);
    let output = with_credentials(&mut command).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prices = bench.json(&["prices", "--prices", &book]);
    assert_eq!(prices["as_of"], "2026-11-20");
    let usd = |item: &str, above: &str| {
        let lines = prices["prices"].as_array().expect("prices");
        lines.iter().find(|it| it["item"] == item && it["above"] == above).map(|it| it["usd"].clone())
    };
    assert_eq!(usd("standard_transition", "0"), Some("0.0000297".into()));
    assert_eq!(usd("express_duration", "3600000"), Some("0.00000833".into()));
}

#[test]
fn a_plan_tells_the_calls_and_reads_nothing() {
    let service = Arc::new(Service::new(9, 0, None));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    let planned = result(&collect(&bench, &address, &["--plan"]));
    let plan = planned["plan"].as_array().expect("a plan");
    assert_eq!(plan.len(), 2);
    for it in plan {
        assert_eq!(
            (&it["source"], &it["executions"], &it["calls"], &it["usd"]),
            (&json!("history"), &json!(9), &json!(9), &json!(0.0))
        );
    }
    assert!(!service.calls.lock().expect("counted").contains_key("GetExecutionHistory"));
    assert!(!bench.db().exists(), "nothing is stored");
    result(&collect(&bench, &address, &[]));
    let planned = result(&collect(&bench, &address, &["--plan"]));
    assert!(planned["plan"].as_array().expect("a plan").iter().all(|it| it["executions"] == 0), "all is stored");
    assert_eq!(collect(&bench, &address, &["--source", "logs"]).status.code(), Some(2));
    assert_eq!(collect(&bench, &address, &["--source", "history", "--plan"]).status.code(), Some(0));
}

#[test]
fn several_regions_are_collected_in_one_run() {
    let service = Arc::new(Service::new(4, 0, None));
    let address = serve(Arc::clone(&service));
    let bench = Bench::new();
    let collected = result(&collect(&bench, &address, &["--region", "eu-west-1"]));
    let targets = collected["targets"].as_array().expect("targets");
    let regions: Vec<&str> = targets.iter().filter_map(|it| it["region"].as_str()).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1"]);
    assert_eq!(collected["calls"]["ListStateMachines"], 4, "two pages in each");
    // The stand-in answers alike in both: nothing is stored twice.
    assert_eq!(collected["new_events"].as_u64(), Some(service.n_events() as u64));
}
