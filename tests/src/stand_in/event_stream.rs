//! The binary framing of event streams: lengths, headers and checksums around each message.

/// A message of an event type, with a JSON payload.
pub(super) fn message(event_type: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in
        [(":event-type", event_type), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(u8::try_from(name.len()).unwrap_or(0));
        headers.extend(name.as_bytes());
        // Type 7 is a text.
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let total = 4 + 4 + 4 + headers.len() + payload.len() + 4;
    let mut message = Vec::with_capacity(total);
    message.extend(u32::try_from(total).unwrap_or(0).to_be_bytes());
    message.extend(u32::try_from(headers.len()).unwrap_or(0).to_be_bytes());
    message.extend(checksum(&message).to_be_bytes());
    message.extend(&headers);
    message.extend(payload.as_bytes());
    message.extend(checksum(&message).to_be_bytes());
    message
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}
