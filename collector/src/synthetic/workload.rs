//! The workloads of the demo, of tests and of benchmarks.

use analyzer::model::{DefinitionText, Observation, Timestamp, WorkflowType};

use super::incident::{Incident, IncidentKind};
use super::plan::{Attempts, Call, Delay, Plan, Step};
use super::{Random, Simulated, simulate};

const THROTTLED: &str = "Lambda.TooManyRequestsException";
const SERVICE_ERROR: &str = "Lambda.ServiceException";

/// A file lands in S3, a function looks at it, DynamoDB keeps the result.
pub fn image_ingest() -> Plan {
    let resize = Attempts::failing(30, SERVICE_ERROR, 3);
    Plan {
        machine: "image-ingest",
        is_express: false,
        payload: 220,
        steps: vec![
            Step::task("ReadObject", Call::Service("aws-sdk:s3", "headObject"), 45),
            Step::Choice {
                name: "IsImage",
                ways: vec![
                    (
                        94,
                        vec![
                            Step::risky("ResizeImage", Call::Invoke, 620, resize),
                            Step::task("StoreMetadata", Call::Service("dynamodb", "putItem"), 28),
                            Step::Succeed("Stored"),
                        ],
                    ),
                    (6, vec![Step::Pass("Ignore")]),
                ],
            },
        ],
    }
}

/// An order is checked, charged and packed.
pub fn order_processing() -> Plan {
    let charge = Attempts::failing(25, THROTTLED, 4).caught();
    let pack = Step::Map {
        name: "PackItems",
        items: (3, 18),
        max_concurrency: 5,
        body: vec![Step::task("PackItem", Call::Invoke, 180)],
        max_retries: 0,
        is_caught: false,
    };
    let fulfil = Step::Parallel {
        name: "Fulfil",
        branches: vec![
            vec![Step::risky("ChargeCard", Call::Invoke, 540, charge)],
            vec![Step::task("ReserveStock", Call::Service("dynamodb", "updateItem"), 60), pack],
        ],
        max_retries: 0,
        is_caught: false,
    };
    let refuse = Step::Fail { name: "RefuseOrder", error: "OrderRefused" };
    Plan {
        machine: "order-processing",
        is_express: false,
        payload: 480,
        steps: vec![
            Step::task("ValidateOrder", Call::Invoke, 190),
            Step::Choice {
                name: "HasStock",
                ways: vec![
                    (94, vec![fulfil, Step::task("NotifyCustomer", Call::Service("sns", "publish"), 70)]),
                    (4, vec![Step::task("Backorder", Call::Service("sqs", "sendMessage"), 45)]),
                    (2, vec![refuse]),
                ],
            },
        ],
    }
}

/// A model scores a batch; now and then a person has to look at the result.
pub fn ml_inference() -> Plan {
    let train = Attempts::failing(15, "SageMaker.AmazonSageMakerException", 1);
    Plan {
        machine: "ml-inference",
        is_express: false,
        payload: 350,
        steps: vec![
            Step::task("PrepareBatch", Call::Function, 850),
            Step::risky("RunTransform", Call::Job("sagemaker", "createTransformJob"), 95_000, train),
            Step::Choice {
                name: "GoodEnough",
                ways: vec![
                    (85, vec![Step::Pass("Accept")]),
                    (15, vec![Step::task("AskReviewer", Call::Token("sqs", "sendMessage"), 240_000)]),
                ],
            },
            Step::Wait("LetIndexSettle", Delay::of(5_000)),
            Step::Poll {
                wait: "WaitForIndex",
                ask: "AskIndex",
                decide: "IndexReady",
                interval_ms: 3_000,
                rounds: (1, 4),
            },
            Step::task("Publish", Call::Service("events", "putEvents"), 35),
        ],
    }
}

/// A short Express workflow behind an API.
pub fn api_enrich() -> Plan {
    Plan {
        machine: "api-enrich",
        is_express: true,
        payload: 140,
        steps: vec![
            Step::task("Lookup", Call::Service("dynamodb", "getItem"), 18),
            Step::Choice {
                name: "Known",
                ways: vec![
                    (80, vec![Step::Pass("Merge")]),
                    (20, vec![Step::risky("Score", Call::Invoke, 90, Attempts::failing(10, SERVICE_ERROR, 2))]),
                ],
            },
        ],
    }
}

/// Every shape the language has, nested: for tests.
pub fn all_shapes() -> Plan {
    let inner = Step::Map {
        name: "Inner",
        items: (0, 5),
        max_concurrency: 2,
        body: vec![Step::task("InnerTask", Call::Function, 30), Step::Pass("InnerPass")],
        max_retries: 0,
        is_caught: false,
    };
    let risky = Attempts { interval_ms: 100, ..Attempts::failing(60, "Flaky", 2) };
    let outer = Step::Map {
        name: "Outer",
        items: (0, 7),
        max_concurrency: 3,
        body: vec![inner, Step::risky("OuterTask", Call::Activity, 80, risky)],
        max_retries: 1,
        is_caught: true,
    };
    let both = Step::Parallel {
        name: "Both",
        branches: vec![
            vec![
                Step::Wait("Pause", Delay::of(150)),
                Step::risky("Job", Call::Job("glue", "startJobRun"), 200, Attempts::failing(80, "Glue.Error", 1)),
            ],
            vec![Step::risky(
                "Token",
                Call::Token("sqs", "sendMessage"),
                120,
                Attempts { times_out: true, ..Attempts::failing(80, "States.Timeout", 0) },
            )],
            vec![outer.clone(), Step::Pass("After")],
        ],
        max_retries: 1,
        is_caught: false,
    };
    Plan {
        machine: "all-shapes",
        is_express: false,
        payload: 60,
        steps: vec![
            Step::Pass("Begin"),
            Step::Choice {
                name: "Which",
                ways: vec![
                    (6, vec![both.clone()]),
                    (2, vec![outer]),
                    (1, vec![Step::Fail { name: "Refuse", error: "Refused" }]),
                    (1, vec![Step::Succeed("Enough")]),
                ],
            },
            Step::Poll { wait: "Sleep", ask: "Ask", decide: "Again", interval_ms: 50, rounds: (1, 3) },
            Step::risky(
                "Last",
                Call::Invoke,
                40,
                Attempts { interval_ms: 50, ..Attempts::failing(200, "Lambda.Unknown", 2) }.caught(),
            ),
        ],
    }
}

