//! Logs that were delivered into buckets: a subscription of CloudWatch Logs through Firehose, or an export task.
//!
//! An object is marked as read once all of it was sent, by its name and the time it was written; the mark is stored together with
//! what was in it, or after it. One that was read half way is read anew, and what is known of it by then is a duplicate: events have
//! the identity that Step Functions gave them, wherever they lie.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{BufReader, Cursor, Seek, Write};
use std::time::Duration;

use analyzer::model::{Collected, Micros, Name, Observation, Timestamp};
use analyzer::spans::{Span, Spans};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::call::refused;
use super::clock::wall;
use super::connection;
use super::health::{Health, Pulse};
use super::outbox::{Outbox, local_time};
use super::{GapKind, Known, LiveOptions, LiveTarget, TargetGap};
use crate::import::{ImportOptions, Stopped, stream};

/// The name under which objects are remembered.
const SOURCE: &str = "s3";
/// Larger objects go through a file.
const IN_MEMORY: i64 = 32 << 20;
/// Marks wait so long for more of them: each makes what is incomplete be written.
const MARK_EVERY: Duration = Duration::from_secs(4);
/// Names that begin with a time ascend: most looks begin with the first that was written in this span. Every so many, and while there are few,
/// everything is listed, since other names come anywhere.
const LATE: Micros = Micros(24 * 3_600_000_000);
const WHOLE_EVERY: u32 = 20;
const FEW: usize = 5_000;
const TRIES: u32 = 4;
const GAPS: usize = 100;

/// What was read from one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectsReport {
    pub source: String,
    pub objects: u64,
    pub bytes: u64,
    pub gaps: Vec<TargetGap>,
    /// How the bucket answers at this moment.
    #[serde(skip)]
    pub health: Health,
}

/// Objects under a prefix.
pub(super) struct Objects<'a> {
    bucket: String,
    prefix: String,
    client: aws_sdk_s3::Client,
    options: &'a LiveOptions,
    outbox: &'a Outbox<'a>,
    /// Those that were read: when each was written, by name.
    read: RefCell<BTreeMap<String, Timestamp>>,
    /// An object could not be read: the next look is at all of them.
    has_failed: Cell<bool>,
    /// Marks that are to be sent.
    marks: RefCell<Vec<Collected>>,
    marked: RefCell<Instant>,
    report: RefCell<ObjectsReport>,
    pulse: Pulse,
}

/// An object as a listing shows it.
struct Listed {
    key: String,
    written: Timestamp,
    bytes: i64,
}

