//! The fast way for vended log messages: one pass over the bytes, for the members that AWS writes.
//!
//! Inside a JSON text a raw `"` is always escaped, so the two bytes `,"` cannot occur in it, except at its very end: they
//! are structure. The end of a long payload is found by searching for them instead of walking through its escapes.
//! Whatever this does not expect makes it return `None`, and the general parser decides. Both give the same event, which
//! property tests hold them to.

use std::sync::LazyLock;

use analyzer::assembly::hash_of;
use analyzer::model::{Detail, Event, EventKind, ExecutionArn, Interner, Name, PayloadField};
use memchr::memchr;
use memchr::memmem::Finder;
use serde::de::IgnoredAny;

use super::harmless::{INDEX, LENGTH, NAME, RESOURCE, STARTED, members_of};
use super::{PayloadPolicy, Privacy};

static NEXT_MEMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",\""));

/// Reads one log message, if it has the usual shape.
pub(super) fn message(line: &[u8], privacy: &Privacy, names: &mut Interner) -> Option<(Name, Event)> {
    if privacy.has_rules() {
        return None;
    }
    let (head, details) = in_usual_order(line).or_else(|| in_any_order(line))?;
    event(&head, details, line.len(), privacy, names)
}

/// The order in which most messages come: whole stretches between the values are compared at once.
fn in_usual_order(line: &[u8]) -> Option<(Head<'_>, Details<'_>)> {
    let mut cursor = Cursor { bytes: line, at: 0 };
    cursor.expect_all(b"{\"id\":\"")?;
    let id = Some(cursor.number()?);
    cursor.expect_all(b"\",\"type\":")?;
    let kind = Some(std::str::from_utf8(cursor.string()?).ok()?);
    cursor.expect_all(b",\"details\":")?;
    let details = Details::read(&mut cursor)?;
    cursor.expect_all(b",\"previous_event_id\":\"")?;
    let previous = Some(cursor.number()?);
    cursor.expect_all(b"\",\"event_timestamp\":\"")?;
    let millis = Some(millis(cursor.digits())?);
    cursor.expect_all(b"\",\"execution_arn\":")?;
    let arn = Some(cursor.string()?);
    cursor.expect_all(b",\"redrive_count\":\"")?;
    cursor.number()?;
    cursor.expect_all(b"\"}")?;
    let head = Head { id, previous, millis, kind, arn };
    (cursor.at == line.len()).then_some((head, details))
}

fn in_any_order(line: &[u8]) -> Option<(Head<'_>, Details<'_>)> {
    let mut cursor = Cursor { bytes: line, at: 0 };
    let mut head = Head::default();
    let mut details = None;
    cursor.expect(b'{')?;
    loop {
        match cursor.key()? {
            b"id" => head.id = Some(number(cursor.string()?)?),
            b"type" => head.kind = Some(std::str::from_utf8(cursor.string()?).ok()?),
            b"details" => details = Some(Details::read(&mut cursor)?),
            b"previous_event_id" => head.previous = Some(number(cursor.string()?)?),
            b"event_timestamp" => head.millis = Some(millis(cursor.string()?)?),
            b"execution_arn" => head.arn = Some(cursor.string()?),
            b"redrive_count" => {
                cursor.string()?;
            }
            _ => return None,
        }
        if !cursor.another_member()? {
            break;
        }
    }
    (cursor.at == line.len()).then_some((head, details?))
}

#[derive(Default)]
struct Head<'a> {
    id: Option<u64>,
    previous: Option<u64>,
    millis: Option<i64>,
    kind: Option<&'a str>,
    arn: Option<&'a [u8]>,
}

