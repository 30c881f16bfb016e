//! Values as they come out of a query, whether the database is open here or in the process that writes it.

use analyzer::model::Timestamp;
use duckdb::types::{TimeUnit, ValueRef};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    #[serde(rename = "n")]
    Null,
    #[serde(rename = "b")]
    Bool(bool),
    #[serde(rename = "i")]
    Int(i64),
    #[serde(rename = "u")]
    Big(u64),
    #[serde(rename = "f")]
    Float(f64),
    /// Microseconds since the epoch.
    #[serde(rename = "t")]
    Time(i64),
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "x")]
    Bytes(Vec<u8>),
    #[serde(rename = "l")]
    List(Vec<Cell>),
}

/// The answer of a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> u64 {
        let inside = match self {
            Self::Text(it) => it.len() as u64,
            Self::Bytes(it) => it.len() as u64,
            Self::List(items) => items.iter().map(Self::size).sum(),
            _ => 0,
        };
        inside + 8
    }

    #[expect(clippy::cast_possible_wrap, reason = "counts and sums stay far below 2^63")]
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Boolean(it) => Self::Bool(it),
            ValueRef::TinyInt(it) => Self::Int(it.into()),
            ValueRef::SmallInt(it) => Self::Int(it.into()),
            ValueRef::Int(it) => Self::Int(it.into()),
            ValueRef::BigInt(it) => Self::Int(it),
            ValueRef::UTinyInt(it) => Self::Int(it.into()),
            ValueRef::USmallInt(it) => Self::Int(it.into()),
            ValueRef::UInt(it) => Self::Int(it.into()),
            ValueRef::UBigInt(it) if it > i64::MAX as u64 => Self::Big(it),
            ValueRef::UBigInt(it) => Self::Int(it as i64),
            ValueRef::HugeInt(it) => i64::try_from(it).map_or_else(|_| Self::Text(it.to_string()), Self::Int),
            ValueRef::Float(it) => Self::Float(it.into()),
            ValueRef::Double(it) => Self::Float(it),
            ValueRef::Timestamp(unit, it) => Self::Time(micros(unit, it)),
            ValueRef::Text(it) => Self::Text(String::from_utf8_lossy(it).into_owned()),
            ValueRef::Blob(it) => Self::Bytes(it.to_owned()),
            other => Self::Text(text_of(&other)),
        }
    }
}

fn micros(unit: TimeUnit, it: i64) -> i64 {
    match unit {
        TimeUnit::Second => it.saturating_mul(1_000_000),
        TimeUnit::Millisecond => it.saturating_mul(1_000),
        TimeUnit::Microsecond => it,
        TimeUnit::Nanosecond => it / 1_000,
    }
}

/// Types that the views do not have; `sql` can still make them.
fn text_of(value: &ValueRef<'_>) -> String {
    match value {
        ValueRef::Decimal(it) => it.to_string(),
        other => plain(&other.to_owned()),
    }
}

