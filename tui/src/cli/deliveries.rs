//! Sends what the product has to say to where the configuration wants it: all deliveries at the same time, each within its own time limit.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use collector::deliver::{self, DeliverError};
use serde_json::{Value, json};
use tui::safe;

use super::{Context, when};
use crate::config::DeliveryConfig;
use crate::failure::Failure;

/// Parcels that are on their way to one delivery at the same time.
const LANES: usize = 4;
/// How much longer than its limit a delivery is waited for: its own timeouts come first, and say more.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// Something to send.
#[derive(Clone)]
pub(super) struct Parcel {
    /// The name of the file in a folder.
    pub(super) file: String,
    /// For people.
    pub(super) text: String,
    /// For programs.
    pub(super) json: Value,
    /// What a folder gets, where that is more than the text.
    pub(super) page: Option<Vec<u8>>,
}

/// Sends each parcel to the delivery of its name, and returns what became of each, in the order given. It returns within the longest limit of
/// these deliveries, whatever they do; `limit` is that of a delivery without one of its own.
pub(super) fn send_all(context: &Context, parcels: Vec<(String, Parcel)>, limit: Duration) -> Vec<Result<(), Failure>> {
    let begin = Instant::now();
    let mut results: Vec<Option<Result<(), Failure>>> = parcels.iter().map(|_| None).collect();
    let mut queues: BTreeMap<String, VecDeque<(usize, Parcel)>> = BTreeMap::new();
    for (index, (name, parcel)) in parcels.into_iter().enumerate() {
        queues.entry(name).or_default().push_back((index, parcel));
    }
    let (sender, received) = channel();
    let mut end = begin;
    for (name, queue) in queues {
        let config = context.config.deliveries.iter().find(|it| it.name == name).cloned();
        let until = begin + config.as_ref().and_then(limit_of).unwrap_or(limit);
        end = end.max(until);
        let sender = sender.clone();
        // What hangs beyond its limit ends with the process.
        thread::spawn(move || deliver_all(&name, config.as_ref(), queue, until, &sender));
    }
    drop(sender);
    let left = || (end + GRACE).saturating_duration_since(Instant::now());
    while let Ok((index, result)) = received.recv_timeout(left()) {
        results[index] = Some(result);
    }
    let late = || Err(Failure::new(format!("not finished after {} s", begin.elapsed().as_secs())));
    results.into_iter().map(|it| it.unwrap_or_else(late)).collect()
}

/// One failure of those that were found, with the reasons of all; `None` where there are none.
pub(super) fn failed(undelivered: &[(String, String)]) -> Option<Failure> {
    let mut reasons: Vec<String> = undelivered.iter().map(|(name, why)| format!("`{name}`: {why}")).collect();
    reasons.sort_unstable();
    reasons.dedup();
    (!reasons.is_empty()).then(|| reasons.into_iter().fold(Failure::new("delivery failed"), Failure::because))
}

/// A name that no folder minds.
pub(super) fn file_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}

fn limit_of(config: &DeliveryConfig) -> Option<Duration> {
    let span = config.timeout.as_deref().and_then(when::span)?;
    u64::try_from(span.0).ok().filter(|it| *it > 0).map(Duration::from_micros)
}

/// Where a delivery goes, with all that is secret about it.
enum Route {
    Folder(PathBuf),
    Webhook(String),
    Slack(String),
    Bucket(deliver::Bucket, String),
    Mail(deliver::MailServer, Vec<String>),
}

/// Why a parcel did not arrive.
enum Unsent {
    /// It was refused; others may arrive.
    Refused(Failure),
    /// Nothing gets there at the moment.
    Down(Failure),
}

/// Sends all parcels of one delivery. Once it is down, the rest waits for the next time.
fn deliver_all(
    name: &str,
    config: Option<&DeliveryConfig>,
    queue: VecDeque<(usize, Parcel)>,
    until: Instant,
    sender: &Sender<(usize, Result<(), Failure>)>,
) {
    let route = route(name, config, until);
    let lanes = LANES.min(queue.len());
    let state = Mutex::new((queue, None::<String>));
    let next = || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, parcel) = state.0.pop_front()?;
        Some((index, parcel, state.1.clone()))
    };
    let lane = || {
        while let Some((index, parcel, down)) = next() {
            let sent = match (&route, down) {
                (Err(failure), _) => Err(Failure::new(failure.in_a_line())),
                (Ok(_), Some(why)) => Err(Failure::new(why)),
                (Ok(route), None) => match send(route, &parcel, until) {
                    Ok(()) => Ok(()),
                    Err(Unsent::Refused(failure)) => Err(failure),
                    Err(Unsent::Down(failure)) => {
                        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                        state.1 = Some(failure.in_a_line());
                        Err(failure)
                    }
                },
            };
            if sender.send((index, sent)).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| (0..lanes).for_each(|_| drop(scope.spawn(lane))));
}