/// The members of the details, as they stand in the text.
#[derive(Clone, Copy, Default)]
struct Details<'a> {
    name: Option<&'a [u8]>,
    resource: Option<&'a [u8]>,
    resource_type: Option<&'a [u8]>,
    region: Option<&'a [u8]>,
    role: Option<&'a [u8]>,
    number: Option<u64>,
    /// Which of the members that are kept by list there are.
    members: u16,
    /// With their quotation marks.
    payloads: [Option<(PayloadField, &'a [u8])>; 2],
}

fn event(
    head: &Head<'_>,
    details: Details<'_>,
    bytes: usize,
    privacy: &Privacy,
    names: &mut Interner,
) -> Option<(Name, Event)> {
    let execution_arn = names.intern_bytes(head.arn?)?;
    let kind = EventKind::parse(head.kind?);
    if privacy.payloads != PayloadPolicy::Full && !details.are_harmless(&kind) {
        return None;
    }
    if details.region.is_some() && ExecutionArn::parse(&execution_arn).map(|it| it.region.as_bytes()) != details.region
    {
        return None;
    }
    // The answer of a call to Step Functions has to be looked into.
    if details.resource_type == Some(b"states") && matches!(kind, EventKind::TaskSubmitted | EventKind::TaskSucceeded) {
        return None;
    }
    let mut detail = Detail::default();
    for (field, quoted) in details.payloads.into_iter().flatten() {
        if privacy.payloads == PayloadPolicy::None {
            // A damaged text is damaged also where it is not kept.
            serde_json::from_slice::<IgnoredAny>(quoted).ok()?;
        } else {
            let body: String = serde_json::from_slice(quoted).ok()?;
            detail.payloads.extend(privacy.apply(field, &body));
        }
    }
    detail.payloads.sort_by_key(|it| it.field);
    let mut number = details.number;
    if kind == EventKind::ExecutionStarted {
        let input = details.payloads.into_iter().flatten().find(|it| it.0 == PayloadField::Input);
        let input = input.map(|(_, quoted)| serde_json::from_slice::<String>(quoted)).transpose().ok()?;
        number = input.map(|it| hash_of(&it)).or(number);
    }
    if let Some(role) = details.role {
        detail.rest = Some(format!("{{\"roleArn\":\"{}\"}}", std::str::from_utf8(role).ok()?).into_boxed_str());
    }
    let resource = match (details.resource_type, details.resource) {
        (Some(kind), resource) => Some(joined(kind, resource.unwrap_or_default(), names)?),
        (None, Some(resource)) => Some(names.intern_bytes(resource)?),
        (None, None) => None,
    };
    let event = Event {
        id: head.id?,
        previous: head.previous?,
        at: analyzer::model::Timestamp::from_millis(head.millis?),
        kind,
        name: match details.name {
            Some(name) => Some(names.intern_bytes(name)?),
            None => None,
        },
        resource,
        number,
        log_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        detail: (detail != Detail::default()).then(|| Box::new(detail)),
    };
    Some((execution_arn, event))
}

/// `lambda` and `invoke` make `lambda:invoke`, without an allocation for what is already known.
fn joined(kind: &[u8], action: &[u8], names: &mut Interner) -> Option<Name> {
    let mut buffer = [0_u8; 160];
    let length = kind.len() + 1 + action.len();
    let text = buffer.get_mut(..length)?;
    text[..kind.len()].copy_from_slice(kind);
    text[kind.len()] = b':';
    text[kind.len() + 1..].copy_from_slice(action);
    names.intern_bytes(text)
}

impl<'a> Details<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut it = Self::default();
        cursor.expect(b'{')?;
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            return Some(it);
        }
        loop {
            match cursor.key()? {
                b"name" => it.name = Some(it.member(NAME, cursor.string()?)),
                b"resource" => it.resource = Some(it.member(RESOURCE, cursor.string()?)),
                b"resourceType" => it.resource_type = Some(it.member(RESOURCE, cursor.string()?)),
                b"region" => it.region = Some(cursor.string()?),
                b"roleArn" => it.role = Some(it.member(STARTED, cursor.string()?)),
                b"index" => it.number = Some(it.member(INDEX, cursor.number()?)),
                b"length" => it.number = Some(it.member(LENGTH, cursor.number()?)),
                b"input" => it.payload(PayloadField::Input, cursor.long_string()?),
                b"output" => it.payload(PayloadField::Output, cursor.long_string()?),
                b"parameters" => it.payload(PayloadField::Parameters, cursor.long_string()?),
                b"inputDetails" | b"outputDetails" => cursor.expect_all(b"{\"truncated\":false}")?,
                _ => return None,
            }
            if !cursor.another_member()? {
                return Some(it);
            }
        }
    }

    fn member<T>(&mut self, member: u16, value: T) -> T {
        self.members |= member;
        value
    }

    /// Whether all of it may be kept where payloads are not.
    fn are_harmless(&self, kind: &EventKind) -> bool {
        let is_known = !matches!(kind, EventKind::Other(_));
        is_known
            && self.members & !members_of(kind) == 0
            && self.role.is_none_or(|it| {
                it.starts_with(b"arn:") && it.iter().all(|it| it.is_ascii_alphanumeric() || b":/-_+=,.@".contains(it))
            })
    }

    fn payload(&mut self, field: PayloadField, quoted: &'a [u8]) {
        let free = usize::from(self.payloads[0].is_some());
        self.payloads[free] = Some((field, quoted));
    }
}

