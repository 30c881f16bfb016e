//! zstd, frame by frame, with the place of a fault.

use std::io::{self, BufRead};

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::packed::{Step, Unpack};

/// zstd, frame by frame (RFC 8878).
pub(super) struct Zstd<R> {
    input: R,
    decoder: Decoder<'static>,
    is_inside: bool,
    frame: u64,
    n_in: u64,
    n_out: u64,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        Ok(Self { input, decoder: Decoder::new()?, is_inside: false, frame: 0, n_in: 0, n_out: 0 })
    }

    fn fault(&self, n_bytes: usize, what: &str) -> Step {
        let (frame, n_in, n_out) = (self.frame, self.n_in, self.n_out);
        Step::Fault(n_bytes, format!("zstd data {what} frame {frame}, at byte {n_in}, after {n_out} bytes of text"))
    }
}

impl<R: BufRead> Unpack for Zstd<R> {
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<Step> {
        if !self.is_inside {
            while self.frame > 0 && self.input.fill_buf()?.first() == Some(&0) {
                self.n_in += 1;
                self.input.consume(1);
            }
            if self.input.fill_buf()?.is_empty() {
                return Ok(Step::End(0));
            }
        }
        let packed = self.input.fill_buf()?;
        let mut from = InBuffer::around(packed);
        let mut to = OutBuffer::around(buffer);
        let result = self.decoder.run(&mut from, &mut to);
        let (n_in, n_bytes) = (from.pos(), to.pos());
        self.input.consume(n_in);
        let was_inside = std::mem::replace(&mut self.is_inside, true);
        if !was_inside {
            self.frame += 1;
        }
        self.n_out += n_bytes as u64;
        let begin = self.n_in;
        self.n_in += n_in as u64;
        match result {
            Ok(0) => {
                self.is_inside = false;
                Ok(Step::More(n_bytes))
            }
            Ok(_) if n_in > 0 || n_bytes > 0 => Ok(Step::More(n_bytes)),
            Ok(_) => Ok(self.fault(n_bytes, "is cut off in")),
            Err(_) if !was_inside && self.frame > 1 && n_bytes == 0 => {
                let frame = self.frame - 1;
                Ok(Step::Fault(
                    0,
                    format!("data that is not zstd follows frame {frame} at byte {begin}; it is left out"),
                ))
            }
            Err(error) => Ok(self.fault(n_bytes, &format!("is damaged ({error}) in"))),
        }
    }
}
