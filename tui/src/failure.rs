//! How a command fails: what, why, and what to do, rendered in one place.

use std::error::Error;
use std::io;
use std::path::Path;

use collector::deliver::DeliverError;
use collector::import::Stopped;
use queries::StoreError;
use tui::safe::{indented, plain};

pub(crate) const EXIT_FAILED: u8 = 1;
pub(crate) const EXIT_USAGE: u8 = 2;
pub(crate) const EXIT_THRESHOLD: u8 = 3;
pub(crate) const EXIT_SET_ASIDE: u8 = 4;

/// A failure on its way to the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    what: String,
    why: Vec<String>,
    hint: Option<String>,
    closed_pipe: bool,
    /// Somebody else has written the same meanwhile.
    is_stale: bool,
    /// What failed is `the database …`, whose name is known to the command.
    is_of_database: bool,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            code: EXIT_FAILED,
            what: what.into(),
            why: Vec::new(),
            hint: None,
            closed_pipe: false,
            is_stale: false,
            is_of_database: false,
        }
    }

    /// Wrong usage, or a name that is unknown or ambiguous.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, ..Self::new(what) }
    }

    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the database, where the failure is about it and was found without knowing its name.
    #[must_use]
    pub(crate) fn of_database(mut self, path: &Path) -> Self {
        if std::mem::take(&mut self.is_of_database)
            && let Some(rest) = self.what.strip_prefix("the database ")
        {
            self.what = format!("`{}` {rest}", path.display());
        }
        self
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }

    /// What can be done about it.
    pub(crate) fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What and why.
    pub(crate) fn in_a_line(&self) -> String {
        std::iter::once(&self.what).chain(&self.why).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    pub(crate) fn print(&self) {
        // What is said of several lines is indented, so that no line of it passes for another message.
        for line in self.to_string_of_lines().lines() {
            eprintln!("{line}");
        }
    }

    fn to_string_of_lines(&self) -> String {
        let because: String = self.why.iter().map(|it| format!("\n  because: {}", indented(it))).collect();
        let hint = self.hint.as_ref().map(|it| format!("\n\nhint: {}", indented(it))).unwrap_or_default();
        format!("error: {}{because}{hint}", plain(&self.what))
    }
}

/// On one line, for places that have no room for more.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let is_stale = matches!(error, StoreError::Stale);
        let is_of_database =
            matches!(error, StoreError::Damaged { path: None, .. } | StoreError::Full { path: None, .. });
        Self { why: causes(&error), hint: error.hint(), is_stale, is_of_database, ..Self::new(error.to_string()) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { closed_pipe: error.kind() == io::ErrorKind::BrokenPipe, ..Self::new(error.to_string()) }
    }
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        Self::new("delivery failed").because(error.to_string())
    }
}

impl From<Stopped> for Failure {
    fn from(_: Stopped) -> Self {
        Self::new("interrupted; what was read until then is stored")
    }
}

impl From<analyzer::pricing::BookError> for Failure {
    fn from(error: analyzer::pricing::BookError) -> Self {
        Self::new("the price book cannot be read").because(error.to_string()).hint("see `docs/prices.md` for its form")
    }
}
