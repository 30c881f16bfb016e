//! The same trace as Perfetto's own protobuf: tracks, slices that begin and end, flows, annotations.
//!
//! Source: `perfetto_trace.proto` of the Perfetto project; the numbers of the fields are its own. Only what we write is here.

use prost::Message;
use serde_json::Value;

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
/// All packets are of one writer.
const SEQUENCE: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, optional, tag = "3")]
    process: Option<ProcessDescriptor>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessDescriptor {
    #[prost(int32, optional, tag = "1")]
    pid: Option<i32>,
    #[prost(string, optional, tag = "6")]
    process_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
    #[prost(int32, optional, tag = "9")]
    r#type: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, repeated, tag = "22")]
    categories: Vec<String>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    flow_ids: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(string, optional, tag = "6")]
    string_value: Option<String>,
    #[prost(string, optional, tag = "10")]
    name: Option<String>,
}

/// Turns the events of a Chrome trace into packets.
pub(super) fn of_events(events: &[Value]) -> Vec<u8> {
    let mut packets: Vec<TracePacket> = events.iter().filter_map(descriptor).collect();
    let mut edges: Vec<(Edge, TracePacket)> = Vec::new();
    for (place, event) in events.iter().enumerate().filter(|it| it.1["ph"] == "X") {
        let (from, length) = (number(event, "ts"), number(event, "dur"));
        let begin = TrackEvent {
            r#type: Some(SLICE_BEGIN),
            track_uuid: Some(track(event)),
            name: Some(text(event, "name")),
            categories: vec![text(event, "cat")],
            flow_ids: event["flows"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect(),
            debug_annotations: annotations(&event["args"]),
        };
        let end = TrackEvent { r#type: Some(SLICE_END), track_uuid: Some(track(event)), ..TrackEvent::default() };
        // At one instant: what ends (the inner first), then what begins (the outer first); what takes no time does both there.
        let begins = (from, 1, place, 0);
        let ends = if length == 0 { (from, 1, place, 1) } else { (from + length, 0, usize::MAX - place, 0) };
        edges.push((begins, at(from, begin)));
        edges.push((ends, at(from + length, end)));
    }
    edges.sort_by_key(|it| it.0);
    packets.extend(edges.into_iter().map(|it| it.1));
    Trace { packet: packets }.encode_to_vec()
}

/// Time in microseconds, whether it begins, and the order at that instant.
type Edge = (u64, u8, usize, u8);

fn at(us: u64, event: TrackEvent) -> TracePacket {
    TracePacket {
        timestamp: Some(us.saturating_mul(1_000)),
        trusted_packet_sequence_id: Some(SEQUENCE),
        track_event: Some(event),
        track_descriptor: None,
    }
}

/// The names of executions and tracks.
fn descriptor(event: &Value) -> Option<TracePacket> {
    let name = event["args"]["name"].as_str()?.to_owned();
    let pid = event["pid"].as_u64()?;
    let described = match event["name"].as_str()? {
        "process_name" => TrackDescriptor {
            uuid: Some(execution(pid)),
            process: Some(ProcessDescriptor { pid: i32::try_from(pid).ok(), process_name: Some(name) }),
            ..TrackDescriptor::default()
        },
        "thread_name" => TrackDescriptor {
            uuid: Some(track(event)),
            name: Some(name),
            parent_uuid: Some(execution(pid)),
            ..TrackDescriptor::default()
        },
        _ => return None,
    };
    Some(TracePacket { track_descriptor: Some(described), ..TracePacket::default() })
}

fn execution(pid: u64) -> u64 {
    pid << 32
}

fn track(event: &Value) -> u64 {
    execution(number(event, "pid")) | number(event, "tid")
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or(0)
}

fn text(event: &Value, key: &str) -> String {
    event[key].as_str().unwrap_or_default().to_owned()
}

fn annotations(of: &Value) -> Vec<DebugAnnotation> {
    let known = of.as_object().into_iter().flatten().filter(|it| !it.1.is_null());
    let one = |(name, value): (&String, &Value)| DebugAnnotation {
        name: Some(name.clone()),
        string_value: Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    };
    known.map(one).collect()
}