fn route(name: &str, config: Option<&DeliveryConfig>, until: Instant) -> Result<Route, Failure> {
    if config.is_none() && name.contains(std::path::MAIN_SEPARATOR) {
        return Ok(Route::Folder(name.into()));
    }
    let to = config.ok_or_else(|| {
        Failure::usage(format!("there is no delivery `{name}`; name it under `[[deliveries]]` in the configuration"))
    })?;
    if to.timeout.is_some() && limit_of(to).is_none() {
        let text = to.timeout.as_deref().unwrap_or_default();
        return Err(Failure::usage(format!("invalid timeout `{text}` of the delivery `{name}`: use 20s, 2m")));
    }
    match to.kind.as_str() {
        "folder" => Ok(Route::Folder(to.path.as_deref().ok_or_else(|| missing(to, "path"))?.into())),
        "webhook" => Ok(Route::Webhook(url(to, until)?)),
        "slack" => Ok(Route::Slack(url(to, until)?)),
        "s3" => bucket(to),
        "mail" => {
            let from = to.from.clone().ok_or_else(|| missing(to, "from"))?;
            if to.recipients.is_empty() {
                return Err(missing(to, "recipients"));
            }
            Ok(Route::Mail(deliver::MailServer { url: url(to, until)?, from }, to.recipients.clone()))
        }
        other => Err(Failure::usage(format!(
            "unknown kind `{other}` of the delivery `{name}`: use folder, s3, webhook, slack or mail"
        ))),
    }
}

fn send(route: &Route, parcel: &Parcel, until: Instant) -> Result<(), Unsent> {
    let post = |url: &str, body: &Value| {
        deliver::post(url, &[], "application/json", safe::json(&body.to_string()).as_bytes(), until)
    };
    let text = safe::lines(&parcel.text);
    let sent = match route {
        Route::Folder(folder) => {
            return write(folder, parcel).map_err(|error| {
                Unsent::Down(
                    Failure::new(format!("cannot write into `{}`", folder.display())).because(error.to_string()),
                )
            });
        }
        Route::Webhook(url) => post(url, &parcel.json),
        Route::Slack(url) => post(url, &json!({"text": safe::slack(&parcel.text)})),
        Route::Bucket(bucket, prefix) => {
            let key: Vec<&str> = [prefix.as_str(), &parcel.file].into_iter().filter(|it| !it.is_empty()).collect();
            let (content_type, body) = match &parcel.page {
                Some(page) => ("text/html; charset=utf-8", page.as_slice()),
                None => ("text/plain; charset=utf-8", text.as_bytes()),
            };
            deliver::put(bucket, &key.join("/"), content_type, body, until)
        }
        Route::Mail(server, to) => {
            let subject = text.lines().next().unwrap_or("stepscope");
            let page = parcel.page.as_deref().map(|it| (parcel.file.as_str(), it));
            deliver::mail(server, &deliver::Letter { to, subject, text: &text, page }, until)
        }
    };
    sent.map_err(|error| match error {
        DeliverError::Refused { status, .. } if status < 500 && status != 429 => {
            Unsent::Refused(Failure::new(error.to_string()))
        }
        error => Unsent::Down(Failure::new(error.to_string())),
    })
}

/// Puts a file into a folder, whole or not at all.
fn write(folder: &Path, parcel: &Parcel) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let text = safe::lines(&parcel.text) + "\n";
    let part = folder.join(format!(".{}.part", parcel.file));
    std::fs::write(&part, parcel.page.as_deref().unwrap_or(text.as_bytes()))?;
    std::fs::rename(&part, folder.join(&parcel.file))
}

fn missing(to: &DeliveryConfig, what: &str) -> Failure {
    Failure::usage(format!("the delivery `{}` has no `{what}`", to.name))
}

fn bucket(to: &DeliveryConfig) -> Result<Route, Failure> {
    let path = to.path.as_deref().ok_or_else(|| missing(to, "path"))?;
    let rest = path.strip_prefix("s3://").filter(|it| !it.is_empty()).ok_or_else(|| {
        Failure::usage(format!("invalid path `{path}` of the delivery `{}`: use s3://bucket/reports", to.name))
    })?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket = deliver::Bucket {
        name: name.to_owned(),
        region: to.region.clone(),
        profile: to.profile.clone(),
        endpoint_url: to.endpoint_url.clone(),
    };
    Ok(Route::Bucket(bucket, prefix.trim_matches('/').to_owned()))
}

/// The address: a secret, so it is looked up, and never printed.
fn url(to: &DeliveryConfig, until: Instant) -> Result<String, Failure> {
    if let Some(variable) = &to.url_env {
        return std::env::var(variable).map_err(|_| {
            Failure::usage(format!(
                "the environment has no `{variable}`, where the delivery `{}` has its address",
                to.name
            ))
        });
    }
    if let Some(command) = &to.url_command {
        let failed = |why: &str| Failure::new(format!("the command for the address of `{}` {why}", to.name));
        return printed(command, until)
            .map_err(|error| failed(&format!("cannot be run: {error}")))?
            .ok_or_else(|| failed("failed"));
    }
    to.url.clone().ok_or_else(|| missing(to, "url_env"))
}

/// What a command prints; `None` where it fails, or has not ended in time.
fn printed(command: &str, until: Instant) -> std::io::Result<Option<String>> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    };
    // An address fits into the pipe, so the command has not waited for this.
    let mut text = String::new();
    let Some(mut stdout) = child.stdout.take().filter(|_| status.success()) else { return Ok(None) };
    stdout.read_to_string(&mut text)?;
    Ok(Some(text.trim().to_owned()))
}
