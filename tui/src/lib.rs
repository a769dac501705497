//! Eyes: the personal agent in the terminal.
//!
//! Events come in, [`update()`] changes the [`View`] and says what to ask of the program, [`render()`] draws it, and
//! [`Painter`] turns two drawings into the bytes between them. [`open()`] joins these to a terminal and to two ends of
//! channels; it knows nothing of what is at their other ends.
//!
//! **Invariant:** what others wrote reaches the terminal as cells only; the bytes that steer it are all ours.

pub mod brief;
pub mod composer;
pub mod event;
pub mod export;
pub mod heard;
pub mod keys;
pub mod linear;
mod markdown;
pub mod painter;
pub mod pictures;
pub mod render;
pub mod screen;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod update;
pub mod view;

pub use event::{Ask, Event, Placed};
pub use heard::Heard;
pub use painter::Painter;
pub use render::{Frame, render};
pub use screen::Screen;
pub use terminal::{Joined, Options, open};
pub use update::update;
pub use view::View;
