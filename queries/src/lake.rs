//! A lake as the database: DuckLake, whose tables are Parquet files and whose catalogue is a database of its own.
//!
//! `ducklake:PATH` is a catalogue in a file of DuckDB's, `ducklake:sqlite:PATH` one in SQLite, `ducklake:postgres:…` one in PostgreSQL. What is stored
//! and how it is asked is the same as in a single file.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use crate::catalogue::Catalogue;
use crate::spill::Spill;
use crate::store::{LOCAL, USE};
use crate::{StoreError, rollup, writer};

const DATA_PATH: &str = "SELECT value FROM ducklake_options('stepscope') WHERE option_name = 'data_path'";
const MEMORY_LIMIT: &str = "1GB";
/// What is written is files, however few the rows: other engines read those.
const OPTIONS: &str = "DATA_INLINING_ROW_LIMIT 0";
/// A session that holds a lock and does not go on ends by itself: its process may be frozen.
const IDLE: &str = "idle_in_transaction_session_timeout=120000";
/// Access to S3 with the credentials that AWS's own tools would find.
const SECRET: &str = "CREATE SECRET stepscope (TYPE s3, PROVIDER credential_chain, REFRESH auto";
/// Where the extensions of DuckDB lie, by this variable, or beside the binary.
const FOLDER: &str = "STEPSCOPE_EXTENSIONS";

/// A lake, named by its catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lake {
    /// As DuckLake calls it, after `ducklake:`.
    catalogue: String,
}

/// What a lake is attached for.
#[derive(Clone, Copy)]
pub(crate) enum Access<'a> {
    Read,
    /// Only a new one is told where its data is to lie.
    Write {
        data: Option<&'a str>,
    },
    /// Putting files together.
    TidyUp,
    /// Reading, and writing files into a folder that is there.
    Export(&'a Path),
}

/// How much of a table lies in how many files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeTable {
    pub name: String,
    pub files: u64,
    pub bytes: u64,
    pub delete_files: u64,
}

/// What is known of a lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeStatus {
    pub data_path: String,
    pub snapshots: u64,
    /// Who writes it now, and the slices that collectors share, of which so many are held; `None` where the catalogue is a file.
    pub collectors: Option<u64>,
    /// Executions that are stored more than once.
    pub doubles: u64,
    pub slices: Option<u64>,
    pub held_slices: Option<u64>,
    pub tables: Vec<LakeTable>,
}

impl Lake {
    /// The lake that a database's name means; `None` for a file.
    pub fn of(path: &Path) -> Option<Self> {
        let catalogue = path.to_str()?.strip_prefix("ducklake:")?;
        Some(Self { catalogue: catalogue.to_owned() })
    }

