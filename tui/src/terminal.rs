//! The terminal: raw mode and back again whatever happens, keys in, frames out, at most one every [`FRAME`].
//!
//! **Invariant:** the terminal is as it was when the eyes close: on leaving, on a panic, on an error, and when the program
//! is told to end.
//! **Invariant:** at rest, nothing runs and nothing is written.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common_ground::Millis;
use termina::{Event as Input, EventReader, PlatformTerminal, Terminal, WindowSize, event::KeyEventKind};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::{Ask, Event, Looking, Size, TellTone, Told},
    heard::Heard,
    keys::Keys,
    linear,
    screen::Screen,
    theme::Theme,
    update::update,
    view::{Leaving, Pane, View},
};

/// The least time between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// How often the clock is told while something depends on it.
const SECOND: Duration = Duration::from_secs(1);
/// The name of the thread that draws, by which a panic knows whose it is.
pub const THREAD: &str = "eyes";

/// What the person chose of how it looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Colours.
    pub theme: Theme,
    /// Keys.
    pub keys: Keys,
    /// How it is shown.
    pub mode: Mode,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Drawn.
    #[default]
    Drawn,
    /// As lines of text, one after the other, for screen readers and terminals that cannot move their cursor.
    Linear,
}

/// The channels by which the eyes are joined to the program.
#[derive(Debug)]
pub struct Joined {
    /// What happens.
    pub events: Receiver<Event>,
    /// What models say, as they say it.
    pub heard: Arc<Heard>,
    /// Its other end, for keys.
    pub happens: Sender<Event>,
    /// What is asked.
    pub asks: UnboundedSender<Ask>,
}

/// Opens the eyes, until the person leaves, the terminal is gone or the program is told to end.
///
/// # Errors
/// The terminal's, when it cannot be read or written any more.
pub fn open(options: Options, joined: Joined) -> io::Result<()> {
    match options.mode {
        Mode::Linear => linear::open(options, joined),
        Mode::Drawn => drawn(options, joined),
    }
}

fn drawn(options: Options, joined: Joined) -> io::Result<()> {
    let (_raw, size, keys) = Raw::enter()?;
    let mut view = View::new(size, options.theme, options.keys);
    view.at = now();
    restore_on_panic(joined.happens.clone());
    let mut screen = Screen::default();
    put(&screen.frame(&view))?;
    read_keys(keys, joined.happens.clone());
    let ended = watch(&mut view, &mut screen, &joined);
    let left = put(&screen.leave());
    ended.and(left)
}

/// Takes events and draws, until the end.
fn watch(view: &mut View, screen: &mut Screen, joined: &Joined) -> io::Result<()> {
    let events = &joined.events;
    let mut drawn = Instant::now();
    let mut told = Instant::now();
    while view.leaving != Leaving::Now {
        let event = if view.ticks() {
            match events.recv_timeout(SECOND.saturating_sub(told.elapsed())) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => {
                    told = Instant::now();
                    Event::Clock(now())
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        } else {
            let Ok(event) = events.recv() else { return Ok(()) };
            event
        };
        if !take(view, event, joined) {
            return Ok(());
        }
        // Whatever else comes before the next frame is due goes into it.
        while view.leaving != Leaving::Now {
            match events.recv_timeout(FRAME.saturating_sub(drawn.elapsed())) {
                Ok(event) => {
                    if !take(view, event, joined) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if drawn.elapsed() > 4 * FRAME {
                break;
            }
        }
        put(&screen.frame(view))?;
        drawn = Instant::now();
    }
    Ok(())
}

/// Gives an event to the view, and its asks to the program; false when that is gone.
pub(crate) fn take(view: &mut View, event: Event, joined: &Joined) -> bool {
    let event = if event == Event::Heard { Event::Spoken(joined.heard.take()) } else { event };
    if matches!(event, Event::Key(_)) && view.pane != Pane::Conversation {
        view.at = view.at.max(now());
    }
    update(view, event).into_iter().all(|ask| joined.asks.send(ask).is_ok())
}

fn put(bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// The clock, read here at the edge.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Keys, pastes and sizes, on a thread of their own: reading them blocks.
fn read_keys(keys: EventReader, happens: Sender<Event>) {
    let reads = move || {
        loop {
            let event = match keys.read(|_event| true) {
                Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key.into()),
                Ok(Input::Paste(pasted)) => Event::Pasted(pasted),
                Ok(Input::WindowResized(size)) => Event::Resized(sized(size)),
                Ok(Input::FocusIn) => Event::Looking(Looking::Here),
                Ok(Input::FocusOut) => Event::Looking(Looking::Away),
                Ok(Input::Key(_) | Input::Mouse(_) | Input::Csi(_) | Input::Osc(_) | Input::Dcs(_)) => continue,
                Err(_gone) => Event::End,
            };
            let over = event == Event::End;
            if happens.send(event).is_err() || over {
                return;
            }
        }
    };
    std::thread::spawn(reads);
}

fn sized(size: WindowSize) -> Size {
    Size { columns: size.cols.max(1), rows: size.rows.max(1) }
}

/// The terminal while it is ours, so that whoever must can give it back: the thread that draws may hang on it.
static OURS: Mutex<Option<PlatformTerminal>> = Mutex::new(None);

/// Raw mode, and what else is asked of the terminal; dropping it gives everything back.
struct Raw;

impl Raw {
    /// Takes the terminal; gives its size, and what reads its keys.
    fn enter() -> io::Result<(Self, Size, EventReader)> {
        let mut terminal = PlatformTerminal::new()?;
        terminal.enter_raw_mode()?;
        // Where it says no size, it is as small as terminals are.
        let size = terminal.get_dimensions().map_or(Size { columns: 80, rows: 24 }, sized);
        let keys = terminal.event_reader();
        *OURS.lock().unwrap_or_else(PoisonError::into_inner) = Some(terminal);
        let raw = Self;
        // Pastes in one piece; word of whether the person looks here. The mouse stays the terminal's own.
        put(b"\x1b[?2004h\x1b[?1004h")?;
        Ok((raw, size, keys))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, as far as it takes it.
fn restore() {
    // Where the terminal is gone, there is nobody to tell.
    drop(put(b"\x1b[?2026l\x1b[?1004l\x1b[?2004l\x1b[?25h\x1b[0m"));
    give_back_mode();
}

/// Gives the terminal's own mode back without writing to it: also where it takes no more.
pub fn give_back_mode() {
    let taken = OURS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut terminal) = taken {
        drop(terminal.enter_cooked_mode());
    }
}

/// A panic of the thread that draws gives the terminal back before it is told; one of another thread is told in the
/// conversation, since words in the midst of a drawing are read by nobody.
fn restore_on_panic(happens: Sender<Event>) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREAD) {
            if put(b"\x1b[?1049l\r\n").is_ok() {
                restore();
            }
            usual(panic);
            return;
        }
        let told = Told { tone: TellTone::Bad, lines: vec![format!("a fault of ii: {panic}")] };
        if happens.send(Event::Told(told)).is_err() {
            usual(panic);
        }
    }));
}
