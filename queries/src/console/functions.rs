//! Which functions may a reader's statement call?

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use crate::packed::PackedEvent;
use crate::packed_attempts::PackedAttempt;
use crate::packed_path::PackedStep;
use crate::store::MACROS;
use crate::unpacked::Row;

const LISTS: &str = include_str!("functions.txt");
/// Functions that give rows. `query`, `query_table`, `read_…`, `glob` and all that change something are not among them.
const TABLES: [&str; 6] = ["generate_series", "json_each", "json_tree", "pragma_table_info", "range", "unnest"];
/// What DuckDB's binder knows although it is in no catalogue.
const BUILT_IN: [&str; 1] = ["unnest"];

static SCALARS: LazyLock<FxHashSet<String>> = LazyLock::new(|| {
    let own = [PackedEvent::FUNCTION, PackedStep::FUNCTION, PackedAttempt::FUNCTION].map(str::to_owned);
    let (macros, _) = own_macros();
    let known = section("[allowed]").chain(BUILT_IN).map(str::to_ascii_lowercase);
    known.chain(own).chain(macros).collect()
});

static ROWS: LazyLock<FxHashSet<String>> =
    LazyLock::new(|| own_macros().1.into_iter().chain(TABLES.map(str::to_owned)).collect());

/// Whether a function may be called where a value is expected.
pub(super) fn is_scalar(name: &str) -> bool {
    SCALARS.contains(&name.to_ascii_lowercase())
}

/// Whether a function may be called where rows are expected.
pub(super) fn gives_rows(name: &str) -> bool {
    ROWS.contains(&name.to_ascii_lowercase())
}

/// Names of one of the lists.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    LISTS
        .lines()
        .skip_while(move |it| *it != heading)
        .skip(1)
        .take_while(|it| !it.starts_with('['))
        .flat_map(str::split_whitespace)
}

/// The macros of our own schema: those that give a value, and those that give rows.
fn own_macros() -> (Vec<String>, Vec<String>) {
    let mut scalars = Vec::new();
    let mut tables = Vec::new();
    for definition in MACROS.iter().flat_map(|it| it.split(" MACRO ").skip(1)) {
        let name = definition.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
        let head = definition.split_once(')').map_or("", |it| it.1).trim_start();
        if head.starts_with("AS TABLE") { tables.push(name) } else { scalars.push(name) }
    }
    (scalars, tables)
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::*;

    fn named(condition: &str) -> Vec<String> {
        let connection = Connection::open_in_memory().expect("a database");
        let sql = format!("SELECT DISTINCT function_name FROM duckdb_functions() WHERE {condition} ORDER BY 1");
        let mut statement = connection.prepare(&sql).expect("a statement");
        statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("names")
    }

    fn is_refused(name: &str) -> bool {
        section("[refused]").any(|it| match it.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => it == name,
        })
    }

    #[test]
    fn every_function_of_this_duckdb_was_read_by_a_person() {
        let unknown: Vec<_> = named("function_type IN ('scalar', 'aggregate', 'macro')")
            .into_iter()
            .filter(|it| !is_scalar(it) && !is_refused(it))
            .collect();
        assert!(unknown.is_empty(), "put these into functions.txt: {unknown:?}");
        let both: Vec<_> = section("[allowed]").filter(|it| is_refused(it)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn what_is_volatile_is_refused_but_for_a_few() {
        let allowed: Vec<_> = named("stability = 'VOLATILE'").into_iter().filter(|it| is_scalar(it)).collect();
        assert_eq!(allowed, ["error", "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"]);
    }

    #[test]
    fn what_reads_settings_or_changes_something_is_refused() {
        for name in
            ["current_setting", "getvariable", "nextval", "getenv", "write_log", "setseed", "json_serialize_plan"]
        {
            assert!(!is_scalar(name), "{name}");
        }
        for name in named("function_type IN ('table', 'table_macro', 'pragma')") {
            assert_eq!(gives_rows(&name), TABLES.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn our_own_are_found_in_our_own_sql() {
        for name in ["status_text", "priced_month", "micros_between", "events_of"] {
            assert!(is_scalar(name), "{name}");
        }
        assert!(gives_rows("coverage_between") && !is_scalar("coverage_between"));
    }
}
