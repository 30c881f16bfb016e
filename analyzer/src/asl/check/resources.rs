//! Is a Task's resource one that AWS knows?
//!
//! Only services whose list of optimized integrations is closed are judged; calls of the AWS SDK are known by its version.

/// What may be called, and what may follow it: `.sync`, `.sync:2`, `.waitForTaskToken`.
type Action = (&'static str, &'static [&'static str]);

/// The actions of each service.
const INTEGRATIONS: [(&str, &[Action]); 13] = [
    ("lambda", &[("invoke", &["waitForTaskToken"])]),
    ("states", &[("startExecution", &["sync", "sync:2", "waitForTaskToken"])]),
    ("apigateway", &[("invoke", &["waitForTaskToken"])]),
    (
        "athena",
        &[
            ("startQueryExecution", &["sync"]),
            ("stopQueryExecution", &[]),
            ("getQueryExecution", &[]),
            ("getQueryResults", &[]),
        ],
    ),
    ("batch", &[("submitJob", &["sync"])]),
    ("dynamodb", &[("getItem", &[]), ("putItem", &[]), ("updateItem", &[]), ("deleteItem", &[])]),
    ("ecs", &[("runTask", &["sync", "waitForTaskToken"])]),
    ("events", &[("putEvents", &["waitForTaskToken"])]),
    ("glue", &[("startJobRun", &["sync"])]),
    ("databrew", &[("startJobRun", &["sync"])]),
    ("mediaconvert", &[("createJob", &["sync"])]),
    ("sns", &[("publish", &["waitForTaskToken"])]),
    ("sqs", &[("sendMessage", &["waitForTaskToken"])]),
];

/// Why AWS refuses a resource; `None` for one that it takes, or that is not judged.
pub(super) fn refused(resource: &str) -> Option<String> {
    if resource.starts_with("{%") {
        return Some("`Resource` is a constant, and no expression".to_owned());
    }
    if resource.contains("${") {
        return None;
    }
    let (_, called) = resource.split_once(":states:::").filter(|_| resource.starts_with("arn:"))?;
    let (service, action) = called.split_once(':')?;
    if service == "aws-sdk" {
        let is_job = action.rsplit_once('.').is_some_and(|it| matches!(it.1, "sync" | "sync:2"));
        return is_job.then(|| "calls of the AWS SDK have no `.sync` form".to_owned());
    }
    let (_, actions) = INTEGRATIONS.iter().find(|it| it.0 == service)?;
    let (action, pattern) = action.split_once('.').map_or((action, None), |(action, pattern)| (action, Some(pattern)));
    let Some((_, patterns)) = actions.iter().find(|it| it.0 == action) else {
        return Some(format!(
            "`{service}` has no optimized integration `{action}`; the AWS SDK's is `aws-sdk:{service}:{action}`"
        ));
    };
    let is_known = pattern.is_none_or(|it| patterns.contains(&it));
    (!is_known).then(|| format!("`{service}:{action}` has no form `.{}`", pattern.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn closed_lists_are_judged_and_nothing_else() {
        let check =
            |resource: &str, is_refused: bool| assert_eq!(refused(resource).is_some(), is_refused, "{resource}");
        check("arn:aws:states:::dynamodb:query", true);
        check("arn:aws:states:::sqs:sendMessage.sync", true);
        check("arn:aws:states:::aws-sdk:glue:startJobRun.sync", true);
        check("arn:aws-cn:states:::states:startExecution.sync:2", false);
        check("arn:aws:states:::aws-sdk:dynamodb:query", false);
        check("arn:aws:states:::brandnew:doThis.sync", false);
        check("arn:${AWS::Partition}:states:::dynamodb:query", false);
    }
}
