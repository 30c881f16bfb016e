//! What is wrong with the machines of the demo, for those who look for it to be measured against.

/// A problem that was built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    pub machine: &'static str,
    /// The rule of `stepscope lint` and `audit` that names it.
    pub rule: &'static str,
    /// The states whose transitions it costs; empty where it costs none, or is about the machine.
    pub costs: &'static [&'static str],
    /// The states in which it is.
    pub states: &'static [&'static str],
}

const fn planted(
    machine: &'static str,
    rule: &'static str,
    states: &'static [&'static str],
    costs: &'static [&'static str],
) -> Planted {
    Planted { machine, rule, costs, states }
}

/// The problems of `image_ingest`, `order_processing` and `ml_inference`.
pub const PLANTED: [Planted; 8] = [
    planted("order-processing", "express_candidate", &[], &[]),
    planted("image-ingest", "express_candidate", &[], &[]),
    planted("ml-inference", "parts_express", &[], &[]),
    planted("ml-inference", "polling_loop", &["WaitForIndex"], &["WaitForIndex", "AskIndex", "IndexReady"]),
    planted("ml-inference", "pass_does_nothing", &["Accept"], &["Accept"]),
    planted("order-processing", "lambda_transient_errors", &["ChargeCard", "PackItem", "ValidateOrder"], &[]),
    planted("ml-inference", "lambda_transient_errors", &["PrepareBatch"], &[]),
    planted("ml-inference", "callback_without_timeout", &["AskReviewer", "RunTransform"], &[]),
];