/// A position in compact JSON.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The length is part of the type, so that the comparison is a few instructions instead of a call.
    #[inline]
    fn expect_all<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        (self.bytes.get(self.at..)?.first_chunk::<N>()? == text).then(|| self.at += N)
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        let key = self.string()?;
        self.expect(b':')?;
        self.skip_blanks();
        Some(key)
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = &self.bytes[self.at..];
        let end = memchr(b'"', rest)?;
        let text = &rest[..end];
        // Without an early end this is a handful of vector instructions.
        let odd = text.iter().fold(0_u8, |found, &it| found | u8::from(it == b'\\') | u8::from(it < b' '));
        if odd != 0 {
            return None;
        }
        self.at += end + 1;
        Some(text)
    }

    /// A string of any content, with its quotation marks, that another member follows.
    fn long_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b'"')?;
        let end = self.at + NEXT_MEMBER.find(&self.bytes[self.at..])?.checked_sub(1)?;
        let n_escapes = self.bytes[self.at..end].iter().rev().take_while(|&&it| it == b'\\').count();
        // A comma at the end of the text itself, or an escaped quotation mark before it, looks alike.
        if self.bytes[end] != b'"' || n_escapes % 2 == 1 {
            return None;
        }
        self.at = end + 1;
        Some(&self.bytes[start..=end])
    }

    fn digits(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += length;
        &rest[..length]
    }

    fn number(&mut self) -> Option<u64> {
        number(self.digits())
    }

    /// Steps over `,` to the next member, or over `}`.
    fn another_member(&mut self) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// Epoch milliseconds with thirteen digits; other forms are for the general parser.
