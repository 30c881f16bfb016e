//! Makes a call: within the budget, again when that may help, and with a plain word for why it was given up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::sleep;

use super::budget::{Budget, Priority};
use super::clock::wall;
use super::health::Pulse;
use super::quotas::action;
use crate::synthetic::Random;

/// Times that a call is made before it is given up.
const TRIES: u32 = 7;
const TRIES_WHEN_THROTTLED: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What is said of credentials that were there and are no longer valid.
const EXPIRED: &str = "the credentials have expired";

/// What kind of a no it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The permission is missing.
    Denied,
    /// The data is encrypted with a key that may not be used.
    Encrypted,
    /// What was asked for is not there any more.
    Gone,
    /// The token of a page is not valid any more.
    Token,
    /// The credentials are not valid any more.
    Credentials,
    /// The signature has another time than the service.
    Clock,
    /// The service asks for fewer calls.
    Throttled,
    /// It may work the next time.
    Passing,
    /// It will not work the next time either.
    Lasting,
}

/// Why a call was given up.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) api: &'static str,
    /// What the service calls it; `None` where it has not answered.
    pub(super) code: Option<String>,
    pub(super) message: String,
    pub(super) trouble: Trouble,
}

impl Refused {
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether credentials were there, and are no longer valid.
    pub(super) fn has_expired(&self) -> bool {
        self.message == EXPIRED || self.code.as_ref().is_some_and(|it| it.contains("Expired"))
    }

    pub(super) fn permission(&self) -> String {
        if self.trouble == Trouble::Encrypted { "kms:Decrypt".to_owned() } else { action(self.api) }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.api, self.message, self.code.as_deref().unwrap_or("no answer"))
    }
}

/// Makes the calls of one target, and counts them.
pub(super) struct Caller {
    pub(super) budget: RefCell<Rc<Budget>>,
    pub(super) calls: RefCell<BTreeMap<&'static str, u64>>,
    pub(super) throttled: RefCell<BTreeMap<&'static str, u64>>,
    pub(super) pulse: Pulse,
    random: RefCell<Random>,
}

impl Caller {
    pub(super) fn new(budget: Rc<Budget>, seed: u64) -> Self {
        Self {
            pulse: Pulse::default(),
            budget: RefCell::new(budget),
            calls: RefCell::default(),
            throttled: RefCell::default(),
            random: RefCell::new(Random::new(seed)),
        }
    }

    /// Makes a call until it succeeds, is refused for good, or was tried often enough.
    pub(super) async fn call<T, E, F>(
        &self,
        api: &'static str,
        priority: Priority,
        request: impl Fn() -> F,
    ) -> Result<T, Refused>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut tries = 0;
        loop {
            let budget = self.budget.borrow().clone();
            budget.take(api, priority).await;
            *self.calls.borrow_mut().entry(api).or_default() += 1;
            tries += 1;
            // The SDK's futures are large, and many wait at once.
            let answer = Box::pin(request()).await;
            let refused = match answer {
                Ok(answer) => {
                    self.pulse.answered(api, wall());
                    return Ok(answer);
                }
                Err(error) => refused(api, &error),
            };
            self.pulse.failed(&refused, wall());
            match refused.trouble {
                Trouble::Throttled => {
                    *self.throttled.borrow_mut().entry(api).or_default() += 1;
                    budget.throttle(api);
                }
                Trouble::Passing => {}
                _ => return Err(refused),
            }
            let most = if refused.trouble == Trouble::Throttled { TRIES_WHEN_THROTTLED } else { TRIES };
            if tries >= most {
                return Err(refused);
            }
            tracing::debug!(api, tries, code = refused.code, "a call is made again");
            let pause = self.pause(tries);
            self.pulse.tries_again(wall(), pause);
            sleep(pause).await;
        }
    }

    /// Up to twice as long after each try, by chance, so that many callers do not come back together.
    fn pause(&self, tries: u32) -> Duration {
        let most = (FIRST_PAUSE * 2_u32.saturating_pow(tries - 1)).min(LONGEST_PAUSE);
        let share = self.random.borrow_mut().below(1_000);
        #[expect(clippy::cast_possible_truncation, reason = "below a thousand")]
        let share = share as u32;
        most / 2 + most * share / 2_000
    }
}

