//! The two ways out of the process: nothing else writes to standard output or standard error.
//!
//! Results go to standard output in one of a few forms, and each form has its own idea of what is safe. Messages go to
//! standard error, one line each: `eprintln!` and `eprint!` mean the ones below everywhere in this binary, so that a new
//! command cannot forget it.

use std::fmt::Arguments;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tui::safe;

use crate::failure::Failure;

/// Says something on standard error: one line, whatever is in it.
macro_rules! eprintln {
    ($($it:tt)*) => { $crate::output::say(format_args!($($it)*), "\n") };
}

/// The same without the end of the line.
macro_rules! eprint {
    ($($it:tt)*) => { $crate::output::say(format_args!($($it)*), "") };
}

/// Writes a message; that nobody listens is no reason to fail.
pub(crate) fn say(what: Arguments<'_>, end: &str) {
    let _ = io::stderr().lock().write_all((safe::plain(&what.to_string()) + end).as_bytes());
}

/// Replaces what stands on the present line of a terminal, without ending it.
pub(crate) fn say_progress(what: &str) {
    let _ = io::stderr().lock().write_all(format!("\r\x1b[K{}", safe::plain(what)).as_bytes());
}

pub(crate) fn is_stdout_a_terminal() -> bool {
    io::stdout().is_terminal()
}

pub(crate) fn is_stderr_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Clears the screen, where standard output is one.
pub(crate) fn clear_screen() -> io::Result<()> {
    if is_stdout_a_terminal() { io::stdout().write_all(b"\x1b[2J\x1b[H") } else { Ok(()) }
}

/// What is wrong with the command line, or the help that was asked for; in colour where its words are harmless.
pub(crate) fn print_usage(error: &clap::Error) {
    // Both repeat arguments, and the values of variables.
    let variables = std::env::vars_os().filter(|it| it.0.to_string_lossy().starts_with("STEPSCOPE_")).map(|it| it.1);
    let repeated: Vec<String> =
        std::env::args_os().chain(variables).map(|it| it.to_string_lossy().into_owned()).collect();
    let _ = if repeated.iter().all(|it| safe::plain(it) == *it) {
        error.print()
    } else {
        let shown = plain_usage(&error.render().to_string(), &repeated);
        if error.use_stderr() {
            io::stderr().write_all(shown.as_bytes())
        } else {
            io::stdout().write_all(shown.as_bytes())
        }
    };
}

/// The text without what a terminal obeys; what it repeats begins no line of its own.
fn plain_usage(text: &str, repeated: &[String]) -> String {
    let values = repeated.iter().filter_map(|it| it.split_once('=')).map(|it| it.1);
    let broken = repeated.iter().map(String::as_str).chain(values).filter(|it| it.contains('\n'));
    // clap leaves escape sequences out when there are no colours, so the lines of an argument are looked for one by one.
    let text = broken
        .flat_map(|it| it.split('\n').skip(1))
        .filter(|it| !it.is_empty())
        .fold(text.to_owned(), |text, line| text.replace(&format!("\n{line}"), &format!("\\n{line}")));
    safe::lines(&text)
}

/// Standard output for text: what a terminal would obey is written as its number.
pub(crate) fn text() -> Out {
    Safe::out(Form::Text)
}

/// The same, with colours of our own: texts that go there have to be plain already.
pub(crate) fn coloured_text(is_coloured: bool) -> Out {
    Safe::out(if is_coloured { Form::Coloured } else { Form::Text })
}

/// Standard output for JSON, where such characters stand as `\u202e`.
pub(crate) fn json() -> Out {
    Safe::out(Form::Json)
}

/// Standard output for CSV, whose cells may have tabs.
pub(crate) fn csv() -> Out {
    Safe::out(Form::Csv)
}

/// Standard output for bytes that are no text; a terminal does not get them.
pub(crate) fn binary() -> Result<Out, Failure> {
    if is_stdout_a_terminal() {
        return Err(Failure::usage("this form is not for a terminal").hint("name a file with --out, or use a pipe"));
    }
    Ok(Safe::out(Form::Bytes))
}

/// The first error of a writer that was dropped with something left to write.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whether all of the results has reached standard output: what is buffered is written when its writer is dropped, and a
/// drop cannot fail.
pub(crate) fn finish() -> io::Result<()> {
    let unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    unwritten.map_or_else(|| io::stdout().flush(), Err)
}

/// Keeps an error for `finish`, and gives it on.
fn noted<T>(result: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &result {
        let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(copy);
    }
    result
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Coloured,
    Json,
    Csv,
    Bytes,
}

