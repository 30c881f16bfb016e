//! Which event types a call or a container emits.

use super::plan::Call;

pub(super) struct Kinds {
    pub(super) scheduled: &'static str,
    pub(super) started: &'static str,
    pub(super) succeeded: &'static str,
    pub(super) failed: &'static str,
    pub(super) timed_out: &'static str,
    pub(super) is_submitted: bool,
}

impl Kinds {
    pub(super) fn of(call: Call) -> Self {
        match call {
            Call::Function => Self {
                scheduled: "LambdaFunctionScheduled",
                started: "LambdaFunctionStarted",
                succeeded: "LambdaFunctionSucceeded",
                failed: "LambdaFunctionFailed",
                timed_out: "LambdaFunctionTimedOut",
                is_submitted: false,
            },
            Call::Activity => Self {
                scheduled: "ActivityScheduled",
                started: "ActivityStarted",
                succeeded: "ActivitySucceeded",
                failed: "ActivityFailed",
                timed_out: "ActivityTimedOut",
                is_submitted: false,
            },
            Call::Invoke | Call::Service(..) | Call::Job(..) | Call::Token(..) => Self {
                scheduled: "TaskScheduled",
                started: "TaskStarted",
                succeeded: "TaskSucceeded",
                failed: "TaskFailed",
                timed_out: "TaskTimedOut",
                is_submitted: matches!(call, Call::Job(..) | Call::Token(..)),
            },
        }
    }
}

pub(super) struct ContainerKinds {
    pub(super) entered: &'static str,
    pub(super) started: &'static str,
    pub(super) succeeded: &'static str,
    pub(super) failed: &'static str,
    pub(super) exited: &'static str,
}

impl ContainerKinds {
    pub(super) const PARALLEL: Self = Self {
        entered: "ParallelStateEntered",
        started: "ParallelStateStarted",
        succeeded: "ParallelStateSucceeded",
        failed: "ParallelStateFailed",
        exited: "ParallelStateExited",
    };
    pub(super) const MAP: Self = Self {
        entered: "MapStateEntered",
        started: "MapStateStarted",
        succeeded: "MapStateSucceeded",
        failed: "MapStateFailed",
        exited: "MapStateExited",
    };
}
