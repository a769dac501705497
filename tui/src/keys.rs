//! Keys: what can be done, where, and with which keys; the person may bind others.
//!
//! **Invariant:** every action is in the table once, with a key where it needs one; help is drawn from the same table.

use std::{collections::BTreeMap, fmt, str::FromStr};

use termina::event::{KeyCode, KeyEvent, Modifiers};

/// A key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    /// The key.
    pub code: KeyCode,
    /// Control, Alt; Shift only for keys that type nothing.
    pub modifiers: Modifiers,
}

impl Chord {
    /// A key alone.
    pub fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: Modifiers::NONE }
    }

    /// What is typed by it, where it types.
    pub fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.modifiers.intersects(Modifiers::CONTROL | Modifiers::ALT) => Some(c),
            _other => None,
        }
    }
}

impl From<KeyEvent> for Chord {
    fn from(event: KeyEvent) -> Self {
        // Shift is in the letter already, and terminals differ in whether they say it beside one.
        let typed = matches!(event.code, KeyCode::Char(_));
        let mut kept = Modifiers::CONTROL | Modifiers::ALT;
        if !typed {
            kept |= Modifiers::SHIFT;
        }
        let code = if event.code == KeyCode::BackTab { KeyCode::Tab } else { event.code };
        Self { code, modifiers: event.modifiers & kept }
    }
}

/// Keys by name.
const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Escape),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
];

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = [(Modifiers::CONTROL, "ctrl+"), (Modifiers::ALT, "alt+"), (Modifiers::SHIFT, "shift+")];
        for (modifier, name) in held {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Function(number) => write!(f, "f{number}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no key: write such as f2, ctrl+r, alt+enter")]
pub struct BadChord(pub String);

impl FromStr for Chord {
    type Err = BadChord;

    fn from_str(text: &str) -> Result<Self, BadChord> {
        let bad = || BadChord(text.to_owned());
        let mut modifiers = Modifiers::NONE;
        let mut rest = text;
        while let Some((held, more)) = rest.split_once('+').filter(|(_, more)| !more.is_empty()) {
            modifiers |= match held {
                "ctrl" => Modifiers::CONTROL,
                "alt" => Modifiers::ALT,
                "shift" => Modifiers::SHIFT,
                _unknown => return Err(bad()),
            };
            rest = more;
        }
        let named = NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
        let function = rest.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=24).contains(n));
        let mut letters = rest.chars();
        let letter = letters.next().filter(|_| letters.next().is_none());
        let code = named.or(function.map(KeyCode::Function)).or(letter.map(KeyCode::Char)).ok_or_else(bad)?;
        if matches!(code, KeyCode::Char(_)) {
            modifiers.remove(Modifiers::SHIFT);
        }
        Ok(Self { code, modifiers })
    }
}

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In every place.
    Everywhere,
    /// In the composer.
    Composer,
    /// In every pane.
    Panes,
    /// On a question that waits.
    Approvals,
    /// In a search.
    Searches,
    /// On a run in the picker, and on the run that is shown.
    Runs,
    /// On a module.
    Modules,
}

impl Place {
    /// Its name in help.
    pub fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Composer => "writing",
            Self::Panes => "in a pane",
            Self::Approvals => "on a question",
            Self::Searches => "in a search",
            Self::Runs => "on a run",
            Self::Modules => "on a module",
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident $name:literal $place:ident [$($chord:literal),*] $about:literal)*) => {
        /// Something that a key does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action {
            $(#[doc = $about] $action,)*
        }

        /// Every action: its name in settings, where it applies, its keys, what it does.
        pub const ACTIONS: &[(Action, &str, Place, &[&str], &str)] = &[
            $((Action::$action, $name, Place::$place, &[$($chord),*], $about),)*
        ];
    };
}