fn millis(digits: &[u8]) -> Option<i64> {
    (digits.len() == 13).then(|| number(digits)).flatten().map(u64::cast_signed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::import::logs;
    use crate::synthetic::{Random, Started, all_shapes, log_lines, simulate};

    fn general(line: &str, policy: PayloadPolicy) -> Option<(Name, Event)> {
        let mut found = None;
        let mut send = |batch: analyzer::model::Observed| {
            for it in batch {
                if let analyzer::model::Observation::Event { execution_arn, event } = it {
                    found = Some((execution_arn, event));
                }
            }
            Ok(())
        };
        let mut sink = crate::import::sink::Sink::new(&mut send, analyzer::model::Timestamp(i64::MAX));
        let value: Value = serde_json::from_str(line).ok()?;
        logs::send(value, line.len(), None, &policy.into(), &mut sink);
        sink.flush().ok()?;
        found
    }

    fn fast(line: &str, policy: PayloadPolicy) -> Option<(Name, Event)> {
        message(line.as_bytes(), &policy.into(), &mut Interner::with_capacity(100))
    }

    /// The lines of one simulated execution.
    fn lines(seed: u64) -> Vec<String> {
        let run = simulate(&all_shapes(), 1_790_000_000_000, &mut Random::new(seed));
        let arn = "arn:aws:states:us-east-1:123456789012:express:all:run:0f".to_owned();
        let mut lines = Vec::new();
        log_lines(&Started { execution_arn: arn, run, payload: 200 }, &mut lines);
        lines.into_iter().map(|it| it.1).collect()
    }

    /// The same message with its members, and those of its details, in another order.
    fn reordered(line: &str, random: &mut Random) -> String {
        fn shuffle(value: Value, random: &mut Random) -> Value {
            let Value::Object(fields) = value else { return value };
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            for index in (1..fields.len()).rev() {
                fields.swap(index, usize::try_from(random.below(index as u64 + 1)).unwrap_or(0));
            }
            Value::Object(fields.into_iter().map(|(key, it)| (key, shuffle(it, random))).collect())
        }
        serde_json::from_str(line).map(|it| shuffle(it, random).to_string()).unwrap_or_default()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_fast_way_reads_the_general_one_reads_alike(seed in any::<u64>(), order in any::<u64>()) {
            let mut random = Random::new(order);
            for line in lines(seed) {
                for text in [line.clone(), reordered(&line, &mut random)] {
                    for policy in [PayloadPolicy::None, PayloadPolicy::Redacted, PayloadPolicy::Full] {
                        if let Some(fast) = fast(&text, policy) {
                            prop_assert_eq!(Some(fast), general(&text, policy), "{}", text);
                        }
                    }
                }
            }
        }

        #[test]
        fn a_message_with_any_byte_changed_is_read_alike_or_left_to_the_general_way(seed in any::<u64>(), place in any::<prop::sample::Index>(), byte in 32_u8..127) {
            for line in lines(seed).into_iter().take(12) {
                let mut bytes = line.into_bytes();
                let at = place.index(bytes.len());
                bytes[at] = byte;
                let text = String::from_utf8(bytes).unwrap_or_default();
                for policy in [PayloadPolicy::None, PayloadPolicy::Redacted, PayloadPolicy::Full] {
                    if let Some(fast) = fast(&text, policy) {
                        prop_assert_eq!(Some(fast), general(&text, policy), "{}", text);
                    }
                }
            }
        }
    }

    /// What a list of members allows for one type, it need not allow for another.
    #[test]
    fn details_of_one_type_under_the_name_of_another_are_read_alike() {
        let mut n_fast = 0;
        for (index, line) in lines(11).iter().enumerate() {
            let mut value: Value = serde_json::from_str(line).expect("JSON");
            for step in [0, 7, 13, 29] {
                let kind = &EventKind::KNOWN[(index + step) % EventKind::KNOWN.len()];
                value["type"] = kind.as_str().into();
                let text = value.to_string();
                for policy in [PayloadPolicy::None, PayloadPolicy::Redacted, PayloadPolicy::Full] {
                    if let Some(fast) = fast(&text, policy) {
                        n_fast += 1;
                        assert_eq!(Some(fast), general(&text, policy), "{text}");
                    }
                }
            }
        }
        assert!(n_fast > 100, "{n_fast}");
    }

    #[test]
    fn the_usual_messages_go_the_fast_way() {
        let all = lines(7);
        let n_fast = all.iter().filter(|it| fast(it, PayloadPolicy::None).is_some()).count();
        assert!(n_fast * 10 >= all.len() * 8, "{n_fast} of {}", all.len());
    }

    #[test]
    fn a_payload_that_looks_like_structure_stays_a_payload() {
        let line = r#"{"id":"2","type":"PassStateEntered","details":{"input":"{\"a\":\"x\",\"inputDetails\":{\"truncated\":false},\"name\":\"Evil\"}","inputDetails":{"truncated":false},"name":"Real"},"previous_event_id":"0","event_timestamp":"1790000000000","execution_arn":"arn:aws:states:us-east-1:123456789012:express:m:r:0f","redrive_count":"0"}"#;
        let (_, event) = fast(line, PayloadPolicy::Full).expect("the usual shape");
        assert_eq!(event.name.as_deref(), Some("Real"));
        assert_eq!(Some(event), general(line, PayloadPolicy::Full).map(|it| it.1));
    }
}