    /// The catalogue's file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self.catalogue.split_once(':') {
            Some(("sqlite", path)) => Some(Path::new(path)),
            Some(("postgres" | "mysql", _)) => None,
            _ => Some(Path::new(&self.catalogue)),
        }
    }

    /// Whether it is there; of one whose catalogue is a server's, that is known when it is asked.
    pub fn may_exist(&self) -> bool {
        self.file().is_none_or(Path::exists)
    }

    /// A connection that has the lake as its database.
    pub(crate) fn attached(&self, access: Access<'_>) -> Result<Connection, StoreError> {
        let is_read_only = matches!(access, Access::Read | Access::Export(_));
        let connection = instance(&self.extensions())?;
        if matches!(access, Access::Write { .. }) {
            // The thread that writes does so itself: waiting for another it would keep a core busy that reading needs.
            connection.execute_batch("SET threads = 1")?;
        }
        let data = if let Access::Write { data } = access { data } else { None };
        let folder = if let Access::Export(folder) = access { Some(folder.canonicalize()?) } else { None };
        let usual = self.usual_data().filter(|_| !is_read_only);
        let data = data.or(usual.as_deref());
        match data {
            Some(bucket) if is_bucket(bucket) => reach_buckets(&connection)?,
            Some(folder) => fs::create_dir_all(folder)?,
            None => {}
        }
        let mut options = vec![OPTIONS.to_owned()];
        options.extend(data.map(|it| format!("DATA_PATH '{}'", quoted(it))));
        options.extend(is_read_only.then(|| "READ_ONLY".to_owned()));
        let attach = format!(
            "ATTACH 'ducklake:{}' AS stepscope ({})",
            quoted(&self.patient_catalogue(access)),
            options.join(", ")
        );
        let attached = connection.execute_batch(&attach).or_else(|error| {
            // Only the catalogue knows that the data lies in a bucket.
            if !error.to_string().contains("requires the extension httpfs") {
                return Err(self.refused(error));
            }
            reach_buckets(&connection)?;
            connection.execute_batch(&attach).map_err(|error| self.refused(error))
        });
        attached?;
        connection.execute_batch(USE)?;
        crate::unpacked::register(&connection)?;
        connection.execute_batch(LOCAL)?;
        // Nothing but the lake's own files, and the folder, can be reached from here on.
        let place: String = connection.query_row(DATA_PATH, [], |row| row.get(0))?;
        let folders = std::iter::once(place).chain(folder.map(|it| it.to_string_lossy().into_owned()));
        let folders = folders.map(|it| format!("'{}'", quoted(&it))).collect::<Vec<_>>().join(", ");
        connection.execute_batch(&format!(
            "SET allowed_directories = [{folders}]; SET enable_external_access = false; SET lock_configuration = true"
        ))?;
        Ok(connection)
    }

    /// Whether several may write it.
    pub fn is_shared(&self) -> bool {
        self.server().is_some()
    }

    /// How PostgreSQL is reached, where the catalogue is there.
    pub(crate) fn server(&self) -> Option<&str> {
        self.catalogue.strip_prefix("postgres:")
    }

    fn patient_catalogue(&self, access: Access<'_>) -> String {
        let has_own = !matches!(access, Access::Write { .. })
            || self.server().is_none_or(|it| it.contains("options=") || it.contains("://"));
        if has_own { self.catalogue.clone() } else { format!("{} options='-c {IDLE}'", self.catalogue) }
    }

    /// Tells a lake that is not there, or not yet, from other failures.
    fn refused(&self, error: duckdb::Error) -> StoreError {
        let text = error.to_string();
        if text.contains("data_path is not set") || text.contains("creating a new DuckLake is explicitly disabled") {
            return StoreError::NoLake(format!("ducklake:{}", self.catalogue));
        }
        error.into()
    }

    /// Where a new lake's data lies when nobody says so: beside a catalogue that is a file.
    fn usual_data(&self) -> Option<String> {
        let file = self.file().filter(|it| !it.exists())?;
        Some(format!("{}.files/", file.display()))
    }

    fn extensions(&self) -> Vec<&'static str> {
        let mut names = vec!["ducklake"];
        match self.catalogue.split_once(':').map(|it| it.0) {
            Some("sqlite") => names.push("sqlite_scanner"),
            Some("postgres") => names.push("postgres_scanner"),
            _ => {}
        }
        names
    }

    /// How many files and snapshots it has.
    pub fn status(&self) -> Result<LakeStatus, StoreError> {
        let connection = self.attached(Access::Read)?;
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let snapshots = count("SELECT count(*) FROM ducklake_snapshots('stepscope')")?;
        let doubles = count("SELECT count(*) - count(DISTINCT arn_hash) FROM execution")?;
        let data_path = connection.query_row(DATA_PATH, [], |row| row.get(0))?;
        let mut statement = connection.prepare(
            "SELECT table_name, file_count, file_size_bytes, delete_file_count FROM ducklake_table_info('stepscope') ORDER BY ALL",
        )?;
        let table = |row: &duckdb::Row<'_>| {
            Ok(LakeTable {
                name: row.get(0)?,
                files: row.get(1)?,
                bytes: row.get::<_, Option<u64>>(2)?.unwrap_or(0),
                delete_files: row.get(3)?,
            })
        };
        let tables = statement.query_map([], table)?.collect::<Result<_, _>>()?;
        let [collectors, slices, held_slices] = match Catalogue::of(self)? {
            Some(catalogue) => catalogue.holders()?.map(Some),
            None => [None; 3],
        };
        Ok(LakeStatus { data_path, snapshots, collectors, doubles, slices, held_slices, tables })
    }

    /// Puts small files together, forgets snapshots of before `days` days, and removes the files that nobody needs any more.
    pub fn compact(&self, target_bytes: u64, days: u32) -> Result<(), StoreError> {
        let connection = self.attached(Access::TidyUp)?;
        writer::in_shared_transaction(&connection, None, || rollup::add_up(&connection))?;
        let own = |sql: &str| writer::until_first(|| Ok(connection.execute_batch(sql)?));
        own(&format!("CALL stepscope.set_option('target_file_size', '{target_bytes}B')"))?;
        own("CALL ducklake_rewrite_data_files('stepscope', delete_threshold => 0)")?;
        own("CALL ducklake_merge_adjacent_files('stepscope')")?;
        own(&format!(
            "CALL ducklake_expire_snapshots('stepscope', older_than => now()::TIMESTAMP - INTERVAL '{days} days')"
        ))?;
        own("CALL ducklake_cleanup_old_files('stepscope', cleanup_all => true)")?;
        own("CALL ducklake_delete_orphaned_files('stepscope', older_than => now() - INTERVAL 1 day)")?;
        Ok(())
    }
}

