//! Rows of a file, and what kind of values a column holds.

use std::io::BufRead;

use number::Number;

/// A file's rows.
pub struct Rows<R> {
    /// The names of its columns.
    pub columns: Vec<String>,
    reader: csv::Reader<R>,
}

/// What all values of a column are, the empty ones left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Empty,
    Integer,
    Number,
    Date,
    Text,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
            Self::Text => "text",
        }
    }

    /// With one value more.
    pub fn with(self, value: &str) -> Self {
        let kind = match number::parse(value.trim()) {
            _ if value.trim().is_empty() => return self,
            Some(value) if value.is_integer() => Self::Integer,
            Some(_) => Self::Number,
            None if is_date(value.trim()) => Self::Date,
            None => Self::Text,
        };
        match (self, kind) {
            (Self::Empty, kind) => kind,
            (one, two) if one == two => one,
            (Self::Integer | Self::Number, Self::Integer | Self::Number) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// `2026-11-21`, and with a time behind it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..10]
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
        && (bytes.len() == 10 || matches!(bytes[10], b'T' | b' '))
}

impl<R: BufRead> Rows<R> {
    /// Reads the first line: names of columns, and by what they are parted.
    pub fn open(mut file: R) -> Result<Self, String> {
        let head = file.fill_buf().map_err(|error| error.to_string())?;
        if head.is_empty() {
            return Err("the file is empty".to_owned());
        }
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
        let many = |sign: u8| line.iter().filter(|byte| **byte == sign).count();
        let sign = [b',', b'\t', b';'].into_iter().max_by_key(|sign| (many(*sign), *sign == b',')).unwrap_or(b',');
        let mark = head.starts_with(b"\xef\xbb\xbf");
        if mark {
            file.consume(3);
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(sign).flexible(true).from_reader(file);
        let names = reader.headers().map_err(|error| error.to_string())?;
        let columns = names.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { columns, reader })
    }

    /// Gives each row; a short one ends in empty fields.
    pub fn each(&mut self, mut with: impl FnMut(&csv::StringRecord) -> Result<(), String>) -> Result<(), String> {
        let mut row = csv::StringRecord::new();
        while self.reader.read_record(&mut row).map_err(|error| error.to_string())? {
            with(&row)?;
        }
        Ok(())
    }

    /// Where a column stands.
    pub fn place(&self, name: &str) -> Result<usize, String> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| format!("there is no column {name:?}; there are {}", self.columns.join(", ")))
    }
}

/// The number in a field; none where it is empty.
pub fn number_of(column: &str, value: &str) -> Result<Option<Number>, String> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    number::parse(value).map(Some).ok_or_else(|| format!("{value:?} in column {column:?} is no number"))
}
