//! Sends what the product has to say to where the configuration wants it.

use std::path::Path;
use std::process::Command;

use collector::deliver;
use serde_json::{Value, json};

use super::Context;
use crate::config::DeliveryConfig;
use crate::failure::Failure;

/// Something to send.
pub(super) struct Parcel<'a> {
    /// The name of the file in a folder.
    pub(super) file: String,
    /// For people.
    pub(super) text: &'a str,
    /// For programs.
    pub(super) json: Value,
    /// What a folder gets, where that is more than the text.
    pub(super) page: Option<&'a [u8]>,
}

/// Sends a parcel to the deliveries of these names; what fails is said, the others get it all the same.
pub(super) fn send(context: &Context, names: &[String], parcel: &Parcel<'_>) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for name in names {
        if let Err(failure) = send_to(context, name, parcel) {
            failed.push(format!("`{name}`: {}", failure.in_a_line()));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(failed.into_iter().fold(Failure::new("something could not be delivered"), Failure::because))
}

/// A name that no folder minds.
pub(super) fn file_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}

fn send_to(context: &Context, name: &str, parcel: &Parcel<'_>) -> Result<(), Failure> {
    let known = context.config.deliveries.iter().find(|it| it.name == name);
    if known.is_none() && name.contains(std::path::MAIN_SEPARATOR) {
        return write(Path::new(name), parcel);
    }
    let to = known.ok_or_else(|| {
        Failure::usage(format!("there is no delivery `{name}`"))
            .hint("name it under `[[deliveries]]` in the configuration")
    })?;
    match to.kind.as_str() {
        "folder" => write(Path::new(to.path.as_deref().ok_or_else(|| missing(to, "path"))?), parcel),
        "webhook" => post(to, &parcel.json),
        "slack" => post(to, &json!({"text": parcel.text})),
        "s3" => put(to, parcel),
        "mail" => mail(to, parcel),
        other => {
            let what = format!("`{other}` is no kind of delivery");
            Err(Failure::usage(what).hint("use folder, s3, webhook, slack or mail"))
        }
    }
}

fn write(folder: &Path, parcel: &Parcel<'_>) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let text = format!("{}\n", parcel.text);
    std::fs::write(folder.join(&parcel.file), parcel.page.unwrap_or(text.as_bytes()))?;
    Ok(())
}

fn missing(to: &DeliveryConfig, what: &str) -> Failure {
    Failure::usage(format!("the delivery `{}` has no `{what}`", to.name))
}

fn post(to: &DeliveryConfig, body: &Value) -> Result<(), Failure> {
    deliver::post(&url(to)?, &[], "application/json", body.to_string().as_bytes())?;
    Ok(())
}

fn put(to: &DeliveryConfig, parcel: &Parcel<'_>) -> Result<(), Failure> {
    let path = to.path.as_deref().ok_or_else(|| missing(to, "path"))?;
    let rest = path.strip_prefix("s3://").filter(|it| !it.is_empty()).ok_or_else(|| {
        Failure::usage(format!("`{path}` of the delivery `{}` is no place in S3", to.name))
            .hint("such as s3://bucket/reports")
    })?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let key =
        [prefix.trim_matches('/'), &parcel.file].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("/");
    let (content_type, body) = match parcel.page {
        Some(page) => ("text/html; charset=utf-8", page),
        None => ("text/plain; charset=utf-8", parcel.text.as_bytes()),
    };
    let bucket = deliver::Bucket {
        name: name.to_owned(),
        region: to.region.clone(),
        profile: to.profile.clone(),
        endpoint_url: to.endpoint_url.clone(),
    };
    deliver::put(&bucket, &key, content_type, body)?;
    Ok(())
}

fn mail(to: &DeliveryConfig, parcel: &Parcel<'_>) -> Result<(), Failure> {
    let from = to.from.clone().ok_or_else(|| missing(to, "from"))?;
    if to.recipients.is_empty() {
        return Err(missing(to, "recipients"));
    }
    let subject = parcel.text.lines().next().unwrap_or("stepscope");
    let page = parcel.page.map(|it| (parcel.file.as_str(), it));
    let letter = deliver::Letter { to: &to.recipients, subject, text: parcel.text, page };
    deliver::mail(&deliver::MailServer { url: url(to)?, from }, &letter)?;
    Ok(())
}

/// The address: a secret, so it is looked up, and never told.
fn url(to: &DeliveryConfig) -> Result<String, Failure> {
    if let Some(variable) = &to.url_env {
        return std::env::var(variable).map_err(|_| {
            Failure::usage(format!(
                "the environment has no `{variable}`, where the delivery `{}` has its address",
                to.name
            ))
        });
    }
    if let Some(command) = &to.url_command {
        let output = Command::new("sh").args(["-c", command]).output()?;
        if !output.status.success() {
            return Err(Failure::new(format!("the command for the address of `{}` failed", to.name)));
        }
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    to.url.clone().ok_or_else(|| missing(to, "url_env"))
}
