//! Tables to text: each row a block that says what each of its cells is, so that a row found alone can be read.
//!
//! **Invariant:** any text is some table; rows may be longer or shorter than the first.

use csv::{ReaderBuilder, StringRecord};

use super::Drawn;
use crate::{
    blocks::{Block, Kind},
    metadata::Metadata,
    scan::SkipReason,
};

/// A longer row has sentences in it.
const LONG_ROW: usize = 300;

/// A table of commas, or of the semicolons and tabs that programs of some countries write under the same name.
pub(super) fn commas(text: String) -> Result<Drawn, SkipReason> {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: char| first.matches(mark).count();
    let most = [',', ';', '\t'].into_iter().rev().max_by_key(|mark| count(*mark)).unwrap_or(',');
    table(&text, u8::try_from(most).unwrap_or(b','))
}

/// A table of tabs.
pub(super) fn tabs(text: String) -> Result<Drawn, SkipReason> {
    table(&text, b'\t')
}

fn table(source: &str, delimiter: u8) -> Result<Drawn, SkipReason> {
    let mut reader = ReaderBuilder::new();
    let mut reader = reader.delimiter(delimiter).flexible(true).from_reader(source.as_bytes());
    let malformed = |error: csv::Error| SkipReason::Malformed { cause: error.to_string() };
    let names = reader.headers().map_err(malformed)?.clone();
    let (mut text, mut blocks) = (String::with_capacity(source.len() * 2), Vec::new());
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(malformed)? {
        let start = text.len();
        for (place, cell) in row.iter().enumerate() {
            let name = names.get(place).unwrap_or_default();
            let mut words = cell.split_whitespace().peekable();
            if words.peek().is_none() {
                continue;
            }
            if text.len() > start {
                text.push_str(" |");
            }
            for word in name.split_whitespace() {
                space(&mut text, start);
                text.push_str(word);
            }
            if !name.trim().is_empty() {
                text.push(':');
            }
            for word in words {
                space(&mut text, start);
                text.push_str(word);
            }
        }
        if text.len() > start {
            let kind = if text.len() - start > LONG_ROW { Kind::Prose } else { Kind::Row };
            blocks.push(Block { kind, range: start..text.len() });
            text.push('\n');
        }
    }
    if blocks.is_empty() {
        // A first row alone is a table of one row without names.
        text = names.iter().collect::<Vec<_>>().join(" | ");
        blocks.push(Block { kind: Kind::Row, range: 0..text.len() });
    }
    Ok(Drawn { title: None, text, blocks, metadata: Metadata::default() })
}

fn space(text: &mut String, start: usize) {
    if text.len() > start {
        text.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::{commas, tabs};
    use crate::blocks::Kind;

    #[test]
    fn each_row_says_what_its_cells_are() {
        let rows = |source: &str| {
            let drawn = commas(source.to_owned()).expect("reads");
            drawn.blocks.iter().map(|block| drawn.text[block.range.clone()].to_owned()).collect::<Vec<_>>()
        };
        let source = "name,born in,,note\nAda,1815,x,\"says \"\"hi\"\",\n twice\"\n\nBob,,,,more\n";
        assert_eq!(rows(source), ["name: Ada | born in: 1815 | x | note: says \"hi\", twice", "name: Bob | more"]);
        assert_eq!(rows("a;b\n1,5;2\n"), ["a: 1,5 | b: 2"]);
        assert_eq!(rows("only,one\n"), ["only | one"]);
        assert_eq!(tabs("a\tb,c\n1\t2\n".to_owned()).expect("reads").text, "a: 1 | b,c: 2\n");
        let long = format!("a,b\n1,{}\n", "A sentence. ".repeat(40));
        assert_eq!(commas(long).expect("reads").blocks[0].kind, Kind::Prose);
    }
}
