//! Lines of finished text, each piece with its tone: what it means, not what it looks like.

use analyzer::timeline::Category;
use unicode_width::UnicodeWidthStr;

use crate::gantt::Cell;
use crate::text;

/// What a piece of text means; a theme decides how that looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    /// What can be pressed, and what is chosen.
    Accent,
    /// Time in a category, on the critical path or not.
    Time(Category, bool),
    /// A Parallel or Map while what is inside it runs, on the critical path or not.
    Inside(bool),
    /// From cold (0) to hot (4).
    Heat(u8),
}

/// A text and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub tone: Tone,
}

/// One line of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub pieces: Vec<Piece>,
    /// Whether the cursor is on it.
    pub is_selected: bool,
}

impl Line {
    pub fn new(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self::default().with(text, tone)
    }

    /// The line, and more text.
    pub fn with(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.push(text, tone);
        self
    }

    /// Adds a text as a terminal may show it: every line of a frame is made here.
    pub fn push(&mut self, text: impl Into<String>, tone: Tone) {
        let text = text::plain(&text.into());
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut().filter(|it| it.tone == tone) {
            Some(last) => last.text.push_str(&text),
            None => self.pieces.push(Piece { text, tone }),
        }
    }

    pub fn extend(&mut self, other: Line) {
        for it in other.pieces {
            self.push(it.text, it.tone);
        }
    }

    /// The line, and one more after it.
    pub fn and(mut self, other: Line) -> Self {
        self.extend(other);
        self
    }

    /// The cells of a bar.
    pub fn push_cells(&mut self, cells: &[Cell]) {
        let mut buffer = [0; 4];
        for it in cells {
            self.push(&*it.glyph().encode_utf8(&mut buffer), cell_tone(*it));
        }
    }

    pub fn width(&self) -> usize {
        self.pieces.iter().map(|it| it.text.width()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Blanks up to a width.
    pub fn pad(&mut self, width: usize) {
        self.push(" ".repeat(width.saturating_sub(self.width())), Tone::Plain);
    }

    /// Cuts to a width; what is missing shows as `…`.
    pub fn cut(&mut self, width: usize) {
        if self.width() <= width {
            return;
        }
        let mut left = width;
        let mut kept = Vec::new();
        for mut piece in std::mem::take(&mut self.pieces) {
            let own = piece.text.width();
            if own < left {
                left -= own;
                kept.push(piece);
                continue;
            }
            // At least one column is left for the mark.
            piece.text = text::cut(&format!("{}  ", piece.text), left);
            kept.push(piece);
            break;
        }
        self.pieces = kept;
    }

    pub fn text(&self) -> String {
        self.pieces.iter().map(|it| it.text.as_str()).collect()
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

fn cell_tone(cell: Cell) -> Tone {
    match cell {
        Cell::Empty => Tone::Plain,
        Cell::Failure => Tone::Bad,
        Cell::Inside { is_critical } => Tone::Inside(is_critical),
        Cell::Below => Tone::Dim,
        Cell::ColdStart { is_critical } => Tone::Time(Category::Work, is_critical),
        Cell::Item { is_critical, is_outlier, .. } => match (is_outlier, is_critical) {
            (true, _) => Tone::Warn,
            (false, true) => Tone::Strong,
            (false, false) => Tone::Dim,
        },
        Cell::Time { category, is_critical } => Tone::Time(category, is_critical),
    }
}

/// Words in lines of a width; what continues is indented.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let indent = if lines.is_empty() { 0 } else { 2 };
        if !line.trim().is_empty() && line.width() + 1 + word.width() > width.max(20) {
            lines.push(std::mem::take(&mut line));
            line = " ".repeat(2);
        } else if line.width() > indent {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_it_has_to_be_and_says_so() {
        let mut line = Line::new("Validate").with("Order", Tone::Bad).with(" 12 ms", Tone::Dim);
        line.cut(10);
        assert_eq!((line.text().as_str(), line.pieces.len()), ("ValidateO…", 2));
        line.cut(40);
        assert_eq!(line.width(), 10, "what fits is left alone");
        let mut whole = Line::new("Validate").with("Order", Tone::Bad);
        whole.cut(8);
        assert_eq!(whole.text(), "Validat…");
    }

    #[test]
    fn wide_characters_are_never_halved() {
        let mut line = Line::new("支払いを請求する");
        line.cut(6);
        assert!(line.width() <= 6, "{}", line.text());
    }
}
