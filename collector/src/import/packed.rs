//! Unpacks gzip and zstd. What comes out before a fault is kept, and the fault is noted: a reader sees a text that ends.
//!
//! ```text
//!   file -> Tolerant (errors of reading) -> gzip | zstd (packed) -> gzip | zstd (packed twice) -> Bounded -> text
//! ```

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::gzip::Gzip;
use super::zstandard::Zstd;
use crate::limits::{MAX_PACKINGS, MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO};

const BUFFER: usize = 1 << 17;
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The last three bytes of what such a frame begins with.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Why a text ended before its end: the first reason is kept, since others follow from it.
#[derive(Clone, Default)]
pub(super) struct Fault(Rc<RefCell<Option<String>>>);

impl Fault {
    fn note(&self, reason: String) {
        self.0.borrow_mut().get_or_insert(reason);
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    pub(super) fn is_noted(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// The text of a file, unpacked as often as it was packed, and where its fault will stand.
pub(super) fn unpacked(input: impl BufRead + 'static) -> (Box<dyn BufRead>, Fault) {
    let fault = Fault::default();
    let n_packed = Rc::new(Cell::new(0));
    let source = Tolerant { input, n_read: Rc::clone(&n_packed), fault: fault.clone() };
    let mut input: Box<dyn BufRead> = Box::new(source);
    for packing in 0..=MAX_PACKINGS {
        let head = head_of(&mut input);
        // A frame that may be skipped begins with one of sixteen numbers, and pzstd's files with such a frame.
        let is_skippable = head.len() > 3 && head[0] & 0xf0 == 0x50 && head[1..4] == SKIPPABLE;
        let is_packed = head.starts_with(&GZIP) || head.starts_with(&ZSTD) || is_skippable;
        if !is_packed {
            break;
        }
        if packing == MAX_PACKINGS {
            fault.note(format!("is packed more than {MAX_PACKINGS} times (`MAX_PACKINGS`)"));
            input = Box::new(io::empty());
            break;
        }
        input = if head.starts_with(&GZIP) {
            Box::new(Unpacked::new(Gzip::new(input), fault.clone()))
        } else {
            match Zstd::new(input) {
                Ok(it) => Box::new(Unpacked::new(it, fault.clone())),
                Err(error) => {
                    fault.note(format!("zstd data cannot be unpacked: {error}"));
                    Box::new(io::empty())
                }
            }
        };
        if packing == 0 {
            let bounded = Bounded { input, n_packed: Rc::clone(&n_packed), n_given: 0, fault: fault.clone() };
            input = Box::new(bounded);
        }
    }
    let bounded = Bounded { input, n_packed, n_given: 0, fault: fault.clone() };
    (Box::new(bounded), fault)
}

fn head_of(input: &mut Box<dyn BufRead>) -> Vec<u8> {
    input.fill_buf().map(|it| it[..it.len().min(4)].to_vec()).unwrap_or_default()
}

/// A file that ends where it cannot be read any further.
struct Tolerant<R> {
    input: R,
    n_read: Rc<Cell<u64>>,
    fault: Fault,
}

impl<R: BufRead> BufRead for Tolerant<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.input.fill_buf() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.fault.note(format!("cannot be read beyond byte {}: {error}", self.n_read.get()));
                return Ok(&[]);
            }
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, n_bytes: usize) {
        self.n_read.set(self.n_read.get() + n_bytes as u64);
        self.input.consume(n_bytes);
    }
}

impl<R: BufRead> Read for Tolerant<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

/// Ends a text that has become far longer than its packed form allows.
struct Bounded<R> {
    input: R,
    n_packed: Rc<Cell<u64>>,
    n_given: u64,
    fault: Fault,
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let n_packed = self.n_packed.get();
        if self.n_given > MAX_UNPACKED_BYTES && self.n_given / MAX_UNPACKED_RATIO > n_packed {
            self.fault.note(format!(
                "unpacks to more than {MAX_UNPACKED_RATIO} times its size (`MAX_UNPACKED_RATIO`): {n_packed} bytes became more than {} MiB, and the rest is left out",
                MAX_UNPACKED_BYTES >> 20
            ));
            return Ok(&[]);
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, n_bytes: usize) {
        self.n_given += n_bytes as u64;
        self.input.consume(n_bytes);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

fn read_buffered(input: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = input.fill_buf()?;
    let n_bytes = available.len().min(buffer.len());
    buffer[..n_bytes].copy_from_slice(&available[..n_bytes]);
    input.consume(n_bytes);
    Ok(n_bytes)
}

/// What a step of unpacking came to: bytes that were put out, and perhaps the end or a fault behind them.
pub(super) enum Step {
    More(usize),
    End(usize),
    Fault(usize, String),
}

pub(super) trait Unpack {
    /// Unpacks some of what comes next into the buffer.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<Step>;
}

/// A buffer in front of what unpacks.
struct Unpacked<U> {
    unpack: U,
    buffer: Vec<u8>,
    range: std::ops::Range<usize>,
    is_done: bool,
    fault: Fault,
}

impl<U> Unpacked<U> {
    fn new(unpack: U, fault: Fault) -> Self {
        Self { unpack, buffer: vec![0; BUFFER], range: 0..0, is_done: false, fault }
    }
}

impl<U: Unpack> BufRead for Unpacked<U> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.range.is_empty() && !self.is_done {
            let n_bytes = match self.unpack.step(&mut self.buffer)? {
                Step::More(n_bytes) => n_bytes,
                Step::End(n_bytes) => {
                    self.is_done = true;
                    n_bytes
                }
                Step::Fault(n_bytes, reason) => {
                    self.is_done = true;
                    self.fault.note(reason);
                    n_bytes
                }
            };
            self.range = 0..n_bytes;
        }
        Ok(&self.buffer[self.range.clone()])
    }

