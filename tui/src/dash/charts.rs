//! Small charts in characters.

use super::line::{Line, Tone};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Bars of eight heights; a blank where nothing is known.
pub(super) fn sparkline(values: &[Option<i64>]) -> String {
    let highest = values.iter().flatten().copied().max().unwrap_or(0).max(1);
    let bar = |it: i64| BARS[usize::try_from((it.max(0) * 7 + highest / 2) / highest).unwrap_or(0).min(7)];
    values.iter().map(|it| it.map_or(' ', bar)).collect()
}

/// The values in so many columns, each the largest of those that fall on it.
pub(super) fn squeezed(values: &[Option<i64>], width: usize) -> Vec<Option<i64>> {
    if values.len() <= width {
        return values.to_vec();
    }
    let of = |column: usize| {
        let own = column * values.len() / width..((column + 1) * values.len() / width).min(values.len());
        values[own].iter().flatten().copied().max()
    };
    (0..width).map(of).collect()
}

/// A bar of a share of a width, to an eighth of a column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "columns of a screen"
)]
pub(super) fn bar(share: f64, width: usize) -> String {
    if !share.is_finite() || share <= 0.0 {
        return String::new();
    }
    let eighths = ((share.min(1.0) * width as f64 * 8.0).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

/// Columns of a chart of so many rows: each value as high as its part of the highest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rows of a screen"
)]
pub(super) fn columns(values: &[Option<f64>], highest: f64, height: usize, tone: impl Fn(usize) -> Tone) -> Vec<Line> {
    let eighths = |it: f64| ((it / highest.max(f64::MIN_POSITIVE)) * height as f64 * 8.0).round().max(0.0) as usize;
    let line = |row: usize| {
        let below = (height - 1 - row) * 8;
        let mut line = Line::default();
        for (column, value) in values.iter().enumerate() {
            let glyph = match value.map(eighths) {
                // What is there at all shows on the lowest row.
                Some(it) if below == 0 && it == 0 => BARS[0],
                Some(it) if it > below => BARS[(it - below).min(8) - 1],
                _ => ' ',
            };
            line.push(glyph.to_string(), tone(column));
        }
        line
    };
    (0..height).map(line).collect()
}

/// From cold to hot: a part of the largest as a level of 0 to 4, and as marks.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "five levels")]
pub(super) fn heat(part: f64, largest: f64) -> (u8, &'static str) {
    const MARKS: [&str; 5] = ["", "▓", "▓▓", "▓▓▓", "▓▓▓▓"];
    if largest <= 0.0 || part <= 0.0 {
        return (0, MARKS[0]);
    }
    let level = ((part / largest) * 4.0).ceil().clamp(1.0, 4.0) as u8;
    (level, MARKS[usize::from(level)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(0.5, 10), "█████");
        assert_eq!(bar(0.06, 10), "▋");
        assert_eq!((bar(0.0, 10).as_str(), bar(f64::NAN, 10).as_str(), bar(7.0, 3).as_str()), ("", "", "███"));
        assert_eq!(bar(0.000_1, 10), "▏", "what is there is seen");
    }

    #[test]
    fn a_peak_survives_being_squeezed() {
        let mut values = vec![Some(1); 100];
        values[37] = Some(50);
        let squeezed = squeezed(&values, 10);
        assert_eq!((squeezed.len(), squeezed[3]), (10, Some(50)));
    }

    #[test]
    fn columns_stand_on_the_lowest_row() {
        let lines = columns(&[Some(0.0), Some(8.0), None, Some(4.0)], 8.0, 2, |_| Tone::Plain);
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, [" █  ", "▁█ █"]);
    }

    #[test]
    fn heat_has_five_levels() {
        assert_eq!([0.0, 0.1, 0.3, 0.6, 1.0].map(|it| heat(it, 1.0).0), [0, 1, 2, 3, 4]);
    }
}
