//! From drawings to the bytes that a terminal gets: only what changed, in one piece, at one time.
//!
//! In the conversation, cells are drawn below the transcript, on the terminal's ordinary screen, by moves relative to the
//! cursor: nothing is asked of the terminal, and lines that are over scroll into its own scrollback. A pane takes the
//! alternate screen for as long as it is open.
//!
//! **Invariant:** the same drawing twice gives no byte.
//! **Invariant:** no byte of a cell's text is a control.

use std::io::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier, Style},
    text::Line,
};

use crate::text;

/// Where a drawing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Below the transcript.
    Below,
    /// All of the screen, the alternate one.
    Whole,
}

/// What is on the terminal now.
#[derive(Debug, Default)]
pub struct Painter {
    below: Option<Shown>,
    whole: Option<Shown>,
    pen: Style,
}

/// Cells that are on a screen, and where the cursor stands among them.
#[derive(Debug)]
struct Shown {
    cells: Buffer,
    column: u16,
    row: u16,
    cursor: Option<(u16, u16)>,
}

impl Shown {
    fn new(area: Rect) -> Self {
        Self { cells: Buffer::empty(area), column: 0, row: 0, cursor: None }
    }
}

impl Painter {
    /// A terminal on which nothing of ours is yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that make the terminal show these cells; `above` goes into the transcript first, and only below one.
    /// Where nothing changed there are none.
    pub fn paint(
        &mut self,
        surface: Surface,
        above: &[Line<'_>],
        cells: &Buffer,
        cursor: Option<(u16, u16)>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        match surface {
            Surface::Below => self.paint_below(&mut out, above, cells, cursor),
            Surface::Whole => self.paint_whole(&mut out, cells, cursor),
        }
        if out.is_empty() {
            return out;
        }
        self.pen_to(&mut out, Style::default());
        // A terminal that knows of it shows the frame in one piece; others pass over it.
        [b"\x1b[?2026h".as_slice(), &out, b"\x1b[?2026l"].concat()
    }

    /// Forgets what the terminal shows, so that the next frame writes everything.
    pub fn forget(&mut self) {
        if let Some(whole) = &mut self.whole {
            whole.cells = Buffer::empty(Rect::default());
        }
        if let Some(below) = &mut self.below {
            below.cells.area.width = 0;
        }
    }

    /// The bytes that take everything of ours but the transcript away, and leave the cursor after it.
    pub fn leave(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.leave_whole(&mut out);
        if let Some(below) = self.below.take() {
            up_and_erase(&mut out, &below, below.cells.area.width);
        }
        self.pen_to(&mut out, Style::default());
        out.extend_from_slice(b"\x1b[?25h");
        out
    }

    fn leave_whole(&mut self, out: &mut Vec<u8>) {
        if self.whole.take().is_some() {
            out.extend_from_slice(b"\x1b[?1049l");
            // The cursor comes back where it was, but shown or hidden as it is now.
            if let Some(below) = &mut self.below {
                below.cursor = None;
                out.extend_from_slice(b"\x1b[?25l");
            }
        }
    }

    fn paint_below(&mut self, out: &mut Vec<u8>, above: &[Line<'_>], cells: &Buffer, cursor: Option<(u16, u16)>) {
        self.leave_whole(out);
        let columns = cells.area.width;
        let anew = self.below.as_ref().is_none_or(|below| below.cells.area.width != columns) || !above.is_empty();
        if anew {
            if let Some(below) = self.below.take() {
                up_and_erase(out, &below, columns);
            }
            for line in above {
                let area = Rect::new(0, 0, columns, 1);
                let mut row = Buffer::empty(area);
                row.set_line(0, 0, line, columns);
                self.put_row(out, &row, 0);
                self.pen_to(out, Style::default());
                out.extend_from_slice(b"\r\n");
            }
            for row in 0..cells.area.height {
                if row > 0 {
                    self.pen_to(out, Style::default());
                    out.extend_from_slice(b"\r\n");
                }
                self.put_row(out, cells, row);
            }
            let row = cells.area.height.saturating_sub(1);
            self.below = Some(Shown { cells: cells.clone(), column: columns, row, cursor: None });
            if cursor.is_none() {
                out.extend_from_slice(b"\x1b[?25l");
            }
        } else if let Some(mut below) = self.below.take() {
            self.set_height(out, &mut below, cells.area.height);
            self.differences(out, &mut below, cells, relative);
            self.below = Some(below);
        }
        if let Some(below) = &mut self.below {
            place_cursor(out, below, cursor, relative);
        }
    }

    /// Adds or takes away rows at the bottom. At the last row of the screen, a new one scrolls everything up.
    fn set_height(&mut self, out: &mut Vec<u8>, below: &mut Shown, rows: u16) {
        let had = below.cells.area.height;
        if rows == had {
            return;
        }
        self.pen_to(out, Style::default());
        let area = Rect { height: rows, ..below.cells.area };
        let mut cells = Buffer::empty(area);
        for row in 0..rows.min(had) {
            for column in 0..area.width {
                cells[(column, row)] = below.cells[(column, row)].clone();
            }
        }
        if rows > had {
            relative(out, below, 0, had.saturating_sub(1));
            (had..rows).for_each(|_| out.extend_from_slice(b"\r\n"));
            (below.column, below.row) = (0, rows - 1);
        } else {
            relative(out, below, 0, rows);
            out.extend_from_slice(b"\x1b[J");
        }
        below.cells = cells;
    }

    fn paint_whole(&mut self, out: &mut Vec<u8>, cells: &Buffer, cursor: Option<(u16, u16)>) {
        let mut whole = match self.whole.take() {
            Some(whole) if whole.cells.area == cells.area => whole,
            Some(_another_size) => {
                out.extend_from_slice(b"\x1b[2J\x1b[H");
                Shown::new(cells.area)
            }
            None => {
                out.extend_from_slice(b"\x1b[?1049h\x1b[2J\x1b[H\x1b[?25l");
                Shown::new(cells.area)
            }
        };
        self.differences(out, &mut whole, cells, absolute);
        place_cursor(out, &mut whole, cursor, absolute);
        self.whole = Some(whole);
    }

    fn differences(&mut self, out: &mut Vec<u8>, shown: &mut Shown, cells: &Buffer, to: Move) {
        for (column, row, cell) in shown.cells.diff(cells) {
            if (shown.column, shown.row) != (column, row) {
                to(out, shown, column, row);
            }
            self.put_cell(out, cell);
            // Terminals differ in the columns that marks and pictures take; after one the place is said anew.
            shown.column = match certain_width(cell.symbol()) {
                Some(wide) => column + wide,
                None => u16::MAX,
            };
        }
        shown.cells.clone_from(cells);
    }

    /// One row from its first column to its last that shows something.
    fn put_row(&mut self, out: &mut Vec<u8>, cells: &Buffer, row: u16) {
        let shows = |column: &u16| {
            let cell = &cells[(*column, row)];
            cell.symbol() != " " || cell.bg != Color::Reset || !cell.modifier.is_empty()
        };
        let Some(last) = (0..cells.area.width).rev().find(shows) else { return };
        let mut column = 0;
        let mut certain = true;
        while column <= last {
            if !certain {
                write(out, format_args!("\x1b[{}G", column + 1));
            }
            let cell = &cells[(column, row)];
            self.put_cell(out, cell);
            let wide = certain_width(cell.symbol());
            certain = wide.is_some();
            let columns = u16::try_from(text::width(cell.symbol())).unwrap_or(1);
            column += columns.max(1);
        }
    }

    fn put_cell(&mut self, out: &mut Vec<u8>, cell: &Cell) {
        let mut style = Style::default().add_modifier(cell.modifier);
        (style.fg, style.bg) = (Some(cell.fg), Some(cell.bg));
        self.pen_to(out, style);
        if cell.symbol().contains(char::is_control) {
            out.extend_from_slice("\u{fffd}".as_bytes());
        } else {
            out.extend_from_slice(cell.symbol().as_bytes());
        }
    }

    fn pen_to(&mut self, out: &mut Vec<u8>, style: Style) {
        let plain =
            |style: Style| (style.fg.unwrap_or(Color::Reset), style.bg.unwrap_or(Color::Reset), style.add_modifier);
        if plain(self.pen) == plain(style) {
            return;
        }
        let (fg, bg, modifiers) = plain(style);
        out.extend_from_slice(b"\x1b[0");
        for (modifier, code) in MODIFIERS {
            if modifiers.contains(*modifier) {
                write(out, format_args!(";{code}"));
            }
        }
        colour(out, fg, 30);
        colour(out, bg, 40);
        out.push(b'm');
        self.pen = style;
    }
}

const MODIFIERS: &[(Modifier, u8)] = &[
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::REVERSED, 7),
    (Modifier::CROSSED_OUT, 9),
];

/// A way to a place.
type Move = fn(&mut Vec<u8>, &mut Shown, u16, u16);

/// From where the cursor stands, by steps.
fn relative(out: &mut Vec<u8>, shown: &mut Shown, column: u16, row: u16) {
    match row.cmp(&shown.row) {
        std::cmp::Ordering::Less => write(out, format_args!("\x1b[{}A", shown.row - row)),
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater => write(out, format_args!("\x1b[{}B", row - shown.row)),
    }
    if column == 0 {
        out.push(b'\r');
    } else {
        write(out, format_args!("\x1b[{}G", column + 1));
    }
    (shown.column, shown.row) = (column, row);
}

/// By row and column of the screen.
fn absolute(out: &mut Vec<u8>, shown: &mut Shown, column: u16, row: u16) {
    write(out, format_args!("\x1b[{};{}H", row + 1, column + 1));
    (shown.column, shown.row) = (column, row);
}

fn place_cursor(out: &mut Vec<u8>, shown: &mut Shown, cursor: Option<(u16, u16)>, to: Move) {
    if let Some((column, row)) = cursor
        && (shown.column, shown.row) != (column, row)
    {
        let row = row.min(shown.cells.area.height.saturating_sub(1));
        to(out, shown, column, row);
    }
    match (shown.cursor, cursor) {
        (None, Some(_)) => out.extend_from_slice(b"\x1b[?25h"),
        (Some(_), None) => out.extend_from_slice(b"\x1b[?25l"),
        (None, None) | (Some(_), Some(_)) => {}
    }
    shown.cursor = cursor;
}

/// To the first column of the first row, everything from there erased. At another width, terminals have broken rows that
/// are too long: it is gone up by as many rows as they take now.
fn up_and_erase(out: &mut Vec<u8>, shown: &Shown, columns: u16) {
    let columns = columns.max(1);
    let same = shown.cells.area.width == columns;
    let up = if same {
        shown.row
    } else {
        let above: u16 =
            (0..shown.row.min(shown.cells.area.height)).map(|row| taken(shown, row).div_ceil(columns).max(1)).sum();
        above + shown.column.min(taken(shown, shown.row)) / columns
    };
    out.push(b'\r');
    if up > 0 {
        write(out, format_args!("\x1b[{up}A"));
    }
    if shown.cells.area.height > 1 {
        // Erased from its very top, a screen of tmux goes into the scrollback first: the row at the top goes by itself.
        out.extend_from_slice(b"\x1b[2K\x1b[1B\x1b[J\x1b[1A");
    } else {
        out.extend_from_slice(b"\x1b[J");
    }
}

/// Columns of a row that show something.
fn taken(shown: &Shown, row: u16) -> u16 {
    // The area's own width may have been forgotten; the cells have not.
    let height = shown.cells.area.height.max(1);
    let columns = u16::try_from(shown.cells.content.len()).unwrap_or(u16::MAX) / height;
    let cells = shown.cells.content.iter().skip(usize::from(row) * usize::from(columns)).take(usize::from(columns));
    let last = cells.zip(1..).filter(|(cell, _)| cell.symbol() != " ").last();
    last.map_or(0, |(_, column)| column)
}

/// Columns that a symbol takes on every terminal; none where they differ.
fn certain_width(symbol: &str) -> Option<u16> {
    let mut letters = symbol.chars();
    let (first, more) = (letters.next()?, letters.next());
    let wide = u16::try_from(text::width(symbol)).ok()?;
    (more.is_none()
        && (wide == 1 || ('\u{3000}'..='\u{9fff}').contains(&first) || ('\u{ac00}'..='\u{d7a3}').contains(&first)))
    .then_some(wide)
}

fn colour(out: &mut Vec<u8>, colour: Color, base: u8) {
    let bright = base + 60;
    let code = match colour {
        Color::Reset => return,
        Color::Black => base,
        Color::Red => base + 1,
        Color::Green => base + 2,
        Color::Yellow => base + 3,
        Color::Blue => base + 4,
        Color::Magenta => base + 5,
        Color::Cyan => base + 6,
        Color::Gray => base + 7,
        Color::DarkGray => bright,
        Color::LightRed => bright + 1,
        Color::LightGreen => bright + 2,
        Color::LightYellow => bright + 3,
        Color::LightBlue => bright + 4,
        Color::LightMagenta => bright + 5,
        Color::LightCyan => bright + 6,
        Color::White => bright + 7,
        Color::Indexed(number) => return write(out, format_args!(";{};5;{number}", base + 8)),
        Color::Rgb(red, green, blue) => return write(out, format_args!(";{};2;{red};{green};{blue}", base + 8)),
    };
    write(out, format_args!(";{code}"));
}

/// Writing to memory does not fail.
fn write(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    if let Err(never) = out.write_fmt(arguments) {
        unreachable!("writing to memory: {never}");
    }
}
