//! One history event, as `GetExecutionHistory` or a vended log line tells it.

use super::{Name, Timestamp};

macro_rules! event_kinds {
    ($($kind:ident),* $(,)?) => {
        /// The type of a history event; types we do not know survive as `Other`.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $($kind,)*
            Other(Name),
        }

        /// The known types without their text, to number them.
        #[derive(Clone, Copy)]
        enum Position {
            $($kind,)*
        }

        impl EventKind {
            /// The place of a known type in [`EventKind::KNOWN`].
            pub fn position(&self) -> Option<usize> {
                Some(match self {
                    $(Self::$kind => Position::$kind,)*
                    Self::Other(_) => return None,
                } as usize)
            }

            /// Every type we know, in AWS's spelling.
            pub const KNOWN: &'static [Self] = &[$(Self::$kind,)*];

            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                    Self::Other(name) => name,
                }
            }

            pub fn parse(text: &str) -> Self {
                match text {
                    $(stringify!($kind) => Self::$kind,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

event_kinds! {
    ExecutionStarted, ExecutionSucceeded, ExecutionFailed, ExecutionAborted, ExecutionTimedOut, ExecutionRedriven,
    PassStateEntered, TaskStateEntered, ChoiceStateEntered, WaitStateEntered, SucceedStateEntered, FailStateEntered,
    ParallelStateEntered, MapStateEntered,
    PassStateExited, TaskStateExited, ChoiceStateExited, WaitStateExited, SucceedStateExited, ParallelStateExited,
    MapStateExited,
    TaskScheduled, TaskStarted, TaskSubmitted, TaskSucceeded, TaskFailed, TaskTimedOut, TaskStartFailed, TaskSubmitFailed,
    TaskStateAborted, WaitStateAborted, ParallelStateAborted, MapStateAborted,
    LambdaFunctionScheduled, LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed,
    LambdaFunctionTimedOut, LambdaFunctionScheduleFailed, LambdaFunctionStartFailed,
    ActivityScheduled, ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut, ActivityScheduleFailed,
    ParallelStateStarted, ParallelStateSucceeded, ParallelStateFailed,
    MapStateStarted, MapStateSucceeded, MapStateFailed,
    MapIterationStarted, MapIterationSucceeded, MapIterationFailed, MapIterationAborted,
    MapRunStarted, MapRunSucceeded, MapRunFailed, MapRunAborted, MapRunRedriven,
    EvaluationFailed,
}

/// The type of a state, as the `Type` field of the Amazon States Language names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateType {
    Task,
    Pass,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

impl StateType {
    pub const ALL: [Self; 8] =
        [Self::Task, Self::Pass, Self::Choice, Self::Wait, Self::Succeed, Self::Fail, Self::Parallel, Self::Map];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Pass => "Pass",
            Self::Choice => "Choice",
            Self::Wait => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Parallel => "Parallel",
            Self::Map => "Map",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub fn is_container(self) -> bool {
        matches!(self, Self::Parallel | Self::Map)
    }
}

impl EventKind {
    /// The type of the state that this event enters.
    pub fn enters(&self) -> Option<StateType> {
        Some(match self {
            Self::PassStateEntered => StateType::Pass,
            Self::TaskStateEntered => StateType::Task,
            Self::ChoiceStateEntered => StateType::Choice,
            Self::WaitStateEntered => StateType::Wait,
            Self::SucceedStateEntered => StateType::Succeed,
            Self::FailStateEntered => StateType::Fail,
            Self::ParallelStateEntered => StateType::Parallel,
            Self::MapStateEntered => StateType::Map,
            _ => return None,
        })
    }

    /// The type of the state that this event exits.
    pub fn exits(&self) -> Option<StateType> {
        Some(match self {
            Self::PassStateExited => StateType::Pass,
            Self::TaskStateExited => StateType::Task,
            Self::ChoiceStateExited => StateType::Choice,
            Self::WaitStateExited => StateType::Wait,
            Self::SucceedStateExited => StateType::Succeed,
            Self::ParallelStateExited => StateType::Parallel,
            Self::MapStateExited => StateType::Map,
            _ => return None,
        })
    }

    /// The type of the state that this event aborts; such events carry no name.
    pub fn aborts(&self) -> Option<StateType> {
        Some(match self {
            Self::TaskStateAborted => StateType::Task,
            Self::WaitStateAborted => StateType::Wait,
            Self::ParallelStateAborted => StateType::Parallel,
            Self::MapStateAborted => StateType::Map,
            _ => return None,
        })
    }

    /// An attempt of a Task begins: it waits for the service or a worker to take it.
    pub fn schedules_attempt(&self) -> bool {
        matches!(self, Self::TaskScheduled | Self::LambdaFunctionScheduled | Self::ActivityScheduled)
    }

    pub fn starts_attempt(&self) -> bool {
        matches!(self, Self::TaskStarted | Self::LambdaFunctionStarted | Self::ActivityStarted)
    }

    pub fn completes_attempt(&self) -> bool {
        matches!(self, Self::TaskSucceeded | Self::LambdaFunctionSucceeded | Self::ActivitySucceeded)
    }

    pub fn times_out_attempt(&self) -> bool {
        matches!(self, Self::TaskTimedOut | Self::LambdaFunctionTimedOut | Self::ActivityTimedOut)
    }

    /// The attempt ended without success.
    pub fn fails_attempt(&self) -> bool {
        self.times_out_attempt()
            || matches!(
                self,
                Self::TaskFailed
                    | Self::TaskStartFailed
                    | Self::TaskSubmitFailed
                    | Self::LambdaFunctionFailed
                    | Self::LambdaFunctionScheduleFailed
                    | Self::LambdaFunctionStartFailed
                    | Self::ActivityFailed
                    | Self::ActivityScheduleFailed
            )
    }

    /// The execution ends here, unless it is redriven later.
    pub fn closes_execution(&self) -> bool {
        matches!(
            self,
            Self::ExecutionSucceeded | Self::ExecutionFailed | Self::ExecutionAborted | Self::ExecutionTimedOut
        )
    }

    /// It only happens while an execution runs: behind an event that closed it, it tells of a redrive.
    pub fn belongs_to_a_run(&self) -> bool {
        self.enters().is_some()
            || self.exits().is_some()
            || self.schedules_attempt()
            || self.starts_attempt()
            || self.completes_attempt()
            || self.starts_round().is_some()
            || matches!(self, Self::TaskSubmitted | Self::MapIterationStarted | Self::MapIterationSucceeded)
    }

    /// It follows from a failure elsewhere in a Parallel or Map, to whose event it links.
    pub fn cleans_up(&self) -> bool {
        self.aborts().is_some()
            || matches!(
                self,
                Self::MapIterationFailed | Self::MapIterationAborted | Self::MapStateFailed | Self::ParallelStateFailed
            )
    }

    /// A round of a Parallel or Map state begins; a second round of one visit is a retry.
    pub fn starts_round(&self) -> Option<StateType> {
        match self {
            Self::ParallelStateStarted => Some(StateType::Parallel),
            Self::MapStateStarted => Some(StateType::Map),
            _ => None,
        }
    }
}

/// One history event. What only some types carry stands in `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: u64,
    /// The event this one follows; 0 for none. Not a plain parent pointer, see the timeline module.
    pub previous: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    /// The state's name, where the event carries one.
    pub name: Option<Name>,
    /// What a Task calls: `lambda:invoke`, `states:startExecution.sync:2`, a function's or an activity's ARN.
    pub resource: Option<Name>,
    /// The index of a Map iteration, the length of a Map, the count of a redrive, at a failed query the id of its state's
    /// entry; at the start of an execution a hash of its
    /// input, which is kept where the input itself is not.
    pub number: Option<u64>,
    /// Bytes of the log message that brought the event; 0 when it came from the history.
    pub log_bytes: u32,
    pub detail: Option<Box<Detail>>,
}

/// The rarer members of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub error: Option<Name>,
    pub map_run_arn: Option<Name>,
    /// The execution that this Task started, from the call's answer.
    pub child_execution_arn: Option<Name>,
    /// The machine version that runs, from `ExecutionStarted`.
    pub version_arn: Option<Name>,
    pub payloads: Vec<Payload>,
    /// All other members, also those we do not know, as one JSON object text.
    pub rest: Option<Box<str>>,
}

/// A text that may hold users' data and therefore falls under the payload policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload {
    pub field: PayloadField,
    pub body: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayloadField {
    Input,
    Output,
    Parameters,
    Cause,
    AssignedVariables,
    /// Business keys that the settings keep of an input: an object of JSON path and value.
    Keys,
}

impl PayloadField {
    pub const ALL: [Self; 6] =
        [Self::Input, Self::Output, Self::Parameters, Self::Cause, Self::AssignedVariables, Self::Keys];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Parameters => "parameters",
            Self::Cause => "cause",
            Self::AssignedVariables => "assignedVariables",
            Self::Keys => "keys",
        }
    }

    /// The member of an event's details with this name; `keys` is not among them.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == text && *field != Self::Keys)
    }
}

