//! gzip, member by member, with the place of a fault.

use std::io::{self, BufRead};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::packed::{GZIP, Step, Unpack};

/// gzip, member by member (RFC 1952).
pub(super) struct Gzip<R> {
    input: R,
    inflate: Decompress,
    checksum: Crc,
    is_inside: bool,
    member: u64,
    n_in: u64,
    n_out: u64,
    /// A wrong checksum does not keep later members from being read.
    wrong: Option<String>,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            inflate: Decompress::new(false),
            checksum: Crc::new(),
            is_inside: false,
            member: 0,
            n_in: 0,
            n_out: 0,
            wrong: None,
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        if byte.is_some() {
            self.skip(1);
        }
        Ok(byte)
    }

    fn skip(&mut self, n_bytes: usize) {
        self.n_in += n_bytes as u64;
        self.input.consume(n_bytes);
    }

    fn skip_text(&mut self) -> io::Result<Option<()>> {
        loop {
            match self.byte()? {
                Some(0) => return Ok(Some(())),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads the header of the next member: what ends the file instead, or nothing.
    fn header(&mut self) -> io::Result<Option<Step>> {
        // Tapes and block devices fill their last block with zeros.
        while self.member > 0 && self.input.fill_buf()?.first() == Some(&0) {
            self.skip(1);
        }
        let begin = self.n_in;
        if self.input.fill_buf()?.is_empty() {
            return Ok(Some(self.end()));
        }
        let mut head = [0; 10];
        for byte in &mut head {
            match self.byte()? {
                Some(it) => *byte = it,
                None => return Ok(Some(self.trailing(begin, &head))),
            }
        }
        if head[..2] != GZIP || head[2] != 8 {
            return Ok(Some(self.trailing(begin, &head)));
        }
        let is_whole = self.rest_of_header(head[3])?.is_some();
        self.member += 1;
        if !is_whole {
            return Ok(Some(self.fault(0, "is cut off in the header of")));
        }
        self.inflate.reset(false);
        self.checksum.reset();
        self.is_inside = true;
        Ok(None)
    }

    fn rest_of_header(&mut self, flags: u8) -> io::Result<Option<()>> {
        if flags & 4 != 0 {
            let (Some(low), Some(high)) = (self.byte()?, self.byte()?) else { return Ok(None) };
            for _ in 0..u16::from_le_bytes([low, high]) {
                if self.byte()?.is_none() {
                    return Ok(None);
                }
            }
        }
        for flag in [8, 16] {
            if flags & flag != 0 && self.skip_text()?.is_none() {
                return Ok(None);
            }
        }
        if flags & 2 != 0 && (self.byte()?.is_none() || self.byte()?.is_none()) {
            return Ok(None);
        }
        Ok(Some(()))
    }

    fn end(&mut self) -> Step {
        match self.wrong.take() {
            Some(reason) => Step::Fault(0, reason),
            None => Step::End(0),
        }
    }

    fn trailing(&mut self, at: u64, head: &[u8]) -> Step {
        if self.member == 0 || head.starts_with(&GZIP) {
            self.member += 1;
            return self.fault(0, "is damaged or cut off in the header of");
        }
        Step::Fault(
            0,
            self.wrong.take().unwrap_or_else(|| {
                format!("data that is not gzip follows member {} at byte {at}; it is left out", self.member)
            }),
        )
    }

    fn fault(&mut self, n_bytes: usize, what: &str) -> Step {
        let (member, n_in, n_out) = (self.member, self.n_in, self.n_out);
        let reason = format!("gzip data {what} member {member}, at byte {n_in}, after {n_out} bytes of text");
        Step::Fault(n_bytes, self.wrong.take().unwrap_or(reason))
    }

    /// Compares the checksum and length behind a member.
    fn trailer(&mut self, n_bytes: usize) -> io::Result<Step> {
        self.is_inside = false;
        let mut trailer = [0; 8];
        for byte in &mut trailer {
            match self.byte()? {
                Some(it) => *byte = it,
                None => return Ok(self.fault(n_bytes, "is cut off in the checksum of")),
            }
        }
        let [a, b, c, d, length @ ..] = trailer;
        let is_right = u32::from_le_bytes([a, b, c, d]) == self.checksum.sum()
            && u32::from_le_bytes(length) == low_half(self.inflate.total_out());
        if !is_right {
            let reason = format!(
                "the checksum of gzip member {} is wrong at byte {}: what was unpacked may be damaged",
                self.member, self.n_in
            );
            self.wrong.get_or_insert(reason);
        }
        Ok(Step::More(n_bytes))
    }
}

fn low_half(it: u64) -> u32 {
    u32::try_from(it & u64::from(u32::MAX)).unwrap_or_default()
}

impl<R: BufRead> Unpack for Gzip<R> {
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<Step> {
        if !self.is_inside
            && let Some(end) = self.header()?
        {
            return Ok(end);
        }
        let packed = self.input.fill_buf()?;
        if packed.is_empty() {
            return Ok(self.fault(0, "is cut off in"));
        }
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(packed, buffer, FlushDecompress::None);
        let n_in = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0).min(packed.len());
        let n_bytes = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0).min(buffer.len());
        self.skip(n_in);
        self.n_out += n_bytes as u64;
        self.checksum.update(&buffer[..n_bytes]);
        match result {
            Ok(Status::StreamEnd) => self.trailer(n_bytes),
            Ok(Status::Ok | Status::BufError) if n_in > 0 || n_bytes > 0 => Ok(Step::More(n_bytes)),
            Ok(_) | Err(_) => Ok(self.fault(n_bytes, "is damaged in")),
        }
    }
}
