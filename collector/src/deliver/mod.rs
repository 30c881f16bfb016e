//! Outbound delivery: what leaves for another system goes through here.

mod mail;
mod s3;

pub use mail::{Letter, MailServer, mail};
pub use s3::{Bucket, put};

use std::time::Duration;

/// Tries of one delivery, and how long before the second; each waits twice as long as the one before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(15);

/// Why something could not be delivered. What was sent, and its headers, are never told.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    #[error("`{host}` answered {status}")]
    Refused { host: String, status: u16 },
    #[error("`{0}` is no mail address")]
    Address(String),
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable { host: String, why: String },
}

/// Posts a body. Throttling, failures of the server and of the way to it are tried again; what it refuses is not.
pub fn post(url: &str, headers: &[(String, String)], content_type: &str, body: &[u8]) -> Result<(), DeliverError> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build().into();
    let mut pause = PAUSE;
    let mut tried = 1;
    loop {
        let request = headers.iter().fold(agent.post(url), |request, (name, value)| request.header(name, value));
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
            Err(error) => DeliverError::Unreachable { host: host_of(url), why: error.to_string() },
        };
        if tried >= TRIES {
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