actions! {
    Help "help" Everywhere ["f1"] "the keys that apply here"
    Plan "plan" Everywhere ["f2"] "the plan: its modules and where they are"
    Approvals "approvals" Everywhere ["f3"] "the questions that wait for you"
    Trust "trust" Everywhere ["f4"] "what it cost, what really ran, receipts"
    Commons "commons" Everywhere ["f5"] "search the documents"
    Runs "runs" Everywhere ["f6"] "the runs there are; go on with one"
    Sources "sources" Everywhere ["f7"] "the sources of the answer, opened at the passage"
    Settings "settings" Everywhere ["f8"] "settings, where each came from and how it is changed"
    Stop "stop" Everywhere ["ctrl+c"] "interrupt the run; twice at rest: leave"
    Redraw "redraw" Everywhere ["ctrl+l"] "draw everything anew"

    Send "send" Composer ["enter"] "send; while a run goes on: queue"
    Newline "newline" Composer ["alt+enter", "ctrl+j"] "a new line"
    Interrupt "interrupt" Composer ["esc"] "interrupt the run; nothing done is lost"
    Picture "picture" Composer ["ctrl+v"] "the picture that the clipboard holds"
    Complete "complete" Composer ["tab"] "take the proposal: /command or @name"
    Earlier "earlier" Composer ["up"] "the line above, or what was said before"
    Later "later" Composer ["down"] "the line below, or what was said after"
    Left "left" Composer ["left", "ctrl+b"] "one letter back"
    Right "right" Composer ["right", "ctrl+f"] "one letter on"
    WordLeft "word-left" Composer ["alt+b", "ctrl+left", "alt+left"] "one word back"
    WordRight "word-right" Composer ["alt+f", "ctrl+right", "alt+right"] "one word on"
    LineStart "line-start" Composer ["home", "ctrl+a"] "to the start of the line"
    LineEnd "line-end" Composer ["end", "ctrl+e"] "to the end of the line"
    DeleteBack "delete-back" Composer ["backspace", "ctrl+h"] "delete the letter before"
    DeleteForward "delete-forward" Composer ["delete"] "delete the letter after"
    DeleteWord "delete-word" Composer ["ctrl+w", "alt+backspace"] "delete the word before"
    DeleteToStart "delete-to-start" Composer ["ctrl+u"] "delete to the start of the line"
    DeleteToEnd "delete-to-end" Composer ["ctrl+k"] "delete to the end of the line"
    Leave "leave" Composer ["ctrl+d"] "leave, when nothing is written"

    Close "close" Panes ["esc", "q"] "back"
    Up "up" Panes ["up", "k"] "up"
    Down "down" Panes ["down", "j"] "down"
    PageUp "page-up" Panes ["pageup"] "a page up"
    PageDown "page-down" Panes ["pagedown", "space"] "a page down"
    Top "top" Panes ["home", "g"] "to the first"
    Bottom "bottom" Panes ["end", "G"] "to the last"
    Open "open" Panes ["enter"] "open"
    Switch "switch" Panes ["tab"] "the other view: tree or board"

    Once "once" Approvals ["o"] "yes, this call"
    ForRun "for-run" Approvals ["r"] "yes, exactly this in this run"
    Always "always" Approvals ["a"] "yes, exactly this from now on"
    Deny "deny" Approvals ["n"] "no"

    Add "add" Searches ["ctrl+t"] "take the folder that is written here into the commons"

    Resume "resume" Runs ["R"] "let the run go on"
    Cancel "cancel" Runs ["X"] "give the run up"
    Verify "verify" Runs ["V"] "check its receipts"
    Briefs "briefs" Runs ["B"] "what guardians found of it; order something"
    Fork "fork" Runs ["F"] "begin a run from it as it is: what was accepted stays"

    Changes "changes" Modules ["C"] "the files that it changed, before and after"
    Hold "hold" Modules ["H"] "hold it while the others go on, or let it go on"
    GiveUp "give-up" Modules ["D"] "give it up, and all that need it"
    Tell "tell" Modules ["T"] "say something to it, which it hears before its next step"
    Anew "anew" Modules ["F"] "begin a run from before it was accepted, and work it anew there"
}

/// The keys in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    bound: Vec<(Place, Chord, Action)>,
    of: BTreeMap<Action, Vec<Chord>>,
}

/// A binding that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBinding {
    /// Not of the form.
    #[error("`{0}` binds nothing: write ACTION=KEY, such as plan=alt+p")]
    Form(String),
    /// No such action.
    #[error("there is no action `{0}`: /help shows them")]
    Action(String),
    /// No such key.
    #[error(transparent)]
    Chord(#[from] BadChord),
    /// Two actions of one place on one key.
    #[error("{chord} would be `{one}` and `{other}`")]
    Twice {
        /// The key.
        chord: Chord,
        /// The action that has it.
        one: &'static str,
        /// The action that would have it too.
        other: &'static str,
    },
}

impl Default for Keys {
    fn default() -> Self {
        Self::with(&[]).unwrap_or_else(|_never| Self { bound: Vec::new(), of: BTreeMap::new() })
    }
}

