//! Which names of a database are refused, and what to use instead? DuckDB takes many; only files and lakes keep what is collected.

use std::path::Path;

use crate::failure::Failure;

const HINT: &str = "use a file such as --db ./stepscope.duckdb, or a lake: ducklake:PATH, ducklake:sqlite:PATH or ducklake:postgres:… (docs/lake.md)";
const BUCKET: &str = "a lake keeps its data in a bucket: stepscope --db ducklake:PATH lake init --data s3://BUCKET/PREFIX (docs/lake.md)";
const POSTGRES: &str = "a lake has its catalogue in PostgreSQL: --db ducklake:postgres:… (docs/lake.md)";
const SQLITE: &str = "a lake has its catalogue in SQLite: --db ducklake:sqlite:PATH (docs/lake.md)";
const MEMORY: &str = "use a file: --db ./stepscope.duckdb; `stepscope demo` uses a temporary one";
/// Catalogues of lakes.
const CATALOGUES: [&str; 4] = ["duckdb", "sqlite", "postgres", "mysql"];

/// Fails where a name is neither that of a file nor of a lake.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let Some(name) = path.to_str() else { return Ok(()) };
    let refused = |hint: &str| {
        Err(Failure::usage(format!("`{name}` cannot be the database"))
            .because("stepscope keeps its data in a DuckDB file or in a DuckLake")
            .hint(hint))
    };
    if name.trim().is_empty() {
        return refused(HINT);
    }
    let (name, is_lake) = name.strip_prefix("ducklake:").map_or((name, false), |it| (it, true));
    if name.starts_with(":memory:") {
        return refused(MEMORY);
    }
    match scheme(name) {
        None if is_lake && name.is_empty() => refused(HINT),
        None => Ok(()),
        Some(scheme) if is_lake && CATALOGUES.contains(&scheme) && !name.ends_with(':') => Ok(()),
        Some("s3" | "s3a" | "s3n" | "gs" | "gcs" | "r2" | "az" | "azure" | "abfss") => refused(BUCKET),
        Some("postgres" | "postgresql") => refused(POSTGRES),
        Some("sqlite") => refused(SQLITE),
        Some(_) => refused(HINT),
    }
}

/// What stands before a colon, and would be taken for the kind of a database; one letter is a drive.
fn scheme(name: &str) -> Option<&str> {
    let (scheme, _) = name.split_once(':')?;
    let is_word = scheme.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'+' | b'-' | b'.'));
    (scheme.len() > 1 && is_word).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_lakes_are_taken_and_nothing_else() {
        for name in [
            "a.duckdb",
            "./a:b.duckdb",
            "/x/y z.duckdb",
            "C:\\x.duckdb",
            "ducklake:x.ducklake",
            "ducklake:/x/y",
            "ducklake:sqlite:x.sqlite",
            "ducklake:postgres:dbname=x host=y",
            "ducklake:postgres://u@h/x",
        ] {
            assert!(check(Path::new(name)).is_ok(), "{name}");
        }
        for name in [
            "",
            " ",
            ":memory:",
            ":memory:x",
            "s3://b/x.duckdb",
            "gs://b/x",
            "http://h/x",
            "https://h/x.duckdb",
            "md:x",
            "md:",
            "motherduck:x",
            "postgres:dbname=x",
            "postgresql://h/x",
            "mysql:x",
            "sqlite:x.db",
            "file:x.duckdb",
            "ducklake:",
            "ducklake::memory:",
            "ducklake:md:x",
            "ducklake:s3://b/x",
            "ducklake:postgres:",
        ] {
            assert!(check(Path::new(name)).is_err_and(|it| it.code == 2), "{name}");
        }
    }
}
