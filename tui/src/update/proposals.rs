//! What could be meant by what is being written: commands after `/`, names after `@`.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use super::commands::COMMANDS;
use crate::{composer::Composer, view::View};

/// Proposals shown at once.
pub const SHOWN: usize = 6;

/// Something that could be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Where in the text it begins, in bytes.
    pub from: usize,
    /// What takes that place.
    pub text: String,
    /// What it is, in a few words.
    pub about: String,
}

/// What could be meant, most likely first.
pub fn of(view: &View) -> Vec<Proposal> {
    let written = view.composer.text();
    let at_end = view.composer.cursor() == written.len();
    if at_end && written.starts_with('/') && !written.contains(char::is_whitespace) {
        return commands(view, written);
    }
    let (Some((from, wanted)), Some(names)) = (mention(&view.composer), &view.names) else { return Vec::new() };
    let text = |name: &&String| Proposal { from, text: format!("@{name} "), about: String::new() };
    best(&wanted, names).iter().map(text).collect()
}

/// Those whose name begins so, most used first; then those that have the letters in their order.
fn commands(view: &View, written: &str) -> Vec<Proposal> {
    let wanted = &written[1..];
    let mut fitting: Vec<_> = COMMANDS
        .iter()
        .filter_map(|command| {
            let begins = command.name.starts_with(wanted);
            let mut letters = command.name.chars();
            let within = wanted.chars().all(|wanted| letters.any(|letter| letter == wanted));
            (begins || within).then_some((
                !begins,
                u32::MAX - view.used.get(command.name).copied().unwrap_or(0),
                command,
            ))
        })
        .collect();
    fitting.sort_by_key(|(within, unused, _)| (*within, *unused));
    let proposal = |command: &super::commands::Command| {
        let blank = if command.takes.is_empty() { "" } else { " " };
        let about = format!("{} {}", command.takes, command.about).trim().to_owned();
        Proposal { from: 0, text: format!("/{}{blank}", command.name), about }
    };
    fitting.into_iter().take(SHOWN).map(|(_, _, command)| proposal(command)).collect()
}

/// The word before the cursor that begins with `@`: where it begins, and what follows the `@`.
pub fn mention(composer: &Composer) -> Option<(usize, String)> {
    let before = &composer.text()[..composer.cursor()];
    let from = before
        .rfind(char::is_whitespace)
        .map_or(0, |blank| blank + before[blank..].chars().next().map_or(1, char::len_utf8));
    before[from..].strip_prefix('@').map(|wanted| (from, wanted.to_owned()))
}

fn best<'a>(wanted: &str, names: &'a [String]) -> Vec<&'a String> {
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::parse(wanted, CaseMatching::Smart, Normalization::Smart);
    let mut letters = Vec::new();
    let mut scored: Vec<(u32, &String)> = names
        .iter()
        .filter_map(|name| Some((pattern.score(Utf32Str::new(name, &mut letters), &mut matcher)?, name)))
        .collect();
    scored.sort_by(|(one, name), (two, other)| two.cmp(one).then(name.len().cmp(&other.len())).then(name.cmp(other)));
    scored.into_iter().take(SHOWN).map(|(_, name)| name).collect()
}
