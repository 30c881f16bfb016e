//! Which relations are ours? Those that our own SQL creates, tables and views alike.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use crate::store::schema;

static OWN: LazyLock<FxHashSet<String>> = LazyLock::new(|| schema().flat_map(created).collect());

/// Whether a name, with what stands before it, means one of our relations.
pub(super) fn is_own(catalog: &str, schema: &str, name: &str) -> bool {
    let is = |it: &str, names: &[&str]| names.iter().any(|name| it.eq_ignore_ascii_case(name));
    is(catalog, &["", "stepscope"])
        && is(schema, &["", "main", "stepscope"])
        && OWN.contains(&name.to_ascii_lowercase())
}

/// Names of the tables and views that a script creates or renames.
fn created(sql: &str) -> Vec<String> {
    const BETWEEN: [&str; 3] = ["IF", "NOT", "EXISTS"];
    let code: String = sql.lines().filter(|it| !it.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
    let words: Vec<&str> = code.split(|it: char| it.is_whitespace() || it == '(' || it == ';').collect();
    let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
    let name_after =
        |at: usize| words[at + 1..].iter().find(|it| !BETWEEN.contains(it)).map(|it| it.to_ascii_lowercase());
    let is_created = |at: usize| {
        matches!(words[at], "TABLE" | "VIEW") && at > 0 && matches!(words[at - 1], "CREATE" | "REPLACE")
            || words[at] == "TO" && at > 0 && words[at - 1] == "RENAME"
    };
    (0..words.len()).filter(|at| is_created(*at)).filter_map(name_after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[test]
    fn they_are_those_of_a_new_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("db")).expect("a database");
        let sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()
            UNION SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal";
        let mut statement = store.connection.prepare(sql).expect("a statement");
        let names = statement.query_map([], |row| row.get(0)).expect("rows");
        for name in names.collect::<Result<Vec<String>, _>>().expect("names") {
            assert!(is_own("", "", &name), "{name}");
        }
        for name in ["duckdb_settings", "sqlite_master", "pragma_database_list", "x.csv", "TABLE", "as"] {
            assert!(!is_own("", "", name), "{name}");
        }
        assert!(is_own("", "main", "EXECUTIONS") && !is_own("__ducklake_metadata_stepscope", "main", "executions"));
    }
}
