//! LocalStack and moto: installed once outside the clone, started for the tests, and spoken to in AWS's protocols.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);

/// An emulator that runs as long as this lives.
pub(crate) struct Emulator {
    _child: Child,
    port: u16,
}

/// Who asks, and which service is asked.
pub(crate) struct Caller<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
}

pub(crate) const SOMEBODY: Caller<'static> = Caller { access_key: "test", region: "eu-west-1" };

/// The Python that has what goes by this name, which is installed if need be.
pub(crate) fn python_of(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = Command::new("python3")
        .arg(root.join("../.ci/emulators"))
        .arg(name)
        .stderr(Stdio::inherit())
        .output()
        .expect("Python 3 is there");
    assert!(installed.status.success(), "`python3 .ci/emulators {name}` has to install it");
    String::from_utf8_lossy(&installed.stdout).trim().to_owned()
}

impl Emulator {
    pub(crate) fn localstack() -> Self {
        let emulator = Self::start("localstack", |command, port| {
            let files = std::env::temp_dir().join(format!("stepscope-localstack-{port}"));
            command
                .env("OVERRIDE_IN_DOCKER", "0")
                .env("FILESYSTEM_ROOT", files)
                .env("DISABLE_EVENTS", "1")
                .env("SKIP_SSL_CERT_DOWNLOAD", "1")
                .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
        });
        emulator.wait_for("/_localstack/health");
        emulator
    }

    pub(crate) fn moto() -> Self {
        let emulator = Self::start("moto", |command, port| {
            command.arg(port.to_string());
        });
        emulator.wait_for("/moto-api/");
        emulator
    }

    fn start(name: &str, prepare: impl FnOnce(&mut Command, u16)) -> Self {
        let python = python_of(name);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators").join(format!("run_{name}.py")));
        prepare(&mut command, port);
        // The pipe ends with this process, and the emulator with the pipe.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { _child: child.expect("it runs"), port }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_for(&self, path: &str) {
        let begun = Instant::now();
        while self.send(&format!("GET {path} HTTP/1.1\r\n"), "").is_none_or(|it| it.0 != 200) {
            assert!(begun.elapsed() < PATIENCE, "the emulator does not answer");
            sleep(Duration::from_millis(100));
        }
    }

    /// A call in the JSON protocol, by `PREFIX.Action`.
    pub(crate) fn json(&self, caller: &Caller<'_>, service: &str, target: &str, body: &Value) -> Value {
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.1\r\n{}",
            authorization(caller, service)
        );
        self.expect(&head, &body.to_string(), target)
    }

    /// A call in the JSON protocol that may be refused.
    pub(crate) fn try_json(&self, caller: &Caller<'_>, service: &str, target: &str, body: &Value) -> bool {
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.1\r\n{}",
            authorization(caller, service)
        );
        self.send(&head, &body.to_string()).is_some_and(|it| it.0 == 200)
    }

    /// A call in the REST protocol.
    pub(crate) fn rest(&self, caller: &Caller<'_>, service: &str, path: &str, body: &Value) -> Value {
        let head =
            format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n{}", authorization(caller, service));
        self.expect(&head, &body.to_string(), path)
    }

    /// Puts an object into a bucket, or makes the bucket where there is no body.
    pub(crate) fn put(&self, path: &str, body: &[u8]) {
        let head =
            format!("PUT /{path} HTTP/1.1\r\n{}", authorization(&Caller { region: "us-east-1", ..SOMEBODY }, "s3"));
        let (status, answer) = self.send_bytes(&head, body).expect("it answers");
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// A call in the query protocol; the answer is XML.
    pub(crate) fn query(&self, caller: &Caller<'_>, service: &str, form: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n{}",
            authorization(caller, service)
        );
        let (status, answer) = self.send(&head, form).expect("it answers");
        assert_eq!(status, 200, "{form}: {answer}");
        answer
    }

    fn expect(&self, head: &str, body: &str, what: &str) -> Value {
        let (status, answer) = self.send(head, body).expect("it answers");
        assert_eq!(status, 200, "{what}: {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn send(&self, head: &str, body: &str) -> Option<(u16, String)> {
        self.send_bytes(head, body.as_bytes())
    }

    fn send_bytes(&self, head: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!("{head}Host: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(request.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Some((status, if is_chunked { unchunked(body) } else { body.to_owned() }))
    }
}

fn authorization(caller: &Caller<'_>, service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20261125/{}/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n",
        caller.access_key, caller.region
    )
}

fn unchunked(body: &str) -> String {
    let mut whole = String::new();
    let mut rest = body;
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || more.len() < length {
            break;
        }
        whole.push_str(&more[..length]);
        rest = more[length..].trim_start_matches("\r\n");
    }
    whole
}

/// A server of PostgreSQL with its files in a folder and an empty database for a lake; it ends with this value.
pub(crate) struct Postgres {
    child: Child,
    folder: PathBuf,
}

impl Postgres {
    pub(crate) fn start(folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators/run_postgres.py");
        let mut command = Command::new(python_of("postgres"));
        command.arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("Python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        assert!(lines.any(|it| it.is_ok_and(|it| it == "ready")), "PostgreSQL has to start");
        Self { child, folder: folder.to_owned() }
    }

    /// The name of a lake whose catalogue is there.
    pub(crate) fn lake(&self) -> String {
        format!("ducklake:postgres:dbname=lake user=postgres host={}", self.folder.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
