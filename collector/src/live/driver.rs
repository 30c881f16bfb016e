//! One walk over the machines of an account and region.

use std::time::Duration;

use analyzer::model::{ExecutionArn, Interner, Name, Observation, Observed, WorkflowType};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::ExecutionListItem;

use super::budget::Budget;
use super::{Denied, LiveOptions, LiveReport, Planned, Target, from_aws};
use crate::import::{PayloadPolicy, Stopped};

/// Entries of a page: the most that the APIs give.
const PAGE: i32 = 1_000;
/// Times that a call is made before it is given up.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const BATCH: usize = 512;

type Send<'a> = &'a mut dyn FnMut(Observed) -> Result<(), Stopped>;

/// Why a call was given up.
struct Refused {
    code: String,
    message: String,
    is_denied: bool,
}

struct Walk<'a> {
    client: Client,
    options: &'a LiveOptions,
    budget: Budget,
    target: Target,
    send: Send<'a>,
    batch: Observed,
    names: Interner,
    plan: Vec<Planned>,
}

pub(super) async fn run(options: &LiveOptions, send: Send<'_>) -> Result<LiveReport, Stopped> {
    let client = client(options).await;
    let region = client.config().region().map(ToString::to_string);
    let mut walk = Walk {
        client,
        options,
        budget: Budget::new(options.share),
        target: Target { region, ok: true, ..Target::default() },
        send,
        batch: Vec::with_capacity(BATCH),
        names: Interner::with_capacity(50_000),
        plan: Vec::new(),
    };
    walk.machines().await?;
    walk.flush()?;
    let Walk { budget, target, plan, .. } = walk;
    Ok(LiveReport { targets: vec![target], calls: budget.calls, throttled: budget.throttled, plan })
}

/// Whether the service answers and lets machines be listed; what it said otherwise.
pub(super) async fn probe(options: &LiveOptions) -> Result<(), String> {
    let client = client(options).await;
    let answer = client.list_state_machines().max_results(1).send().await;
    answer.map(|_| ()).map_err(|error| {
        let refused = refused(&error);
        format!("{} ({})", refused.message, refused.code)
    })
}

async fn client(options: &LiveOptions) -> Client {
    Client::new(&config(options).await)
}

/// How an account and region are reached.
pub(super) async fn config(options: &LiveOptions) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        // Tries are counted here, so that the report tells every call.
        .retry_config(RetryConfig::disabled());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let mut config = loader.load().await;
    if let Some(role) = &options.role_arn {
        let provider = aws_config::sts::AssumeRoleProvider::builder(role)
            .session_name("stepscope")
            .configure(&config)
            .build()
            .await;
        config = config
            .into_builder()
            .credentials_provider(aws_sdk_sfn::config::SharedCredentialsProvider::new(provider))
            .build();
    }
    config
}

/// Makes a call until it succeeds, is refused for good, or was tried often enough.
macro_rules! call {
    ($walk:expr, $api:literal, $request:expr) => {{
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            $walk.budget.take($api).await;
            tries += 1;
            match $request.send().await {
                Ok(answer) => break Ok(answer),
                Err(error) => {
                    let refused = refused(&error);
                    let is_passing = is_passing(&error, &refused);
                    if refused.code.contains("Throttl") || refused.code == "TooManyRequestsException" {
                        $walk.budget.throttle($api);
                    }
                    if !is_passing || tries >= TRIES {
                        break Err(refused);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(20));
                }
            }
        }
    }};
}

