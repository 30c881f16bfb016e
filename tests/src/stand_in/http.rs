//! Connections: requests in, answers out, one thread each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::event_stream;
use super::service::{Answer, Service};

const JSON: &str = "application/x-amz-json-1.0";
const STREAM: &str = "application/vnd.amazon.eventstream";
/// How often a stream tells what is new.
const UPDATE: Duration = Duration::from_millis(100);

/// A request, as far as it matters.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) target: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The members of a form.
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(&self.body);
        text.split('&').filter_map(|it| it.split_once('=')).map(|(key, it)| (key.to_owned(), decoded(it))).collect()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                u8::from_str_radix(&String::from_utf8_lossy(&pair), 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Serves until the test ends; returns the address.
pub(crate) fn serve(service: Arc<Service>) -> String {
    serve_on(service, TcpListener::bind("127.0.0.1:0").expect("a port"))
}

pub(crate) fn serve_on(service: Arc<Service>, listener: TcpListener) -> String {
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let service = Arc::clone(&service);
            thread::spawn(move || handle(&service, stream));
        }
    });
    address
}

fn handle(service: &Service, stream: TcpStream) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let request = read(&mut reader)?;
        let (status, kind, body) = match service.answer(&request) {
            Answer::Json(status, body) => (status, JSON, body),
            Answer::Xml(body) => (200, "text/xml", body),
            Answer::LiveTail(groups) => return tail(service, &groups, &mut stream),
            Answer::Reset => return None,
            Answer::Cut => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {JSON}\r\ncontent-length: 100\r\n\r\n{{\"eve");
                let _ = stream.write_all(head.as_bytes());
                return None;
            }
        };
        let date = service.date_us().map(http_date).unwrap_or_default();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{date}content-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut request = Request { path: String::new(), target: None, body: Vec::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if request.path.is_empty() {
            request.path = line.split_whitespace().nth(1)?.to_owned();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => request.target = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Tells what is new in log groups until the other side leaves.
fn tail(service: &Service, groups: &[String], stream: &mut TcpStream) -> Option<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {STREAM}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut send = |message: Vec<u8>| -> Option<()> {
        let chunk = [format!("{:x}\r\n", message.len()).as_bytes(), &message, b"\r\n"].concat();
        stream.write_all(&chunk).ok()
    };
    send(event_stream::message("initial-response", "{}"))?;
    send(event_stream::message("sessionStart", "{\"requestId\":\"r\",\"sessionId\":\"s\"}"))?;
    let mut from = service.world.now_us();
    loop {
        thread::sleep(UPDATE);
        let to = service.world.now_us();
        let update = service.tailed(groups, from, to);
        send(event_stream::message("sessionUpdate", &update))?;
        from = to;
    }
}

/// The header that tells what time it is in the world.
fn http_date(us: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = analyzer::time::format(analyzer::model::Timestamp(us));
    let number = |range: std::ops::Range<usize>| text[range].parse::<usize>().unwrap_or(1);
    let day = usize::try_from(us.div_euclid(86_400_000_000)).unwrap_or(0) % 7;
    let month = MONTHS[number(5..7) - 1];
    format!("date: {}, {} {month} {} {} GMT\r\n", DAYS[day], &text[8..10], &text[..4], &text[11..19])
}