fn plain(value: &duckdb::types::Value) -> String {
    use duckdb::types::Value;
    match value {
        Value::List(items) | Value::Array(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", "))
        }
        Value::Struct(fields) => {
            let fields = fields.iter().map(|(key, it)| format!("'{key}': {}", plain(it)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, it)| format!("{}={}", plain(key), plain(it)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Union(it) => plain(it),
        Value::Text(it) | Value::Enum(it) => it.clone(),
        Value::Null => "NULL".to_owned(),
        Value::Boolean(it) => it.to_string(),
        Value::TinyInt(it) => it.to_string(),
        Value::SmallInt(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::BigInt(it) => it.to_string(),
        Value::HugeInt(it) => it.to_string(),
        Value::UTinyInt(it) => it.to_string(),
        Value::USmallInt(it) => it.to_string(),
        Value::UInt(it) => it.to_string(),
        Value::UBigInt(it) => it.to_string(),
        Value::Float(it) => it.to_string(),
        Value::Double(it) => it.to_string(),
        Value::Decimal(it) => it.to_string(),
        Value::Blob(bytes) => bytes.iter().fold("\\x".to_owned(), |text, it| text + &format!("{it:02X}")),
        Value::Date32(days) => date(i64::from(*days)),
        Value::Timestamp(unit, it) => analyzer::time::format(Timestamp(micros(*unit, *it))),
        Value::Time64(unit, it) => time_of_day(micros(*unit, *it)),
        Value::Interval { months, days, nanos } => interval(*months, *days, *nanos),
        other => format!("{other:?}"),
    }
}

/// As DuckDB writes a date.
fn date(days: i64) -> String {
    let text = analyzer::time::format(Timestamp(days.saturating_mul(86_400_000_000)));
    text.split('T').next().unwrap_or_default().to_owned()
}

fn time_of_day(micros: i64) -> String {
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{rest:06}") }
}

/// Months, days and the rest, those of them that there are.
fn interval(months: i32, days: i32, nanos: i64) -> String {
    let mut parts = Vec::new();
    for (n, unit) in [(months, "month"), (days, "day")] {
        if n != 0 {
            parts.push(format!("{n} {unit}{}", if n.abs() == 1 { "" } else { "s" }));
        }
    }
    if nanos != 0 || parts.is_empty() {
        let micros = nanos / 1_000;
        parts.push(format!("{}{}", if micros < 0 { "-" } else { "" }, time_of_day(micros.abs())));
    }
    parts.join(" ")
}

/// Takes the values of a row one after the other.
pub(crate) struct Take(std::vec::IntoIter<Cell>);

impl Take {
    pub(crate) fn new(row: Vec<Cell>) -> Self {
        Self(row.into_iter())
    }

    pub(crate) fn next(&mut self) -> Cell {
        self.0.next().unwrap_or(Cell::Null)
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.opt_text().ok_or_else(|| StoreError::Corrupt("a text is missing".to_owned()))
    }

    pub(crate) fn opt_text(&mut self) -> Option<String> {
        match self.next() {
            Cell::Text(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.opt_bytes().ok_or_else(|| StoreError::Corrupt("a binary value is missing".to_owned()))
    }

    pub(crate) fn opt_bytes(&mut self) -> Option<Vec<u8>> {
        match self.next() {
            Cell::Bytes(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn opt_int(&mut self) -> Option<i64> {
        match self.next() {
            Cell::Int(it) | Cell::Time(it) => Some(it),
            Cell::Big(it) => i64::try_from(it).ok(),
            #[expect(clippy::cast_possible_truncation, reason = "quantiles of microseconds, rounded to whole ones")]
            Cell::Float(it) => Some(it.round() as i64),
            _ => None,
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.opt_int().ok_or_else(|| StoreError::Corrupt("a number is missing".to_owned()))
    }

    pub(crate) fn count(&mut self) -> Result<u64, StoreError> {
        self.int().map(|it| u64::try_from(it).unwrap_or(0))
    }

    pub(crate) fn opt_count(&mut self) -> Option<u64> {
        self.opt_int().and_then(|it| u64::try_from(it).ok())
    }

    /// A number that fills all 64 bits.
    pub(crate) fn hash(&mut self) -> Result<u64, StoreError> {
        match self.next() {
            Cell::Int(it) => Ok(it.cast_unsigned()),
            Cell::Big(it) => Ok(it),
            _ => Err(StoreError::Corrupt("a hash is missing".to_owned())),
        }
    }

    pub(crate) fn opt_float(&mut self) -> Option<f64> {
        match self.next() {
            Cell::Float(it) => Some(it),
            #[expect(clippy::cast_precision_loss, reason = "a number that happens to be whole")]
            Cell::Int(it) => Some(it as f64),
            _ => None,
        }
    }

    pub(crate) fn flag(&mut self) -> bool {
        matches!(self.next(), Cell::Bool(true))
    }
}