impl Keys {
    /// The usual keys, with some actions on other keys: `ACTION=KEY` each; an action named twice has both.
    ///
    /// # Errors
    /// See [`BadBinding`].
    pub fn with(others: &[String]) -> Result<Self, BadBinding> {
        let mut own: BTreeMap<Action, Vec<Chord>> = BTreeMap::new();
        for text in others {
            let (name, chord) = text.split_once('=').ok_or_else(|| BadBinding::Form(text.clone()))?;
            let found = ACTIONS.iter().find(|(_, known, ..)| *known == name.trim());
            let (action, ..) = found.ok_or_else(|| BadBinding::Action(name.trim().to_owned()))?;
            own.entry(*action).or_default().push(chord.trim().parse()?);
        }
        let mut keys = Self { bound: Vec::new(), of: BTreeMap::new() };
        for (action, name, place, chords, _) in ACTIONS {
            let usual: Result<Vec<Chord>, BadChord> = chords.iter().map(|text| text.parse()).collect();
            let chords = own.get(action).cloned().map_or(usual, Ok)?;
            for chord in &chords {
                if let Some(taken) = keys.action(&[*place], *chord) {
                    return Err(BadBinding::Twice { chord: *chord, one: name_of(taken), other: name });
                }
                keys.bound.push((*place, *chord, *action));
            }
            keys.of.insert(*action, chords);
        }
        Ok(keys)
    }

    /// What a key does in the first of these places where it does something.
    pub fn action(&self, places: &[Place], chord: Chord) -> Option<Action> {
        let of = |place: &Place| self.bound.iter().find(|(bound, key, _)| bound == place && *key == chord);
        places.iter().find_map(of).map(|(.., action)| *action)
    }

    /// The first key of an action, in words.
    pub fn of(&self, action: Action) -> String {
        self.of.get(&action).and_then(|chords| chords.first()).map(ToString::to_string).unwrap_or_default()
    }

    /// All keys of an action, in words.
    pub fn all_of(&self, action: Action) -> String {
        let chords = self.of.get(&action).into_iter().flatten().map(ToString::to_string);
        chords.collect::<Vec<_>>().join(", ")
    }
}

fn name_of(action: Action) -> &'static str {
    ACTIONS.iter().find(|(known, ..)| *known == action).map_or("", |(_, name, ..)| name)
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, Action, BadBinding, Chord, Keys, Place};

    fn chord(text: &str) -> Chord {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn keys_are_written_as_they_are_read() {
        for text in ["f2", "ctrl+c", "alt+enter", "G", "space", "pageup", "ctrl+alt+x", "+", "ctrl++", "shift+tab"] {
            assert_eq!(chord(text).to_string(), text);
        }
        for text in ["", "hyper+x", "ab", "f99", "ctrl+"] {
            assert!(text.parse::<Chord>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_usual_keys_do_not_collide() {
        let keys = Keys::with(&[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(keys, Keys::default());
        assert!(!keys.bound.is_empty());
        assert!(ACTIONS.iter().all(|(action, ..)| !keys.of(*action).is_empty()));
        // What holds everywhere is not hidden by a place.
        let everywhere = ACTIONS.iter().filter(|(_, _, place, ..)| *place == Place::Everywhere);
        for text in everywhere.flat_map(|(_, _, _, chords, _)| *chords) {
            for place in [Place::Composer, Place::Panes, Place::Approvals, Place::Searches, Place::Runs, Place::Modules]
            {
                assert_eq!(keys.action(&[place], chord(text)), None, "{text} in {place:?}");
            }
        }
    }

    #[test]
    fn another_key_takes_the_place_of_the_usual_one() {
        let keys = Keys::with(&["plan=alt+p".to_owned()]).unwrap_or_else(|error| panic!("{error}"));
        let places = [Place::Composer, Place::Everywhere];
        assert_eq!(keys.action(&places, chord("alt+p")), Some(Action::Plan));
        assert_eq!(keys.action(&places, chord("f2")), None);
        assert_eq!(keys.of(Action::Plan), "alt+p");
        let faults = ["plan", "fly=f2", "plan=hyper+p", "plan=f3"].map(|text| Keys::with(&[text.to_owned()]));
        assert!(matches!(faults[0], Err(BadBinding::Form(_))));
        assert!(matches!(faults[1], Err(BadBinding::Action(_))));
        assert!(matches!(faults[2], Err(BadBinding::Chord(_))));
        assert!(matches!(faults[3], Err(BadBinding::Twice { .. })));
    }
}
