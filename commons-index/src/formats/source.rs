//! Source code and configuration: blocks between blank lines, with the lines that begin an item as headings, so that a
//! part of a long function says whose it is.
//!
//! **Invariant:** the citable text is the file; nothing is parsed, so no file is wrong.

use super::Drawn;
use crate::{
    blocks::{Block, Kind, lines},
    metadata::Metadata,
    scan::SkipReason,
};

/// What files of code and of data in code's clothes are called.
pub(super) const EXTENSIONS: &[&str] = &[
    "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "go", "java", "kt", "kts", "scala", "c", "h", "cc",
    "cpp", "cxx", "hpp", "hh", "cs", "swift", "m", "mm", "rb", "php", "pl", "pm", "lua", "r", "jl", "ex", "exs", "erl",
    "hs", "ml", "mli", "fs", "clj", "lisp", "el", "scm", "zig", "nim", "dart", "sh", "bash", "zsh", "fish", "ps1",
    "sql", "proto", "graphql", "css", "scss", "less", "vue", "svelte", "yaml", "yml", "toml", "ini", "cfg", "conf",
    "tex", "rst", "adoc", "org", "tf", "cmake", "gradle", "groovy", "v", "sv", "vhd", "asm", "s",
];

/// Words of which one, before the first name of a line, begins an item.
const ITEMS: &[&str] = &[
    "fn",
    "func",
    "fun",
    "function",
    "def",
    "class",
    "struct",
    "enum",
    "trait",
    "impl",
    "interface",
    "namespace",
    "module",
    "record",
    "protocol",
    "extension",
    "sub",
    "defmodule",
    "macro_rules",
    "object",
    "union",
];
/// Words that may stand before those.
const BEFORE: &[&str] = &[
    "pub",
    "pub(crate)",
    "pub(super)",
    "export",
    "default",
    "async",
    "unsafe",
    "const",
    "static",
    "public",
    "private",
    "protected",
    "internal",
    "abstract",
    "final",
    "sealed",
    "data",
    "open",
    "extern",
    "\"C\"",
    "partial",
    "inline",
];

/// Reads a file of code.
pub(super) fn read(text: String) -> Result<Drawn, SkipReason> {
    let blocks = blocks(&text);
    Ok(Drawn { title: None, text, blocks, metadata: Metadata::default() })
}

/// Whether a line begins an item of its own at the outermost level.
fn begins_item(line: &str) -> bool {
    if line.starts_with(char::is_whitespace) {
        return false;
    }
    let mut words = line.split_whitespace().skip_while(|word| BEFORE.contains(word));
    let item = words.next().unwrap_or_default();
    let name = item.split(['<', '!', '(']).next().unwrap_or_default();
    ITEMS.contains(&name) && words.next().is_some()
}

/// The blocks of code.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (range, line) in lines(text) {
        let words = line.trim();
        if words.is_empty() {
            open = false;
        } else if begins_item(line) {
            found.push(Block { kind: Kind::Heading(2), range });
            open = false;
        } else if let Some(block) = found.last_mut().filter(|_| open) {
            block.range.end = range.end;
        } else {
            found.push(Block { kind: Kind::Code, range });
            open = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::blocks;
    use crate::blocks::Kind;

    #[test]
    fn items_head_what_is_in_them() {
        let text = "use a;\nuse b;\n\n/// Says.\npub fn one<T>(x: T) {\n    fn inner() {}\n\n    two()\n}\n\nclass B(C):\n    pass\nclassy = 1\nfn\n";
        let found: Vec<(Kind, &str)> =
            blocks(text).into_iter().map(|block| (block.kind, text[block.range].trim_end())).collect();
        assert_eq!(
            found,
            [
                (Kind::Code, "use a;\nuse b;"),
                (Kind::Code, "/// Says."),
                (Kind::Heading(2), "pub fn one<T>(x: T) {"),
                (Kind::Code, "    fn inner() {}"),
                (Kind::Code, "    two()\n}"),
                (Kind::Heading(2), "class B(C):"),
                (Kind::Code, "    pass\nclassy = 1\nfn"),
            ]
        );
    }
}