impl Detail {
    /// How many payloads of the event the service cut off: only then their `…Details` are kept.
    pub fn n_truncated(&self) -> u64 {
        const MEMBERS: [&str; 3] = ["\"inputDetails\":", "\"outputDetails\":", "\"assignedVariablesDetails\":"];
        let Some(rest) = self.rest.as_deref().filter(|it| it.contains("Details\":")) else { return 0 };
        MEMBERS.iter().filter(|it| rest.contains(**it)).count() as u64
    }
}

impl Event {
    pub fn error(&self) -> Option<&Name> {
        self.detail.as_ref()?.error.as_ref()
    }

    pub fn payload(&self, field: PayloadField) -> Option<&str> {
        self.detail.as_ref()?.payloads.iter().find(|payload| payload.field == field).map(|payload| &*payload.body)
    }

    /// The id of the entry of the state whose query failed, as the cause names it. It is kept as the event's number, since a
    /// cause falls under the payload policy.
    pub fn note_entered(&mut self) {
        if self.kind == EventKind::EvaluationFailed && self.number.is_none() {
            self.number = self.payload(PayloadField::Cause).and_then(entered_id);
        }
    }

    /// The rarer members, made when missing.
    pub fn detail_mut(&mut self) -> &mut Detail {
        self.detail.get_or_insert_default()
    }
}

/// The id in a cause such as `An error occurred while executing the state 'X' (entered at the event id #6). …`.
pub fn entered_id(cause: &str) -> Option<u64> {
    let (_, rest) = cause.split_once("(entered at the event id #")?;
    rest.split_once(')')?.0.parse().ok()
}