/// What an error means.
pub(super) fn refused<E: ProvideErrorMetadata>(api: &'static str, error: &SdkError<E, HttpResponse>) -> Refused {
    let code = error.code().map(|it| it.rsplit('#').next().unwrap_or(it).to_owned());
    let message = error.message().map_or_else(|| unspoken(error).to_owned(), str::to_owned);
    let status = error.raw_response().map(|it| it.status().as_u16());
    let trouble = match (code.as_deref(), error) {
        // Emulators say so of what they lack: asking again does not help.
        (Some(_), _) if message.starts_with("Not implemented") => Trouble::Lasting,
        (Some(code), _) if is_of_clock(code, &message) => Trouble::Clock,
        (Some(code), _) => trouble(code, status),
        (None, SdkError::ConstructionFailure(_)) => Trouble::Credentials,
        (None, SdkError::DispatchFailure(failure)) if failure.is_user() => Trouble::Lasting,
        (None, SdkError::DispatchFailure(_)) if credentials_trouble(error).is_some() => Trouble::Credentials,
        (None, SdkError::ServiceError(_)) => status.map_or(Trouble::Passing, of_status),
        (None, _) => Trouble::Passing,
    };
    // What the service says about a signature quotes the request.
    let message = match trouble {
        Trouble::Credentials if code.is_some() => "the credentials are not valid (any more)".to_owned(),
        Trouble::Clock => "the signature has another time than the service: the clock here is wrong".to_owned(),
        _ => message,
    };
    Refused { api, code, message, trouble }
}

/// Whether a signature was refused because of its time.
fn is_of_clock(code: &str, message: &str) -> bool {
    let is_about_time = message.contains("Signature expired") || message.contains("not yet current");
    match code {
        "RequestTimeTooSkewed" | "RequestInTheFuture" | "RequestExpired" => true,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => is_about_time,
        _ => false,
    }
}

fn trouble(code: &str, status: Option<u16>) -> Trouble {
    const THROTTLED: [&str; 12] = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "LimitExceededException",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KmsThrottlingException",
    ];
    const CREDENTIALS: [&str; 6] = [
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    ];
    const GONE: [&str; 5] = [
        "ExecutionDoesNotExist",
        "StateMachineDoesNotExist",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StateMachineDeleting",
    ];
    match code {
        it if THROTTLED.contains(&it) => Trouble::Throttled,
        it if CREDENTIALS.contains(&it) => Trouble::Credentials,
        it if GONE.contains(&it) => Trouble::Gone,
        "InvalidToken" | "InvalidNextToken" | "InvalidNextTokenException" => Trouble::Token,
        it if it.starts_with("Kms") => Trouble::Encrypted,
        it if it.contains("AccessDenied") || it == "UnauthorizedException" || it == "NotAuthorized" => Trouble::Denied,
        _ => status.map_or(Trouble::Lasting, of_status),
    }
}

fn of_status(status: u16) -> Trouble {
    match status {
        429 => Trouble::Throttled,
        403 => Trouble::Denied,
        501 => Trouble::Lasting,
        200..=299 | 500..=599 | 408 => Trouble::Passing,
        _ => Trouble::Lasting,
    }
}

/// What is wrong with the credentials, where that is why a request was not sent: other failures of the connection say nothing of
/// them.
fn credentials_trouble<E>(error: &SdkError<E, HttpResponse>) -> Option<&'static str> {
    let SdkError::DispatchFailure(failure) = error else { return None };
    let cause = failure.as_connector_error().filter(|it| it.is_other())?;
    let text = DisplayErrorContext(cause).to_string().to_lowercase();
    let is_about_them = ["credential", "identity", "sso", "assume"].iter().any(|it| text.contains(it));
    match (is_about_them, text.contains("expired")) {
        (true, true) => Some(EXPIRED),
        (true, false) => Some("the request could not be signed: are there credentials?"),
        _ => None,
    }
}

/// What went wrong where the service said nothing.
fn unspoken<E>(error: &SdkError<E, HttpResponse>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be made: are there credentials and a region?",
        SdkError::TimeoutError(_) => "the service did not answer in time",
        SdkError::DispatchFailure(_) => credentials_trouble(error).unwrap_or("the service could not be reached"),
        _ => "the answer could not be understood",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_names() {
        for (code, status, expected) in [
            ("ThrottlingException", 400, Trouble::Throttled),
            ("ThrottledException", 429, Trouble::Throttled),
            ("AccessDeniedException", 400, Trouble::Denied),
            ("KmsAccessDeniedException", 400, Trouble::Encrypted),
            ("KmsThrottlingException", 400, Trouble::Throttled),
            ("InvalidToken", 400, Trouble::Token),
            ("ExpiredTokenException", 400, Trouble::Credentials),
            ("ExecutionDoesNotExist", 400, Trouble::Gone),
            ("InternalServerError", 500, Trouble::Passing),
            ("ServiceUnavailableException", 503, Trouble::Passing),
            ("InvalidArn", 400, Trouble::Lasting),
        ] {
            assert_eq!(trouble(code, Some(status)), expected, "{code}");
        }
    }

    #[test]
    fn a_wrong_clock_is_not_taken_for_wrong_credentials() {
        let expired = "Signature expired: 20261130T000000Z is now earlier than 20261130T000500Z";
        assert!(is_of_clock("InvalidSignatureException", expired));
        assert!(is_of_clock("RequestTimeTooSkewed", ""));
        assert!(!is_of_clock("InvalidSignatureException", "The request signature we calculated does not match"));
        assert!(!is_of_clock("ExpiredTokenException", "The security token included in the request is expired"));
    }
}