/// A database in memory that has these extensions.
pub(crate) fn instance(extensions: &[&'static str]) -> Result<Connection, StoreError> {
    // Checking their signatures takes a tenth of a second each, at every start; whoever can change them can change the library
    // beside them, which nobody checks.
    let config = Config::default()
        .with("allow_unsigned_extensions", "true")?
        .with("memory_limit", MEMORY_LIMIT)?
        .with("temp_directory", Spill::private())?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    extensions.iter().try_for_each(|it| load(&connection, it))?;
    Ok(connection)
}

fn is_bucket(data: &str) -> bool {
    data.starts_with("s3://")
}

/// Lets a connection read and write objects, with the credentials, the region and the endpoint of the environment.
fn reach_buckets(connection: &Connection) -> Result<(), StoreError> {
    load(connection, "httpfs")?;
    load(connection, "aws")?;
    let mut secret = SECRET.to_owned();
    let of_environment =
        |names: [&str; 2]| names.into_iter().find_map(|it| std::env::var(it).ok()).filter(|it| !it.is_empty());
    if let Some(region) = of_environment(["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        secret += &format!(", REGION '{}'", quoted(&region));
    }
    if let Some(url) = of_environment(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
        let (scheme, host) = url.split_once("://").unwrap_or(("https", &url));
        let host = quoted(host.trim_end_matches('/'));
        secret += &format!(", ENDPOINT '{host}', URL_STYLE 'path', USE_SSL {}", scheme != "http");
    }
    connection.execute_batch(&format!("{secret})"))?;
    Ok(())
}

fn load(connection: &Connection, name: &'static str) -> Result<(), StoreError> {
    let path = extension(name)?;
    connection.execute_batch(&format!("LOAD '{}'", quoted(&path.to_string_lossy())))?;
    Ok(())
}

/// The file of an extension, in the first of the folders that has it.
fn extension(name: &'static str) -> Result<PathBuf, StoreError> {
    let file = format!("{name}.duckdb_extension");
    let given = std::env::var_os(FOLDER).map(PathBuf::from);
    let binary = std::env::current_exe().ok();
    let beside = binary.as_deref().and_then(Path::parent).into_iter().flat_map(|it| {
        ["extensions", "../lib/duckdb-extensions", "../duckdb-extensions", "../../duckdb-extensions"]
            .map(|place| it.join(place))
    });
    let places: Vec<PathBuf> = given.into_iter().chain(beside).collect();
    places.into_iter().map(|it| it.join(&file)).find(|it| it.is_file()).ok_or(StoreError::NoExtension(name))
}

pub(crate) fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