impl<'a> Objects<'a> {
    pub(super) async fn new(
        place: &str,
        target: &LiveTarget,
        options: &'a LiveOptions,
        known: &Known,
        outbox: &'a Outbox<'a>,
    ) -> Self {
        let (bucket, prefix) =
            place.trim_start_matches("s3://").split_once('/').unwrap_or((place.trim_start_matches("s3://"), ""));
        let config = connection::plain_config(target).await;
        let config = aws_sdk_s3::config::Builder::from(&config);
        // Elsewhere a bucket is rarely a host of its own.
        let is_elsewhere = target.endpoint_url.is_some()
            || ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|it| std::env::var_os(it).is_some());
        let client = aws_sdk_s3::Client::from_conf(config.force_path_style(is_elsewhere).build());
        let start = format!("s3://{bucket}/");
        let read = known.collected.iter().filter(|((source, _), _)| source == SOURCE);
        let read = read.filter_map(|((_, subject), (written, _))| {
            let key = subject.strip_prefix(&start)?;
            key.starts_with(prefix).then(|| (key.to_owned(), *written))
        });
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            client,
            options,
            outbox,
            read: RefCell::new(read.collect()),
            has_failed: Cell::new(false),
            marks: RefCell::default(),
            marked: RefCell::new(Instant::now()),
            report: RefCell::new(ObjectsReport { source: place.to_owned(), ..ObjectsReport::default() }),
            pulse: Pulse::default(),
        }
    }

    /// What was read, and how the bucket answers.
    pub(super) fn report(&self) -> ObjectsReport {
        ObjectsReport { health: self.pulse.health(), ..self.report.borrow().clone() }
    }

    /// Reads every object that was not read yet.
    pub(super) async fn read_all(&self) -> Result<(), Stopped> {
        self.read_from(None).await?;
        self.mark()
    }

    /// Reads what comes, for ever.
    pub(super) async fn follow(&self) -> Result<(), Stopped> {
        self.read_all().await?;
        let mut looks = 0_u32;
        loop {
            let pause = self.options.interval.min(Duration::from_secs(15));
            self.pulse.tries_again(wall(), pause);
            sleep(pause).await;
            looks += 1;
            let from = if looks.is_multiple_of(WHOLE_EVERY)
                || self.read.borrow().len() < FEW
                || self.has_failed.replace(false)
            {
                None
            } else {
                let read = self.read.borrow();
                let newest = read.values().max().copied().unwrap_or_default();
                read.iter().find(|(_, written)| **written >= newest - LATE).map(|it| it.0.clone())
            };
            self.read_from(from).await?;
            self.mark()?;
        }
    }

    async fn read_from(&self, from: Option<String>) -> Result<(), Stopped> {
        let mut token = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix);
            let request = request.set_start_after(from.clone()).set_continuation_token(token.clone());
            let page = match request.send().await {
                Ok(page) => {
                    self.pulse.answered("ListObjectsV2", wall());
                    page
                }
                Err(error) => {
                    self.pulse.failed(&refused("ListObjectsV2", &error), wall());
                    self.gap(format!(
                        "s3://{}/{} cannot be listed: {}",
                        self.bucket,
                        self.prefix,
                        DisplayErrorContext(&error)
                    ));
                    return Ok(());
                }
            };
            for it in page.contents() {
                let (Some(key), Some(written)) = (it.key(), it.last_modified()) else { continue };
                let written = Timestamp(written.secs() * 1_000_000 + i64::from(written.subsec_nanos() / 1_000));
                let listed = Listed { key: key.to_owned(), written, bytes: it.size().unwrap_or(0) };
                let is_read = self.read.borrow().get(key).is_some_and(|it| *it == written);
                let is_old = self.options.since.is_some_and(|it| written < it);
                if !(is_read || is_old || listed.bytes == 0) {
                    self.read(listed).await?;
                }
            }
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    async fn read(&self, it: Listed) -> Result<(), Stopped> {
        let subject = format!("s3://{}/{}", self.bucket, it.key);
        let mut tries = 0;
        let done = loop {
            tries += 1;
            let object = self.client.get_object().bucket(&self.bucket).key(&it.key).send().await;
            let done = match object {
                Ok(object) => {
                    self.pulse.answered("GetObject", wall());
                    self.take(&subject, object).await?
                }
                Err(error) => {
                    self.pulse.failed(&refused("GetObject", &error), wall());
                    Err(DisplayErrorContext(&error).to_string())
                }
            };
            match done {
                Err(_) if tries < TRIES => sleep(Duration::from_millis(200 << tries)).await,
                done => break done,
            }
        };
        if let Err(why) = done {
            // It is not marked, and so it is tried again the next time.
            self.has_failed.set(true);
            self.gap(format!("{subject} cannot be read: {why}"));
            return Ok(());
        }
        {
            let mut report = self.report.borrow_mut();
            report.objects += 1;
            report.bytes += it.bytes.unsigned_abs();
        }
        self.read.borrow_mut().insert(it.key, it.written);
        let spans: Spans = [Span { from: it.written, to: it.written + Micros(1) }].into_iter().collect();
        self.marks.borrow_mut().push(Collected {
            source: SOURCE,
            subject: Name::from(subject),
            wanted_from: it.written,
            spans,
        });
        if self.marked.borrow().elapsed() >= MARK_EVERY { self.mark() } else { Ok(()) }
    }

    /// Sends all that an object holds; what could not be fetched is sent as far as it came.
    async fn take(&self, subject: &str, object: GetObjectOutput) -> Result<Result<(), String>, Stopped> {
        let options = ImportOptions {
            privacy: self.options.privacy.clone(),
            now: Some(local_time()),
            ..ImportOptions::default()
        };
        let send = &mut |batch: Vec<Observation>| batch.into_iter().try_for_each(|it| self.outbox.observe(it));
        if object.content_length().is_some_and(|it| it <= IN_MEMORY) {
            return match object.body.collect().await {
                Ok(bytes) => stream(Cursor::new(bytes.into_bytes()), subject, &options, send).map(Ok),
                Err(error) => Ok(Err(error.to_string())),
            };
        }
        let mut body = object.body;
        let file = async {
            let mut file = tempfile::tempfile()?;
            while let Some(bytes) = body.try_next().await.map_err(std::io::Error::other)? {
                file.write_all(&bytes)?;
            }
            file.rewind()?;
            Ok::<_, std::io::Error>(file)
        };
        match file.await {
            Ok(file) => stream(BufReader::with_capacity(1 << 17, file), subject, &options, send).map(Ok),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn mark(&self) -> Result<(), Stopped> {
        self.marked.replace(Instant::now());
        for it in self.marks.take() {
            self.outbox.observe(Observation::Collected(Box::new(it)))?;
        }
        Ok(())
    }

    fn gap(&self, text: String) {
        tracing::warn!(gap = text, "something is missing");
        let kind = if text.contains("AccessDenied") { GapKind::Denied } else { GapKind::NotCollected };
        let mut report = self.report.borrow_mut();
        if report.gaps.len() < GAPS && !report.gaps.iter().any(|it| it.text == text) {
            report.gaps.push(TargetGap::new(kind, text));
        }
    }
}
