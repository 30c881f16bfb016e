//! How what a text means looks: themes, and a fallback for terminals that know ASCII alone.

use analyzer::timeline::Category;
use ratatui::style::{Color, Modifier, Style};

use super::line::Tone;

/// A set of looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's own sixteen colours.
    #[default]
    Terminal,
    /// Colours that people with any kind of colour vision tell apart.
    ColourBlind,
    HighContrast,
    /// Bold, dim, underlined and reversed alone.
    Plain,
}

impl Theme {
    pub const ALL: [Self; 4] = [Self::Terminal, Self::ColourBlind, Self::HighContrast, Self::Plain];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::ColourBlind => "colour-blind",
            Self::HighContrast => "high-contrast",
            Self::Plain => "plain",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// How a tone looks. What is on the critical path is underlined, and what is bad is bold, in every theme.
    pub(super) fn style(self, tone: Tone) -> Style {
        let colour = self.colour(tone);
        let style = colour.map_or_else(Style::new, |it| Style::new().fg(it));
        style.add_modifier(match tone {
            Tone::Strong | Tone::Bad | Tone::Heat(4) => Modifier::BOLD,
            Tone::Accent if self == Self::Plain => Modifier::UNDERLINED,
            Tone::Dim if self == Self::Plain => Modifier::DIM,
            Tone::Time(_, true) | Tone::Inside(true) => Modifier::UNDERLINED | Modifier::BOLD,
            _ => Modifier::empty(),
        })
    }

    fn colour(self, tone: Tone) -> Option<Color> {
        match self {
            Self::Terminal => terminal(tone),
            Self::ColourBlind => okabe_ito(tone),
            Self::HighContrast => high_contrast(tone),
            Self::Plain => None,
        }
    }
}

fn terminal(tone: Tone) -> Option<Color> {
    Some(match tone {
        Tone::Plain | Tone::Strong | Tone::Heat(1) => return None,
        Tone::Dim | Tone::Inside(_) | Tone::Heat(0) => Color::DarkGray,
        Tone::Good => Color::Green,
        Tone::Warn | Tone::Heat(2) => Color::Yellow,
        Tone::Heat(3) => Color::LightRed,
        Tone::Bad | Tone::Heat(_) => Color::Red,
        Tone::Accent => Color::Cyan,
        Tone::Time(category, _) => match category {
            Category::Work => Color::Green,
            Category::Queue => Color::Yellow,
            Category::Backoff => Color::Red,
            Category::Callback => Color::Cyan,
            Category::Wait => Color::Blue,
            Category::SlotWait => Color::Magenta,
            Category::Overhead | Category::RedriveIdle => Color::DarkGray,
        },
    })
}

/// Okabe and Ito, "Color Universal Design", 2008: eight colours that everybody tells apart.
fn okabe_ito(tone: Tone) -> Option<Color> {
    const ORANGE: Color = Color::Rgb(230, 159, 0);
    const SKY: Color = Color::Rgb(86, 180, 233);
    const GREEN: Color = Color::Rgb(0, 158, 115);
    const YELLOW: Color = Color::Rgb(240, 228, 66);
    const BLUE: Color = Color::Rgb(0, 114, 178);
    const VERMILLION: Color = Color::Rgb(213, 94, 0);
    const PURPLE: Color = Color::Rgb(204, 121, 167);
    Some(match tone {
        Tone::Plain | Tone::Strong | Tone::Heat(1) => return None,
        Tone::Dim | Tone::Inside(_) | Tone::Heat(0) => Color::DarkGray,
        Tone::Good => GREEN,
        Tone::Warn | Tone::Heat(3) => ORANGE,
        Tone::Bad | Tone::Heat(_) if tone != Tone::Heat(2) => VERMILLION,
        Tone::Accent => SKY,
        Tone::Time(category, _) => match category {
            Category::Work => GREEN,
            Category::Queue => YELLOW,
            Category::Backoff => VERMILLION,
            Category::Callback => SKY,
            Category::Wait => BLUE,
            Category::SlotWait => PURPLE,
            Category::Overhead | Category::RedriveIdle => Color::DarkGray,
        },
        _ => YELLOW,
    })
}

fn high_contrast(tone: Tone) -> Option<Color> {
    Some(match tone {
        Tone::Good => Color::LightGreen,
        Tone::Warn | Tone::Heat(2 | 3) => Color::LightYellow,
        Tone::Bad | Tone::Heat(4) => Color::LightRed,
        Tone::Accent => Color::LightCyan,
        Tone::Time(category, _) => match category {
            Category::Work => Color::LightGreen,
            Category::Queue => Color::LightYellow,
            Category::Backoff => Color::LightRed,
            Category::Callback => Color::LightCyan,
            Category::Wait => Color::LightBlue,
            Category::SlotWait => Color::LightMagenta,
            Category::Overhead | Category::RedriveIdle => Color::White,
        },
        _ => return None,
    })
}

/// The nearest text in ASCII, as many columns wide.
pub(super) fn to_ascii(text: &str) -> String {
    use unicode_width::UnicodeWidthChar;
    let mut ascii = String::with_capacity(text.len());
    for it in text.chars() {
        match ascii_of(it) {
            Some(known) => ascii.push(known),
            None => (0..it.width().unwrap_or(0)).for_each(|_| ascii.push('?')),
        }
    }
    ascii
}

/// What stands for characters that ASCII lacks.
const NEAREST: [(char, &str); 15] = [
    ('#', "█▇▓▉▊"),
    ('%', "▒▆▅▋▌▍"),
    (':', "░▎▏"),
    ('-', "─━═–−╍—┄╌"),
    ('|', "│┃║❚‖"),
    ('+', "┌┐└┘├┤┬┴┼╔╗╚╝╤╧±"),
    ('~', "≈"),
    ('.', "·▁⋮…"),
    ('_', "▂▃"),
    ('o', "▄○◇"),
    ('v', "✓↓▾▼▽"),
    ('x', "✗×"),
    ('*', "●◆"),
    ('>', "▸›→↳≥"),
    ('<', "←≤↵"),
];

fn ascii_of(it: char) -> Option<char> {
    match it {
        it if it.is_ascii() => Some(it),
        '↑' | '▲' | '↷' | '↺' => Some('^'),
        '╱' => Some('/'),
        '“' | '”' => Some('"'),
        it => NEAREST.iter().find(|known| known.1.contains(it)).map(|known| known.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_look_different_in_every_theme_with_colour() {
        for theme in [Theme::Terminal, Theme::ColourBlind, Theme::HighContrast] {
            let colours: Vec<_> = Category::ALL.map(|it| theme.style(Tone::Time(it, false)).fg).to_vec();
            for (index, it) in colours.iter().enumerate() {
                let others = colours[index + 1..].iter().filter(|other| *other == it).count();
                assert!(others <= 1, "{}: only overhead and idle time may look alike", theme.as_str());
            }
        }
    }

    #[test]
    fn plain_has_no_colour_at_all() {
        let tones = [Tone::Bad, Tone::Good, Tone::Heat(3), Tone::Time(Category::Work, true), Tone::Accent];
        assert!(tones.iter().all(|it| Theme::Plain.style(*it).fg.is_none()));
    }

    #[test]
    fn ascii_keeps_the_width() {
        assert_eq!(to_ascii("▸ Charge █░┄ 支払 ✓"), "> Charge #:- ???? v");
    }
}
