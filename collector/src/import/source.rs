//! Where bytes come from: files, folders, standard input, plain or packed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::classify::{Place, Receiver};
use super::sink::{Sink, Stopped};
use super::{Format, ImportOptions, Input, definition, fields, logs, records};

const BUFFER: usize = 1 << 17;
/// AWS takes definitions of at most 1 MB, so no larger text can be one.
const LARGEST_DEFINITION: u64 = 1 << 20;

/// Reads one input of the command line.
pub(super) fn read(input: &Input, options: &ImportOptions, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    match input {
        Input::Stdin => {
            read_stream(BufReader::with_capacity(BUFFER, io::stdin()), "-", Path::new("stdin"), options, true, sink)
        }
        Input::Path(path) if path.is_dir() => read_folder(path, options, sink),
        Input::Path(path) => read_file(path, options, true, sink),
    }
}

/// Reads a folder in the order of its names. Hidden files are none of ours.
fn read_folder(folder: &Path, options: &ImportOptions, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return refuse(folder, &error, sink),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|it| it.path()).collect();
    paths.retain(|it| !it.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    for path in paths {
        // A link to a folder is not followed: it may lead back up.
        if fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir()) {
            read_folder(&path, options, sink)?;
        } else if path.is_file() {
            read_file(&path, options, false, sink)?;
        }
    }
    Ok(())
}

fn read_file(path: &Path, options: &ImportOptions, named_by_user: bool, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    match File::open(path) {
        Ok(file) => {
            let input = BufReader::with_capacity(BUFFER, file);
            read_stream(input, &path.to_string_lossy(), path, options, named_by_user, sink)
        }
        Err(error) => refuse(path, &error, sink),
    }
}

fn refuse(path: &Path, error: &io::Error, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    sink.begin(&path.to_string_lossy());
    sink.quarantine(None, format!("cannot be read: {error}"));
    sink.end(true)
}

pub(super) fn read_stream(
    input: impl BufRead + 'static,
    source: &str,
    path: &Path,
    options: &ImportOptions,
    named_by_user: bool,
    sink: &mut Sink<'_>,
) -> Result<(), Stopped> {
    sink.begin(source);
    if let Err(error) = unpacked(input).and_then(|input| read_text(input, path, options, sink)) {
        sink.quarantine(None, format!("breaks off: {error}"));
    }
    sink.end(named_by_user)
}

/// Unpacks gzip and zstd, told by their first bytes; what was packed twice on its way is unpacked twice.
fn unpacked(input: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut input: Box<dyn BufRead> = unpacked_once(input)?;
    if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) { unpacked_once(input) } else { Ok(input) }
}

fn unpacked_once(mut input: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let head = input.fill_buf()?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(input)?))
    } else {
        Box::new(input)
    })
}

fn read_text(mut input: Box<dyn BufRead>, path: &Path, options: &ImportOptions, sink: &mut Sink<'_>) -> io::Result<()> {
    if input.fill_buf()?.iter().take(8_192).any(|&it| it == 0) {
        return Ok(());
    }
    let place = place_of(path, options);
    let mut head = Vec::new();
    input.by_ref().take(LARGEST_DEFINITION + 1).read_to_end(&mut head)?;
    if head.len() as u64 <= LARGEST_DEFINITION && is_definition_text(&head, options) {
        definition::send_text(&String::from_utf8_lossy(&head), &place.stem, options.state_machine_arn.as_deref(), sink);
        return Ok(());
    }
    let is_csv = is_insights_csv(&head);
    let whole = Cursor::new(head).chain(input);
    if is_csv && options.format.is_none_or(|it| it == Format::Logs) {
        return read_csv(whole, options, sink);
    }
    records::read(whole, &mut Receiver { place: &place, sink })
}

/// Names for what has none: the folder stands for the machine, the stem for the execution.
fn place_of<'a>(path: &Path, options: &'a ImportOptions) -> Place<'a> {
    let name = path.file_name().map_or_else(|| "input".to_owned(), |it| it.to_string_lossy().into_owned());
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let stem = stem.trim_end_matches(".asl").trim_end_matches(".describe");
    let parent =
        path.parent().filter(|it| !it.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let folder = parent.canonicalize().unwrap_or(parent);
    let folder = folder.file_name().map_or_else(|| "local".to_owned(), |it| it.to_string_lossy().into_owned());
    Place {
        options,
        described_arn: described_arn(&path.with_file_name(format!("{stem}.describe.json"))),
        folder: folder.replace(':', "_"),
        stem: stem.to_owned(),
    }
}

fn described_arn(beside: &Path) -> Option<String> {
    let value: Value = serde_json::from_str(&fs::read_to_string(beside).ok()?).ok()?;
    fields::text(&value, "executionArn").map(str::to_owned)
}

/// A whole text that is a definition in JSON5 or YAML. One in JSON is found among the records.
fn is_definition_text(head: &[u8], options: &ImportOptions) -> bool {
    if options.format == Some(Format::Definition) {
        return serde_json::from_slice::<Value>(head).map_or(true, |it| !definition::is_description(&it));
    }
    let Ok(text) = std::str::from_utf8(head) else {
        return false;
    };
    options.format.is_none()
        && definition::may_be_definition(text)
        && !text.contains("\"execution_arn\"")
        && !text.contains("\"previousEventId\"")
        && !text.contains("detail-type")
        && has_definition_keys(text)
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
}

/// Whether both keys stand at the start of a line, as they do in a definition but not in prose about one.
fn has_definition_keys(text: &str) -> bool {
    let key = |name: &str| {
        text.split(['\n', '{', ',']).any(|line| {
            let line = line.trim_start().trim_start_matches(['"', '\'']);
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        })
    };
    let starts_as_one = !text.trim_start().starts_with(['#', '|'])
        || text.lines().any(|it| it.starts_with("StartAt") || it.starts_with("States"));
    starts_as_one && key("StartAt") && key("States")
}

fn is_insights_csv(head: &[u8]) -> bool {
    let first = head.split(|&it| it == b'\n').next().unwrap_or_default();
    first.starts_with(b"@") && memchr::memmem::find(first, b"@message").is_some()
        || first.starts_with(b"\"@") && memchr::memmem::find(first, b"@message").is_some()
}

/// The CSV of Logs Insights, with a column `@message`.
fn read_csv(input: impl Read, options: &ImportOptions, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let column = reader.headers().map_err(io::Error::other)?.iter().position(|it| it == "@message");
    let Some(column) = column else { return Ok(()) };
    sink.recognise();
    let mut row = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = row.position().map(csv::Position::line);
                if let Some(message) = row.get(column) {
                    logs::send_text(message, line, &options.privacy, sink);
                }
            }
            Err(error) => sink.quarantine(error.position().map(csv::Position::line), format!("CSV: {error}")),
        }
        if sink.is_stopped() {
            return Ok(());
        }
    }
}