/// Standard output in a form.
pub(crate) type Out = BufWriter<Safe>;

/// Makes what passes safe, piece by piece; a character that is cut in two waits for its other half.
pub(crate) struct Safe {
    form: Form,
    out: io::StdoutLock<'static>,
    rest: Vec<u8>,
}

impl Safe {
    fn out(form: Form) -> Out {
        BufWriter::with_capacity(1 << 16, Self { form, out: io::stdout().lock(), rest: Vec::new() })
    }
}

impl Write for Safe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_plain = |it: &u8| *it == b'\n' || (0x20..0x7f).contains(it);
        if self.form == Form::Bytes || self.rest.is_empty() && bytes.iter().all(is_plain) {
            noted(self.out.write_all(bytes))?;
            return Ok(bytes.len());
        }
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - unfinished(&self.rest, self.form);
        let pieces: Vec<u8> = self.rest.drain(..whole).collect();
        noted(self.out.write_all(cleaned(self.form, &String::from_utf8_lossy(&pieces)).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        noted(self.out.flush())
    }
}

impl Drop for Safe {
    fn drop(&mut self) {
        let rest = String::from_utf8_lossy(&self.rest).into_owned();
        let _ = noted(self.out.write_all(cleaned(self.form, &rest).as_bytes()).and_then(|()| self.out.flush()));
    }
}

/// How many bytes at the end are the beginning of something: of a character, or of a colour.
fn unfinished(bytes: &[u8], form: Form) -> usize {
    let n_cut = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    };
    let tail = &bytes[bytes.len().saturating_sub(LONGEST_COLOUR)..];
    let colour = tail.iter().rposition(|it| *it == 0x1b).filter(|at| !tail[*at..].contains(&b'm'));
    let n_colour = if form == Form::Coloured { colour.map_or(0, |at| tail.len() - at) } else { 0 };
    n_cut.max(n_colour)
}

/// `ESC [ 1 0 7 m`, less its last character.
const LONGEST_COLOUR: usize = 5;

fn cleaned(form: Form, text: &str) -> String {
    match form {
        Form::Text => safe::lines(text),
        Form::Json => safe::json(text),
        Form::Csv => safe::raw_cell(text),
        Form::Bytes => text.to_owned(),
        Form::Coloured => {
            let mut shown = String::with_capacity(text.len());
            for (index, piece) in text.split('\u{1b}').enumerate() {
                let colour = piece.strip_prefix('[').and_then(|it| it.split_once('m')).map(|it| it.0);
                let is_colour = colour.is_some_and(|it| it.len() < 4 && it.bytes().all(|it| it.is_ascii_digit()));
                match index {
                    0 => {}
                    _ if is_colour => shown.push('\u{1b}'),
                    _ => shown += "\\u{1b}",
                }
                shown += &safe::lines(piece);
            }
            shown
        }
    }
}

/// Where the log goes: lines for people, or JSON.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    pub(crate) is_json: bool,
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Log {
    /// Takes one event, which ends with its only line break.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let event = event.strip_suffix('\n').unwrap_or(&event);
        let shown = if self.is_json { safe::json(event) } else { safe::plain(event) };
        io::stderr().lock().write_all((shown + "\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_ours_pass_and_nothing_else() {
        let text = "\u{1b}[32m█\u{1b}[0m \u{1b}[2J\u{1b}]0;x\u{7}\u{1b}[1;31mx \u{9b}m\n";
        assert_eq!(
            cleaned(Form::Coloured, text),
            "\u{1b}[32m█\u{1b}[0m \\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{1b}[1;31mx \\u{9b}m\n"
        );
    }

    #[test]
    fn arguments_that_are_repeated_begin_no_line() {
        let arguments = ["--a\u{1b}[2J\nerror: b".to_owned(), "--c=d\n\ne".to_owned()];
        let shown = plain_usage("error: '--a\nerror: b' and '\u{9b}d\n\ne'\n\nUsage: x\n", &arguments);
        assert_eq!(shown, "error: '--a\\nerror: b' and '\\u{9b}d\n\\ne'\n\nUsage: x\n");
    }

    #[test]
    fn what_is_cut_in_two_waits() {
        assert_eq!(unfinished("aé".as_bytes(), Form::Text), 0);
        assert_eq!(unfinished(&"aé".as_bytes()[..2], Form::Text), 1);
        assert_eq!(unfinished(&[b'a', 0xff], Form::Text), 0, "what never becomes a character does not wait");
        assert_eq!(unfinished(b"a\x1b[3", Form::Coloured), 3);
        assert_eq!(unfinished(b"a\x1b[32m", Form::Coloured), 0);
    }
}