impl Walk<'_> {
    async fn machines(&mut self) -> Result<(), Stopped> {
        let mut token = None;
        loop {
            let request = self.client.list_state_machines().max_results(PAGE).set_next_token(token.take());
            let page = match call!(self, "ListStateMachines", request.clone()) {
                Ok(page) => page,
                Err(refused) => {
                    self.target.ok = false;
                    self.refuse("ListStateMachines", "everything: no machine can be found", &refused);
                    return Ok(());
                }
            };
            for machine in page.state_machines() {
                let arn = machine.state_machine_arn();
                if self.is_wanted(arn) {
                    self.target.account = arn.split(':').nth(4).map(str::to_owned);
                    self.machine(arn, from_aws::workflow_type(machine.r#type())).await?;
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn is_wanted(&self, arn: &str) -> bool {
        self.options.machines.is_empty() || self.options.machines.iter().any(|it| arn.contains(it.as_str()))
    }

    async fn machine(&mut self, arn: &str, workflow_type: WorkflowType) -> Result<(), Stopped> {
        let request = self.client.describe_state_machine().state_machine_arn(arn);
        match call!(self, "DescribeStateMachine", request.clone()) {
            Ok(it) => {
                if workflow_type == WorkflowType::Express && !from_aws::logs_everything(&it) {
                    self.gap(format!("`{}` is Express and does not log at level ALL: it has no timelines", it.name()));
                }
                self.observe(Observation::Definition(Box::new(from_aws::definition(&it))))?;
            }
            Err(refused) => {
                self.refuse(
                    "DescribeStateMachine",
                    "definitions, and with them limits, eligibility and parts",
                    &refused,
                );
            }
        }
        if self.options.plan {
            return self.plan(arn, workflow_type).await;
        }
        let request = self.client.list_tags_for_resource().resource_arn(arn);
        match call!(self, "ListTagsForResource", request.clone()) {
            Ok(it) => self.observe(Observation::Tags(Box::new(from_aws::tags(arn, &it))))?,
            Err(refused) => self.refuse("ListTagsForResource", "tags, and with them the cost by tag", &refused),
        }
        match workflow_type {
            WorkflowType::Standard => self.executions(arn).await,
            // Express executions are in CloudWatch Logs only, which this version does not read live.
            WorkflowType::Express => {
                self.gap(format!("`{arn}` is Express: import its logs, they are not collected yet"));
                Ok(())
            }
        }
    }

    /// Lists what would be read, and reckons the calls that takes.
    async fn plan(&mut self, arn: &str, workflow_type: WorkflowType) -> Result<(), Stopped> {
        let (source, executions, limits) = match workflow_type {
            WorkflowType::Standard => {
                let before = self.target.executions;
                self.executions(arn).await?;
                let limits = self.budget.limit("GetExecutionHistory").into_iter().collect();
                ("history", self.target.executions - before, limits)
            }
            WorkflowType::Express => ("logs", 0, vec!["Express: its logs are not collected live".to_owned()]),
        };
        let events = self.options.mean_events.get(arn).copied().unwrap_or(1).max(1);
        let calls = executions * events.div_ceil(PAGE.unsigned_abs().into());
        self.plan.push(Planned {
            state_machine_arn: arn.to_owned(),
            source,
            executions,
            calls,
            seconds: self.budget.seconds("GetExecutionHistory", calls),
            // Calls of Step Functions' own API are not billed.
            usd: 0.0,
            limits,
        });
        Ok(())
    }

    async fn executions(&mut self, machine_arn: &str) -> Result<(), Stopped> {
        let mut token = None;
        loop {
            let request = self
                .client
                .list_executions()
                .state_machine_arn(machine_arn)
                .max_results(PAGE)
                .set_next_token(token.take());
            let page = match call!(self, "ListExecutions", request.clone()) {
                Ok(page) => page,
                Err(refused) => {
                    self.refuse("ListExecutions", "executions", &refused);
                    return Ok(());
                }
            };
            // Running ones come first, the others by their end, newest first.
            let is_old =
                |it: &ExecutionListItem| it.stop_date().is_some_and(|it| from_aws::timestamp(it) < self.options.since);
            let wanted: Vec<ExecutionListItem> = page.executions().iter().filter(|it| !is_old(it)).cloned().collect();
            let reaches_back = wanted.len() < page.executions().len();
            for it in &wanted {
                self.execution(it).await?;
            }
            token = page.next_token().map(str::to_owned).filter(|_| !reaches_back);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    async fn execution(&mut self, it: &ExecutionListItem) -> Result<(), Stopped> {
        let record = from_aws::record(it);
        let arn = Name::from(it.execution_arn());
        let key = (arn.clone(), record.redrive_count.unwrap_or(0));
        if self.options.known.contains(&key) {
            return Ok(());
        }
        self.target.executions += 1;
        if self.options.plan {
            return Ok(());
        }
        self.observe(Observation::Execution { execution_arn: arn.clone(), record: Box::new(record) })?;
        self.history(&arn).await
    }

    async fn history(&mut self, arn: &Name) -> Result<(), Stopped> {
        let region = ExecutionArn::parse(arn).map(|it| it.region.to_owned());
        let mut token = None;
        loop {
            let request = self
                .client
                .get_execution_history()
                .execution_arn(arn.as_str())
                .include_execution_data(self.options.payloads != PayloadPolicy::None)
                .max_results(PAGE)
                .set_next_token(token.take());
            let page = match call!(self, "GetExecutionHistory", request.clone()) {
                Ok(page) => page,
                Err(refused) if refused.is_denied => {
                    self.refuse("GetExecutionHistory", "timelines, attempts and critical paths", &refused);
                    return Ok(());
                }
                Err(refused) => {
                    self.gap(format!("the history of `{arn}` cannot be read: {}", refused.message));
                    return Ok(());
                }
            };
            for raw in page.events() {
                self.target.events += 1;
                let event = from_aws::event(raw, region.as_deref(), self.options.payloads, &mut self.names);
                self.observe(Observation::Event { execution_arn: arn.clone(), event })?;
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn refuse(&mut self, action: &str, lost: &str, refused: &Refused) {
        if refused.is_denied {
            let denied = Denied { permission: format!("states:{action}"), lost: lost.to_owned() };
            if !self.target.denied.contains(&denied) {
                self.target.denied.push(denied);
            }
        } else {
            self.gap(format!("{action}: {} ({})", refused.message, refused.code));
        }
    }

    fn gap(&mut self, gap: String) {
        if !self.target.gaps.contains(&gap) {
            self.target.gaps.push(gap);
        }
    }

    fn observe(&mut self, observation: Observation) -> Result<(), Stopped> {
        self.batch.push(observation);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        if batch.is_empty() { Ok(()) } else { (self.send)(batch) }
    }
}

fn refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Refused {
    let code = error.code().unwrap_or("no answer").to_owned();
    let message = error.message().map_or_else(
        || match error {
            SdkError::ConstructionFailure(_) => {
                "the request could not be made: are there credentials and a region?".to_owned()
            }
            SdkError::TimeoutError(_) => "the service did not answer in time".to_owned(),
            SdkError::DispatchFailure(_) => "the service could not be reached".to_owned(),
            _ => "the answer could not be understood".to_owned(),
        },
        str::to_owned,
    );
    Refused { is_denied: code.contains("AccessDenied") || code == "UnauthorizedException", code, message }
}

/// Whether trying again may help.
fn is_passing<E, R>(error: &SdkError<E, R>, refused: &Refused) -> bool {
    const PASSING: [&str; 6] = [
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "ServiceUnavailable",
        "InternalServerError",
        "InternalFailure",
    ];
    match error {
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        _ => PASSING.contains(&refused.code.as_str()) || refused.code == "no answer",
    }
}
