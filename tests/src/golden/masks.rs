//! Masks: which values of an answer are prose, and which are of the run?
//!
//! The only place that decides it. A rule is the command, or `*`, and the last keys of a path, numbers of lists left out.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A sentence: compared in `prose/`.
    Prose,
    /// What differs from run to run, or from computer to computer: not compared.
    OfTheRun,
}

const RULES: [(Kind, &str, &str); 31] = [
    (Kind::OfTheRun, "*", "elapsed_ms"),
    (Kind::Prose, "alerts", "text"),
    (Kind::Prose, "bottlenecks", "finding"),
    (Kind::Prose, "*", "causes.detail"),
    (Kind::Prose, "*", "changes.what"),
    (Kind::Prose, "*", "lines.text"),
    (Kind::Prose, "cost", "assumptions"),
    (Kind::Prose, "cost", "blockers.detail"),
    (Kind::Prose, "cost", "child_definition.Comment"),
    (Kind::Prose, "cost", "days.reason"),
    (Kind::Prose, "cost", "projection_reason"),
    (Kind::Prose, "cost", "risks.detail"),
    (Kind::Prose, "cost", "unpriced"),
    (Kind::Prose, "doctor", "checks.detail"),
    (Kind::Prose, "doctor", "checks.fix"),
    (Kind::Prose, "*", "findings.evidence"),
    (Kind::Prose, "*", "findings.fix"),
    (Kind::Prose, "*", "findings.message"),
    (Kind::Prose, "*", "gaps.text"),
    (Kind::Prose, "import", "quarantine.reason"),
    (Kind::Prose, "import", "skipped_files.reason"),
    (Kind::Prose, "lint", "help.text"),
    (Kind::Prose, "lint", "message.text"),
    (Kind::Prose, "lint", "rules.fix"),
    (Kind::Prose, "lint", "rules.why"),
    (Kind::Prose, "lint", "shortDescription.text"),
    (Kind::Prose, "report", "actions.what"),
    (Kind::Prose, "report", "answer"),
    (Kind::Prose, "report", "finding"),
    (Kind::Prose, "versions", "changes"),
    (Kind::Prose, "whatif", "notes"),
];

/// Whether a line of an answer that is not JSON is prose: comments, and what `lint` explains and annotates.
pub(super) fn is_prose(command: &str, line: &str) -> bool {
    command == "lint" || line.trim_start().starts_with('#')
}

/// What a value at these keys is, where a rule names it.
pub(super) fn kind(command: &str, keys: &[String]) -> Option<Kind> {
    let names = |rule: &str| {
        let rule: Vec<&str> = rule.split('.').collect();
        keys.len() >= rule.len() && keys[keys.len() - rule.len()..].iter().zip(&rule).all(|(a, b)| a == b)
    };
    RULES.iter().find(|it| (it.1 == "*" || it.1 == command) && names(it.2)).map(|it| it.0)
}
