//! The tokens of a model as bytes: which of them a grammar allows next.

use std::collections::BTreeMap;

use llama_cpp_2::{model::LlamaModel, token::LlamaToken, token_type::LlamaTokenAttr};

use super::grammar::{Grammar, State};

/// All tokens of a model.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Bytes of each token; empty for those that are never part of an answer.
    pieces: Vec<Box<[u8]>>,
    /// Whether a token ends the answer.
    ends: Vec<bool>,
    /// The tree of all pieces, parents before their children.
    tree: Vec<Node>,
    /// Texts that the template uses between turns, longest first.
    marks: Vec<String>,
}

/// A byte of a piece.
#[derive(Debug, Clone, Copy)]
struct Node {
    byte: u8,
    /// The token whose piece ends here.
    token: Option<i32>,
    /// The node after all below this one.
    end: u32,
}

impl Vocabulary {
    /// Reads all tokens of a model once.
    pub(super) fn of(model: &LlamaModel) -> Self {
        let vocabulary = model.vocab();
        let (mut pieces, mut ends, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for token in vocabulary.tokens() {
            let kind = vocabulary.attr(token);
            let is_control =
                kind.intersects(LlamaTokenAttr::Control | LlamaTokenAttr::Unknown | LlamaTokenAttr::Unused);
            let piece = vocabulary.token_to_piece(token, kind.contains(LlamaTokenAttr::UserDefined), None);
            ends.push(vocabulary.is_eog(token));
            if kind.intersects(LlamaTokenAttr::Control | LlamaTokenAttr::UserDefined) {
                let mark = String::from_utf8_lossy(&vocabulary.token_to_piece(token, true, None)).into_owned();
                // Some files keep runs of spaces as such tokens; those are plain text.
                if mark.len() > 2 && mark.starts_with(['<', '[', '{', '|']) {
                    marks.push(mark);
                }
            }
            pieces.push(if is_control || vocabulary.is_eog(token) { Box::default() } else { piece.into_boxed_slice() });
        }
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.len()));
        let tree = tree(&pieces);
        Self { pieces, ends, tree, marks }
    }

    /// Bytes of a token; none for one that is not part of an answer.
    pub(super) fn piece(&self, token: i32) -> &[u8] {
        usize::try_from(token).ok().and_then(|token| self.pieces.get(token)).map_or(&[], |piece| piece)
    }

    /// Whether a token ends the answer.
    pub(super) fn ends(&self, token: i32) -> bool {
        usize::try_from(token).ok().and_then(|token| self.ends.get(token)).is_some_and(|ends| *ends)
    }

    /// Whether each printable byte is a token of its own, so that any bytes left can be written one by one.
    pub(super) fn spells_all(&self) -> bool {
        (0x20..0x7F).chain([b'\n']).all(|byte| {
            let mut at = 0;
            while let Some(node) = self.tree.get(at) {
                if node.byte == byte {
                    return node.token.is_some();
                }
                at = node.end as usize;
            }
            false
        })
    }

    /// A text from outside in which nothing reads as one of the template's own marks: a space parts them.
    pub(super) fn unmarked(&self, text: &str) -> String {
        let mut text = text.replace('\0', "\u{FFFD}");
        for mark in &self.marks {
            if text.contains(mark.as_str()) {
                text = text.replace(mark.as_str(), &format!("{} {}", &mark[..1], &mark[1..]));
            }
        }
        text
    }

    /// Where the grammar stands after a token, if it fits and the answer can still end within `left` more tokens.
    pub(super) fn after(&self, grammar: &Grammar, state: &State, token: i32, left: u64) -> Option<State> {
        let piece = self.piece(token);
        if piece.is_empty() {
            return None;
        }
        let (mut now, mut next) = (state.clone(), State::default());
        for byte in piece {
            if !grammar.step(&now, *byte, &mut next) {
                return None;
            }
            std::mem::swap(&mut now, &mut next);
        }
        (u64::from(grammar.fewest_left(&now)) <= left).then_some(now)
    }

    /// All tokens after which the grammar stands well, as [`Self::after`] has it.
    pub(super) fn allowed(&self, grammar: &Grammar, state: &State, left: u64) -> Vec<i32> {
        let mut allowed = Vec::new();
        // States on the way from the root to the node at hand, and where the subtree of each ends.
        let mut way = vec![state.clone()];
        let mut ends: Vec<u32> = Vec::new();
        let mut at = 0;
        while let Some(node) = self.tree.get(at) {
            while ends.last().is_some_and(|end| *end as usize <= at) {
                ends.pop();
            }
            let depth = ends.len();
            if way.len() < depth + 2 {
                way.push(State::default());
            }
            let (before, after) = way.split_at_mut(depth + 1);
            if grammar.step(&before[depth], node.byte, &mut after[0]) {
                if let Some(token) = node.token
                    && u64::from(grammar.fewest_left(&after[0])) <= left
                {
                    allowed.push(token);
                }
                ends.push(node.end);
                at += 1;
            } else {
                at = node.end as usize;
            }
        }
        allowed
    }
}

