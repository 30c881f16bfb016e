//! Outbound delivery: what leaves for another system goes through here.

mod mail;
mod s3;

pub use mail::{Letter, MailServer, mail};
pub use s3::{Bucket, put};

use std::time::{Duration, Instant};

/// Tries of one delivery, and how long before the second; each waits twice as long as the one before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long one try may take of the time that is left.
fn timeout(until: Instant) -> Duration {
    TIMEOUT.min(until.saturating_duration_since(Instant::now())).max(Duration::from_millis(1))
}

/// Why a delivery failed. It never holds what was sent, nor its headers.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    #[error("`{host}` answered {status}")]
    Refused { host: String, status: u16 },
    #[error("`{0}` is not a mail address")]
    Address(String),
    #[error("its address is not a URL")]
    Url,
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable { host: String, why: String },
}

/// Posts a body. Throttling, failures of the server and of the way to it are tried again until a time; what it refuses is not.
pub fn post(
    url: &str,
    headers: &[(String, String)],
    content_type: &str,
    body: &[u8],
    until: Instant,
) -> Result<(), DeliverError> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut pause = PAUSE;
    let mut tried = 1;
    loop {
        let request = headers.iter().fold(agent.post(url), |request, (name, value)| request.header(name, value));
        let request = request.config().timeout_global(Some(timeout(until))).build();
        let failed = match request.content_type(content_type).send(body) {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status().as_u16();
                let error = DeliverError::Refused { host: host_of(url), status };
                if status != 429 && status < 500 {
                    return Err(error);
                }
                error
            }
            // Such an error has the address in it.
            Err(ureq::Error::BadUri(_) | ureq::Error::Http(_)) => return Err(DeliverError::Url),
            Err(error) => DeliverError::Unreachable { host: host_of(url), why: error.to_string() },
        };
        if tried >= TRIES || Instant::now() + pause >= until {
            return Err(failed);
        }
        std::thread::sleep(pause);
        (pause, tried) = (pause * 2, tried + 1);
    }
}

/// The host alone: the path of a webhook is a secret.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    // A password may hold any of the signs that end a host.
    let host = rest.rsplit('@').next().unwrap_or(rest);
    host.split(['/', '?', '#']).next().unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_address_is_not_told() {
        assert_eq!(host_of("https://hooks.example.com/services/T0/B0/secret?key=1"), "hooks.example.com");
        assert_eq!(host_of("https://user:word@example.com:8443/x"), "example.com:8443");
        assert_eq!(host_of("smtp://user:SE/CR?T@localhost:2"), "localhost:2");
    }
}
