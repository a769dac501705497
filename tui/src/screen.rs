//! The screen: which frame follows which. Decides what goes into the scrollback and what is drawn, and makes the bytes.
//!
//! **Invariant:** each block of the conversation goes into the scrollback once.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use crate::{
    painter::{Painter, Surface},
    render::{Frame, block, live_rows, render},
    view::{Pane, View},
};

/// What is on the terminal, and how much of the conversation is in its scrollback.
#[derive(Debug, Default)]
pub struct Screen {
    painter: Painter,
    shown: usize,
    calls: u32,
    redraws: u32,
}

impl Screen {
    /// The bytes that show the view; none where it is shown already.
    pub fn frame(&mut self, view: &View) -> Vec<u8> {
        if view.redraws != self.redraws {
            self.redraws = view.redraws;
            self.painter.forget();
        }
        let (surface, rows) = match &view.pane {
            Pane::Conversation => (Surface::Below, live_rows(view)),
            _pane => (Surface::Whole, view.size.rows),
        };
        // While a pane is open, what is told waits for the screen that has a scrollback.
        let mut above: Vec<Line<'static>> = Vec::new();
        if surface == Surface::Below {
            let fresh = &view.blocks[self.shown.min(view.blocks.len())..];
            above.extend(fresh.iter().flat_map(|one| block(view.theme, one, view.size.columns)));
            self.shown = view.blocks.len();
        }
        let mut cells = Buffer::empty(Rect::new(0, 0, view.size.columns, rows));
        let mut frame = Frame::new(&mut cells);
        render(view, &mut frame);
        let cursor = frame.cursor;
        let mut bytes = self.painter.paint(surface, &above, &cells, cursor);
        if view.calls != self.calls {
            self.calls = view.calls;
            bytes.push(b'\x07');
        }
        bytes
    }

    /// The bytes that leave the transcript on the terminal and nothing else.
    pub fn leave(&mut self) -> Vec<u8> {
        self.painter.leave()
    }
}