fn tree(pieces: &[Box<[u8]>]) -> Vec<Node> {
    // Where two tokens have the same bytes, the later one is no byte token and is what the tokenizer itself makes.
    let mut sorted: BTreeMap<&[u8], i32> = BTreeMap::new();
    for (token, piece) in (0..).zip(pieces).filter(|(_, piece)| !piece.is_empty()) {
        sorted.insert(piece, token);
    }
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut last: &[u8] = &[];
    for (piece, token) in sorted {
        let shared = last.iter().zip(piece).take_while(|(one, other)| one == other).count();
        while open.len() > shared {
            let end = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            if let Some(at) = open.pop() {
                nodes[at].end = end;
            }
        }
        for (at, byte) in piece.iter().enumerate().skip(shared) {
            open.push(nodes.len());
            nodes.push(Node { byte: *byte, token: (at + 1 == piece.len()).then_some(token), end: 0 });
        }
        last = piece;
    }
    let end = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    for at in open {
        nodes[at].end = end;
    }
    nodes
}

/// The number llama.cpp knows a token by.
pub(super) fn number(token: LlamaToken) -> i32 {
    token.0
}

#[cfg(test)]
mod tests {
    use super::{Vocabulary, tree};
    use crate::models::llama::schema;

    fn vocabulary(pieces: &[&str]) -> Vocabulary {
        let pieces: Vec<Box<[u8]>> = pieces.iter().map(|piece| piece.as_bytes().into()).collect();
        let marks = vec!["<|end|>".to_owned()];
        Vocabulary { ends: vec![false; pieces.len()], tree: tree(&pieces), pieces, marks }
    }

    #[test]
    fn the_tree_allows_what_each_token_alone_would_be_allowed() {
        let vocabulary = vocabulary(&["\"", "a", "ab", "\"a", "\"ab\"", "b\"", "", "ab\"x", "abc", "c", "\"\"", "b"]);
        let grammar = schema::value("v", r#"{"type":"string","minLength":2,"maxLength":3}"#).expect("a grammar");
        let mut state = grammar.start();
        for token in [0_i32, 1] {
            for left in [0, 1, 2, 9] {
                let allowed = vocabulary.allowed(&grammar, &state, left);
                let mut one_by_one: Vec<i32> =
                    (0..12).filter(|token| vocabulary.after(&grammar, &state, *token, left).is_some()).collect();
                one_by_one.sort_by_key(|token| vocabulary.piece(*token));
                assert_eq!(allowed, one_by_one, "{left} left");
            }
            state = vocabulary.after(&grammar, &state, token, 9).expect("allowed");
        }
        // With one byte left after it, only what the closing quote ends.
        assert_eq!(vocabulary.allowed(&grammar, &state, 1), [1, 2, 11, 5, 9]);
        assert_eq!(vocabulary.allowed(&grammar, &state, 0), [5]);
    }

    #[test]
    fn a_mark_of_the_template_in_a_text_is_parted() {
        let vocabulary = vocabulary(&["a"]);
        assert_eq!(vocabulary.unmarked("x<|end|>y\0"), "x< |end|>y\u{FFFD}");
        assert!(!vocabulary.spells_all());
    }
}
