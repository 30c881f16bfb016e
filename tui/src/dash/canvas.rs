//! Characters on a grid: boxes, and lines that join where they meet.

use unicode_width::UnicodeWidthChar;

use super::line::{Line, Tone};

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Place {
    glyph: char,
    tone: Tone,
    /// The directions in which a line leaves; 0 where there is none.
    arms: u8,
}

const BLANK: Place = Place { glyph: ' ', tone: Tone::Plain, arms: 0 };

/// A grid that grows to what is drawn on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<Place>>,
}

impl Canvas {
    pub(super) fn width(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }

    pub(super) fn height(&self) -> usize {
        self.rows.len()
    }

    fn at(&mut self, x: usize, y: usize) -> &mut Place {
        if self.rows.len() <= y {
            self.rows.resize(y + 1, Vec::new());
        }
        let row = &mut self.rows[y];
        if row.len() <= x {
            row.resize(x + 1, BLANK);
        }
        &mut row[x]
    }

    pub(super) fn put(&mut self, x: usize, y: usize, glyph: char, tone: Tone) {
        *self.at(x, y) = Place { glyph, tone, arms: 0 };
    }

    /// A text; a wide character leaves the place after it empty.
    pub(super) fn text(&mut self, x: usize, y: usize, text: &str, tone: Tone) {
        let mut x = x;
        for it in text.chars() {
            let width = it.width().unwrap_or(0);
            if width == 0 {
                continue;
            }
            self.put(x, y, it, tone);
            if width == 2 {
                self.put(x + 1, y, '\0', tone);
            }
            x += width;
        }
    }

    /// A box of single or double lines.
    pub(super) fn frame(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        is_double: bool,
        tone: Tone,
    ) {
        let [horizontal, vertical, corners @ ..] = if is_double {
            ['═', '║', '╔', '╗', '╚', '╝']
        } else {
            ['─', '│', '┌', '┐', '└', '┘']
        };
        let (right, bottom) = (x + width - 1, y + height - 1);
        for column in x + 1..right {
            self.put(column, y, horizontal, tone);
            self.put(column, bottom, horizontal, tone);
        }
        for row in y + 1..bottom {
            self.put(x, row, vertical, tone);
            self.put(right, row, vertical, tone);
        }
        for ((column, row), corner) in [(x, y), (right, y), (x, bottom), (right, bottom)].into_iter().zip(corners) {
            self.put(column, row, corner, tone);
        }
    }

    fn arm(&mut self, x: usize, y: usize, arms: u8, tone: Tone) {
        let place = self.at(x, y);
        place.arms |= arms;
        place.glyph = junction(place.arms);
        place.tone = tone;
    }

    /// A vertical line between two rows, both included.
    pub(super) fn down(&mut self, x: usize, from: usize, to: usize, tone: Tone) {
        for y in from..=to {
            let mut arms = 0;
            if y > from {
                arms |= UP;
            }
            if y < to {
                arms |= DOWN;
            }
            self.arm(x, y, if arms == 0 { UP | DOWN } else { arms }, tone);
        }
    }

    /// A horizontal line between two columns, both included.
    pub(super) fn across(&mut self, from: usize, to: usize, y: usize, tone: Tone) {
        let (from, to) = (from.min(to), from.max(to));
        for x in from..=to {
            let mut arms = 0;
            if x > from {
                arms |= LEFT;
            }
            if x < to {
                arms |= RIGHT;
            }
            self.arm(x, y, arms, tone);
        }
    }

    /// Lets a line leave a place upwards or downwards.
    pub(super) fn open(&mut self, x: usize, y: usize, is_up: bool, tone: Tone) {
        self.arm(x, y, if is_up { UP } else { DOWN }, tone);
    }

    /// Another canvas, drawn here.
    pub(super) fn blit(&mut self, other: &Canvas, x: usize, y: usize) {
        for (row, places) in other.rows.iter().enumerate() {
            for (column, place) in places.iter().enumerate().filter(|it| it.1.glyph != ' ') {
                *self.at(x + column, y + row) = *place;
            }
        }
    }

    /// A part of it as lines.
    pub(super) fn window(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> Vec<Line> {
        let line = |row: usize| {
            let mut line = Line::default();
            let places = self.rows.get(row).map_or(&[][..], Vec::as_slice);
            for (column, place) in places.iter().enumerate().take(x + width).skip(x) {
                let is_halved =
                    place.glyph == '\0' && column == x || place.glyph.width() == Some(2) && column + 1 == x + width;
                if is_halved {
                    line.push(" ", Tone::Plain);
                } else if place.glyph != '\0' {
                    line.push(place.glyph.to_string(), place.tone);
                }
            }
            line
        };
        (y..(y + height).min(self.rows.len())).map(line).collect()
    }
}

fn junction(arms: u8) -> char {
    const GLYPHS: [char; 16] = [' ', '│', '│', '│', '─', '┘', '┐', '┤', '─', '└', '┌', '├', '─', '┴', '┬', '┼'];
    GLYPHS[usize::from(arms & 15)]
}
