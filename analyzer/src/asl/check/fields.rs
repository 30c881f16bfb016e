//! Which fields may a state have, in which of the two query languages?

use crate::model::StateType;

/// Fields that a state in JSONPath has, and one in JSONata has not.
pub(super) const JSONPATH: [&str; 16] = [
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "Result",
    "ItemsPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "SecondsPath",
    "TimestampPath",
    "ErrorPath",
    "CausePath",
    "MaxConcurrencyPath",
    "ToleratedFailurePercentagePath",
    "ToleratedFailureCountPath",
];

/// Fields that a state in JSONata has, and one in JSONPath has not.
pub(super) const JSONATA: [&str; 3] = ["Arguments", "Output", "Items"];

/// Pairs of which a state has one at most.
pub(super) const EXCLUSIVE: [(&str, &str); 14] = [
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
    ("Seconds", "SecondsPath"),
    ("Timestamp", "TimestampPath"),
    ("Seconds", "Timestamp"),
    ("SecondsPath", "TimestampPath"),
    ("Seconds", "TimestampPath"),
    ("SecondsPath", "Timestamp"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ItemSelector", "Parameters"),
];

/// Whether a state of this type may have the field.
pub(super) fn is_allowed(kind: StateType, field: &str) -> bool {
    const COMMON: [&str; 8] = ["Type", "Comment", "QueryLanguage", "Next", "End", "InputPath", "OutputPath", "Assign"];
    let unused: &[&str] = match kind {
        StateType::Choice => &["Next", "End"],
        StateType::Succeed => &["Next", "End", "Assign"],
        StateType::Fail => &["Next", "End", "InputPath", "OutputPath", "Assign"],
        _ => &[],
    };
    (COMMON.contains(&field) && !unused.contains(&field)) || own(kind).contains(&field)
}

fn own(kind: StateType) -> &'static [&'static str] {
    match kind {
        StateType::Task => &[
            "Resource",
            "Parameters",
            "ResultSelector",
            "ResultPath",
            "Arguments",
            "Output",
            "Credentials",
            "TimeoutSeconds",
            "TimeoutSecondsPath",
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            "Retry",
            "Catch",
        ],
        StateType::Pass => &["Result", "Parameters", "ResultPath", "Output"],
        StateType::Choice => &["Choices", "Default", "Output"],
        StateType::Wait => &["Seconds", "Timestamp", "SecondsPath", "TimestampPath", "Output"],
        StateType::Succeed => &["Output"],
        StateType::Fail => &["Error", "ErrorPath", "Cause", "CausePath"],
        StateType::Parallel => {
            &["Branches", "Parameters", "ResultSelector", "ResultPath", "Arguments", "Output", "Retry", "Catch"]
        }
        StateType::Map => &[
            "ItemProcessor",
            "Iterator",
            "ItemsPath",
            "Items",
            "ItemSelector",
            "Parameters",
            "MaxConcurrency",
            "MaxConcurrencyPath",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
            "ToleratedFailureCount",
            "ToleratedFailureCountPath",
            "Label",
            "ResultSelector",
            "ResultPath",
            "Output",
            "Retry",
            "Catch",
        ],
    }
}