/// Twenty states that work, some side by side, some for each of a few items, some tried again: for benchmarks.
pub fn twenty_states() -> Plan {
    const NAMES: [&str; 20] = [
        "Step01", "Step02", "Step03", "Step04", "Step05", "Step06", "Step07", "Step08", "Step09", "Step10", "Step11",
        "Step12", "Step13", "Step14", "Step15", "Step16", "Step17", "Step18", "Step19", "Step20",
    ];
    let risky = Attempts { interval_ms: 200, ..Attempts::failing(30, THROTTLED, 4) };
    let step = |place: usize| {
        let typical_ms = 40 + 15 * place as u64;
        if place.is_multiple_of(5) {
            Step::risky(NAMES[place], Call::Invoke, typical_ms, risky)
        } else {
            Step::task(NAMES[place], Call::Invoke, typical_ms)
        }
    };
    let items = Step::Map {
        name: "EachItem",
        items: (3, 6),
        max_concurrency: 2,
        body: vec![step(17)],
        max_retries: 0,
        is_caught: false,
    };
    let beside = Step::Parallel {
        name: "SideBySide",
        branches: vec![(8..12).map(step).collect(), (12..17).map(step).collect()],
        max_retries: 0,
        is_caught: false,
    };
    let steps = (0..8).map(step).chain([beside, items]).chain((18..20).map(step)).collect();
    Plan { machine: "twenty-states", is_express: false, payload: 0, steps }
}

/// A stream of executions.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Plans and how many executions of each there are.
    pub plans: Vec<(Plan, u64)>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// What happens to which machine, from when on until the end.
    pub incidents: Vec<(&'static str, i64, Incident)>,
    pub seed: u64,
}

/// One execution of a workload.
#[derive(Clone, Debug)]
pub struct Started {
    pub execution_arn: String,
    pub run: Simulated,
    pub payload: usize,
}

/// The demo: the three scenarios over one day, and a throttled function in the last hour of one of them.
pub fn demo(n_executions: u64, end_ms: i64, seed: u64) -> Workload {
    const HOUR: i64 = 3_600_000;
    let orders = n_executions * 55 / 100;
    let images = n_executions * 40 / 100;
    Workload {
        plans: vec![
            (order_processing(), orders),
            (image_ingest(), images),
            (ml_inference(), n_executions - orders - images),
        ],
        from_ms: end_ms - 24 * HOUR,
        to_ms: end_ms,
        incidents: vec![(
            "order-processing",
            end_ms - HOUR,
            Incident { state: "ChargeCard", kind: IncidentKind::Throttling(560) },
        )],
        seed,
    }
}

impl Workload {
    /// The definitions of the machines, as their descriptions would bring them.
    pub fn definitions(&self) -> Vec<Observation> {
        let describe = |(plan, _): &(Plan, u64)| {
            let workflow_type = if plan.is_express { WorkflowType::Express } else { WorkflowType::Standard };
            let arn = format!("arn:aws:states:us-east-1:123456789012:stateMachine:{}", plan.machine);
            Observation::Definition(Box::new(DefinitionText {
                machine_arn: Some(arn.as_str().into()),
                name: plan.machine.into(),
                workflow_type: Some(workflow_type),
                text: super::definition(plan).to_string().into_boxed_str(),
                seen_at: Some(Timestamp::from_millis(self.from_ms)),
            }))
        };
        self.plans.iter().map(describe).collect()
    }

    /// Runs every execution, in the order of their starts within each machine, and hands each on.
    pub fn run<E>(&self, mut hand_on: impl FnMut(Started) -> Result<(), E>) -> Result<(), E> {
        for (index, (plan, count)) in self.plans.iter().enumerate() {
            let mut random = Random::new(self.seed.wrapping_add(index as u64 * 7_919));
            let step = (self.to_ms - self.from_ms) / count.max(&1).cast_signed();
            for number in 0..*count {
                let jitter = random.below(step.max(1).cast_unsigned()).cast_signed();
                let started_ms = self.from_ms + number.cast_signed() * step + jitter;
                let begun = self.incidents.iter().filter(|it| it.0 == plan.machine && started_ms >= it.1);
                let plan_now = begun.fold(plan.clone(), |plan, it| it.2.applied_to(&plan));
                let run = simulate(&plan_now, started_ms, &mut random);
                hand_on(Started { execution_arn: arn(plan, number, &mut random), run, payload: plan_now.payload })?;
            }
        }
        Ok(())
    }
}

fn arn(plan: &Plan, number: u64, random: &mut Random) -> String {
    let machine = plan.machine;
    let (a, b) = (random.next_u64(), random.next_u64());
    let name = format!("{:08x}-{number:06}", a >> 32);
    if plan.is_express {
        format!("arn:aws:states:us-east-1:123456789012:express:{machine}:{name}:{b:016x}")
    } else {
        format!("arn:aws:states:us-east-1:123456789012:execution:{machine}:{name}")
    }
}
