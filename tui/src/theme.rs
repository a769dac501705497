//! Colours by role. A colour never carries a meaning alone: each role also has a mark, a word or an emphasis.

use ratatui::style::{Color, Modifier, Style};

/// A set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For a dark background.
    #[default]
    Dark,
    /// For a light background.
    Light,
    /// No colour at all, as `NO_COLOR` asks: emphasis only.
    Plain,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary words.
    Text,
    /// What matters less: times, ids, hints.
    Faint,
    /// Headings and names.
    Strong,
    /// What the person said.
    Person,
    /// Where one can go: keys, links, numbers of sources.
    Link,
    /// What holds.
    Good,
    /// What wants attention.
    Warn,
    /// What failed.
    Bad,
    /// Code.
    Code,
    /// The line one stands on.
    Chosen,
}

impl Theme {
    /// The theme of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "dark" => Some(Self::Dark),
            "light" => Some(Self::Light),
            "plain" => Some(Self::Plain),
            _unknown => None,
        }
    }

    /// How a tone looks.
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::default();
        let emphasis = match tone {
            Tone::Text | Tone::Code => plain,
            Tone::Faint => plain.add_modifier(Modifier::DIM),
            Tone::Strong | Tone::Person | Tone::Good | Tone::Warn | Tone::Bad => plain.add_modifier(Modifier::BOLD),
            Tone::Link => plain.add_modifier(Modifier::UNDERLINED),
            Tone::Chosen => plain.add_modifier(Modifier::REVERSED),
        };
        match (self, tone) {
            (Self::Plain, _) | (_, Tone::Text | Tone::Strong | Tone::Chosen) => emphasis,
            (Self::Dark, Tone::Faint) => plain.fg(Color::Indexed(245)),
            (Self::Dark, Tone::Person) => emphasis.fg(Color::LightCyan),
            (Self::Dark, Tone::Link) => plain.fg(Color::LightBlue),
            (Self::Dark, Tone::Good) => plain.fg(Color::LightGreen),
            (Self::Dark, Tone::Warn) => plain.fg(Color::LightYellow),
            (Self::Dark, Tone::Bad) => emphasis.fg(Color::LightRed),
            (Self::Dark, Tone::Code) => plain.fg(Color::Indexed(180)),
            (Self::Light, Tone::Faint) => plain.fg(Color::Indexed(241)),
            (Self::Light, Tone::Person) => emphasis.fg(Color::Indexed(24)),
            (Self::Light, Tone::Link) => plain.fg(Color::Indexed(26)),
            (Self::Light, Tone::Good) => plain.fg(Color::Indexed(28)),
            (Self::Light, Tone::Warn) => plain.fg(Color::Indexed(130)),
            (Self::Light, Tone::Bad) => emphasis.fg(Color::Indexed(124)),
            (Self::Light, Tone::Code) => plain.fg(Color::Indexed(90)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Theme, Tone};

    #[test]
    fn no_colour_means_none() {
        use Tone::{Bad, Chosen, Code, Faint, Good, Link, Person, Strong, Text, Warn};
        for tone in [Text, Faint, Strong, Person, Link, Good, Warn, Bad, Code, Chosen] {
            let style = Theme::Plain.style(tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
        assert_ne!(Theme::Dark.style(Tone::Good), Theme::Light.style(Tone::Good));
        assert_eq!(Theme::named("dark"), Some(Theme::Dark));
        assert_eq!(Theme::named("pink"), None);
    }
}
