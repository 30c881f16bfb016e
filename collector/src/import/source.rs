//! Where bytes come from: files, folders, standard input, plain or packed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use analyzer::model::ExecutionArn;
use serde_json::Value;

use super::classify::{Place, Receiver};
use super::packed::{self, Fault};
use super::sink::{Sink, Stopped};
use super::{Format, ImportOptions, Input, definition, fields, records, seen, sheet};
use crate::limits::{MAX_DEFINITION_BYTES, MAX_SIDECAR_BYTES};

const BUFFER: usize = 1 << 17;
/// What stands for the path of standard input.
const STDIN: &str = "stdin";

/// Reads one input of the command line.
pub(super) fn read(input: &Input, options: &ImportOptions, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    match input {
        Input::Stdin => {
            read_stream(BufReader::with_capacity(BUFFER, io::stdin()), "-", Path::new(STDIN), options, true, sink)
        }
        Input::Path(path) if path.is_dir() => {
            let mut n_files = 0;
            read_folder(path, &mut n_files, options, sink)?;
            if n_files == 0 {
                let reason = "the folder holds no files (hidden ones are passed over)".to_owned();
                sink.refuse_source(&path.to_string_lossy(), reason, true)?;
            }
            Ok(())
        }
        Input::Path(path) => read_file(path, options, true, sink),
    }
}

/// Reads a folder in the order of its names. Hidden files are none of ours.
fn read_folder(folder: &Path, n_files: &mut u64, options: &ImportOptions, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            *n_files += 1;
            return sink.refuse_source(&folder.to_string_lossy(), cannot_be_read(&error), true);
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|it| it.path()).collect();
    paths.retain(|it| !it.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    for path in paths {
        // A link to a folder is not followed: it may lead back up.
        let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
        if path.is_dir() {
            if !is_link {
                read_folder(&path, n_files, options, sink)?;
            }
            continue;
        }
        *n_files += 1;
        match fs::metadata(&path) {
            Ok(it) if it.is_file() => read_file(&path, options, false, sink)?,
            Ok(it) => {
                sink.refuse_source(&path.to_string_lossy(), format!("{}, not a regular file", kind(&it)), false)?;
            }
            Err(error) => sink.refuse_source(&path.to_string_lossy(), cannot_be_read(&error), false)?,
        }
    }
    Ok(())
}

fn read_file(path: &Path, options: &ImportOptions, is_named: bool, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    match File::open(path) {
        Ok(file) => {
            let input = BufReader::with_capacity(BUFFER, file);
            read_stream(input, &path.to_string_lossy(), path, options, is_named, sink)
        }
        Err(error) => sink.refuse_source(&path.to_string_lossy(), cannot_be_read(&error), true),
    }
}

fn cannot_be_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// What a path is that is no regular file.
fn kind(it: &fs::Metadata) -> &'static str {
    if it.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = it.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "something else"
}

pub(super) fn read_stream(
    input: impl BufRead + 'static,
    source: &str,
    path: &Path,
    options: &ImportOptions,
    is_named: bool,
    sink: &mut Sink<'_>,
) -> Result<(), Stopped> {
    sink.begin(source);
    let (input, fault) = packed::unpacked(input);
    let line = match read_text(input, &fault, path, options, sink) {
        Ok(line) => line,
        Err(error) => {
            sink.cut(None, format!("breaks off: {error}"));
            None
        }
    };
    if let Some(reason) = fault.reason() {
        sink.cut(line.filter(|it| *it > 0), reason);
    }
    sink.end(is_named, seen::expected(options.format))
}

/// Reads what was unpacked; the line that it ends in, where it has lines.
fn read_text(
    mut input: Box<dyn BufRead>,
    fault: &Fault,
    path: &Path,
    options: &ImportOptions,
    sink: &mut Sink<'_>,
) -> io::Result<Option<u64>> {
    if let Some(seen) = seen::bytes(input.fill_buf()?) {
        sink.see(|| seen);
        return Ok(None);
    }
    let place = place_of(path, options, sink);
    let mut head = Vec::new();
    input.by_ref().take(MAX_DEFINITION_BYTES + 1).read_to_end(&mut head)?;
    let is_whole = head.len() as u64 <= MAX_DEFINITION_BYTES && !fault.is_noted();
    if is_whole && !head.is_empty() && is_definition_text(&head, options) {
        definition::send_text(&String::from_utf8_lossy(&head), &place.stem, options.state_machine_arn.as_deref(), sink);
        return Ok(None);
    }
    if seen::names_ours(&head) {
        sink.mark_likely();
    }
    let no_json = seen::text(&head).filter(|_| !fault.is_noted());
    let is_sheet = sheet::is_insights(&head) && options.format.is_none_or(|it| it == Format::Logs);
    let whole = Cursor::new(head).chain(input);
    let line = if is_sheet {
        sheet::read(whole, || fault.is_noted(), options, sink)?
    } else {
        records::read(whole, fault, &mut Receiver::new(&place, sink))?
    };
    if let Some(no_json) = no_json {
        sink.see(|| no_json);
    }
    Ok(Some(line))
}

/// Names for what has none: the folder stands for the machine, the stem for the execution.
fn place_of<'a>(path: &Path, options: &'a ImportOptions, sink: &mut Sink<'_>) -> Place<'a> {
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
        // Nothing lies next to standard input.
        described_arn: (path != Path::new(STDIN))
            .then(|| described_arn(&path.with_file_name(format!("{stem}.describe.json")), sink))
            .flatten(),
        folder: folder.replace(':', "_"),
        stem: stem.to_owned(),
    }
}

/// The execution that a description next to a history names. What cannot be an answer of DescribeExecution is left out.
fn described_arn(beside: &Path, sink: &mut Sink<'_>) -> Option<String> {
    let metadata = fs::metadata(beside).ok()?;
    let reason = if !metadata.is_file() {
        format!("{}, not a regular file", kind(&metadata))
    } else if metadata.len() > MAX_SIDECAR_BYTES {
        format!("longer than {MAX_SIDECAR_BYTES} bytes (`MAX_SIDECAR_BYTES`)")
    } else {
        let mut text = String::new();
        let read = File::open(beside).and_then(|it| it.take(MAX_SIDECAR_BYTES).read_to_string(&mut text));
        let described = match read {
            Err(error) => Err(cannot_be_read(&error)),
            Ok(_) => match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
                Err(error) => Err(format!("damaged: {error}")),
                Ok(value) => fields::text(&value, "executionArn")
                    .filter(|it| ExecutionArn::parse(it).is_some())
                    .map(str::to_owned)
                    .ok_or_else(|| "without a valid `executionArn`".to_owned()),
            },
        };
        match described {
            Ok(arn) => return Some(arn),
            Err(reason) => reason,
        }
    };
    sink.quarantine(None, format!("the description `{}` is left out: it is {reason}", beside.display()));
    None
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