    fn consume(&mut self, n_bytes: usize) {
        self.range.start = (self.range.start + n_bytes).min(self.range.end);
    }
}

impl<U: Unpack> Read for Unpacked<U> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text).expect("it packs");
        packer.finish().expect("it ends")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).expect("it packs")
    }

    /// What comes out, and the fault.
    fn read(packed: Vec<u8>) -> (Vec<u8>, Option<String>) {
        let (mut input, fault) = unpacked(Cursor::new(packed));
        let mut text = Vec::new();
        input.read_to_end(&mut text).expect("faults are noted");
        (text, fault.reason())
    }

    /// Lines that do not pack well.
    fn text(n_lines: u64) -> Vec<u8> {
        (0..n_lines)
            .map(|it| format!("{:016x}\n", it.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect::<String>()
            .into_bytes()
    }

    #[test]
    fn members_frames_and_their_padding_are_read_through() {
        let (a, b) = (text(20_000), text(300));
        let both = [a.clone(), b.clone()].concat();
        for packed in [
            [gzip(&a), gzip(&b)].concat(),
            [gzip(&a), vec![0; 2_048], gzip(&b), vec![0; 10_000]].concat(),
            [zstd(&a), zstd(&b)].concat(),
            [zstd(&a), vec![0; 512], zstd(&b), vec![0; 3]].concat(),
            gzip(&[gzip(&a), gzip(&b)].concat()),
            gzip(&zstd(&both)),
        ] {
            assert!(read(packed) == (both.clone(), None));
        }
    }

    #[test]
    fn what_stands_before_a_fault_comes_out_and_the_fault_is_named() {
        let whole = text(20_000);
        let mut wrong = gzip(&whole);
        let at = wrong.len() - 8;
        wrong[at] ^= 1;
        for (packed, expected) in [
            ([gzip(&whole), b"garbage".to_vec()].concat(), "data that is not gzip follows member 1"),
            ([zstd(&whole), b"garbage".to_vec()].concat(), "data that is not zstd follows frame 1"),
            (wrong.clone(), "the checksum of gzip member 1 is wrong"),
            (gzip(&gzip(&whole))[..].to_vec(), ""),
            (gzip(&[gzip(&whole), b"x".to_vec()].concat()), "data that is not gzip follows member 1"),
        ] {
            let (text, fault) = read(packed);
            assert!(text == whole, "{expected}");
            assert!(fault.unwrap_or_default().starts_with(expected), "{expected}");
        }
        // Members behind one with a wrong checksum are read.
        let (text, fault) = read([wrong, gzip(b"more\n")].concat());
        assert!(text == [whole, b"more\n".to_vec()].concat() && fault.is_some());
    }

    #[test]
    fn what_is_packed_too_often_or_becomes_far_too_long_is_ended() {
        let (text, fault) = read(gzip(&gzip(&gzip(b"text"))));
        assert!(text.is_empty() && fault.is_some_and(|it| it.contains("MAX_PACKINGS")));
        let (text, fault) = read(gzip(&gzip(&vec![b' '; 150 << 20])));
        assert!(text.len() < 129 << 20 && fault.is_some_and(|it| it.contains("MAX_UNPACKED_RATIO")));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_packed_text_cut_anywhere_gives_its_beginning(at in any::<prop::sample::Index>(), is_gzip in any::<bool>()) {
            let whole = text(30_000);
            let packed = if is_gzip { gzip(&whole) } else { zstd(&whole) };
            let n_bytes = at.index(packed.len());
            let (text, fault) = read(packed[..n_bytes].to_vec());
            prop_assert!(whole.starts_with(&text) || n_bytes < 4, "{n_bytes}");
            // zstd gives whole blocks of 128 KiB; what is less than one packed cannot be read by its own tool either.
            let expected = (n_bytes * whole.len() / packed.len()).saturating_sub(200_000);
            prop_assert!(text.len() >= expected, "{} of {expected}", text.len());
            prop_assert!(fault.is_some() || n_bytes < 4);
        }

        #[test]
        fn no_byte_changed_makes_it_fail(at in any::<prop::sample::Index>(), bit in 0..8, is_gzip in any::<bool>()) {
            let whole = text(3_000);
            let mut packed = if is_gzip { gzip(&whole) } else { zstd(&whole) };
            let at = at.index(packed.len());
            packed[at] ^= 1_u8 << bit;
            read(packed);
        }
    }
}
