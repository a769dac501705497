//! Which tokens are remembered for which sequence, counted as llama.cpp keeps them: a cell that several sequences share
//! is there once, and gone when the last one lets go of it.
//!
//! **Invariant:** `used` is the number of cells held by at least one sequence.

/// Cells of all sequences.
#[derive(Debug)]
pub(super) struct Cells {
    room: usize,
    /// How many sequences hold each cell.
    holders: Vec<u32>,
    free: Vec<u32>,
    sequences: Vec<Sequence>,
}

/// What is remembered for one sequence.
#[derive(Debug, Default)]
struct Sequence {
    tokens: Vec<i32>,
    cells: Vec<u32>,
}

impl Cells {
    /// Room for this many tokens in this many sequences.
    pub(super) fn new(room: u32, sequences: u32) -> Self {
        Self {
            room: room as usize,
            holders: Vec::new(),
            free: Vec::new(),
            sequences: (0..sequences).map(|_| Sequence::default()).collect(),
        }
    }

    /// Cells in use.
    pub(super) fn used(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// Cells there are.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Tokens of a sequence.
    pub(super) fn tokens(&self, sequence: usize) -> &[i32] {
        &self.sequences[sequence].tokens
    }

    /// How many tokens at the beginning of a sequence are these.
    pub(super) fn common(&self, sequence: usize, tokens: &[i32]) -> usize {
        common(self.tokens(sequence), tokens)
    }

    /// One more token in a sequence.
    pub(super) fn push(&mut self, sequence: usize, token: i32) {
        let cell = self.free.pop().unwrap_or_else(|| {
            self.holders.push(0);
            u32::try_from(self.holders.len() - 1).unwrap_or(u32::MAX)
        });
        self.holders[cell as usize] = 1;
        self.sequences[sequence].tokens.push(token);
        self.sequences[sequence].cells.push(cell);
    }

    /// Forgets all tokens of a sequence but the first ones.
    pub(super) fn truncate(&mut self, sequence: usize, keep: usize) {
        let sequence = &mut self.sequences[sequence];
        sequence.tokens.truncate(keep);
        for cell in sequence.cells.drain(keep.min(sequence.cells.len())..) {
            let holders = &mut self.holders[cell as usize];
            *holders -= 1;
            if *holders == 0 {
                self.free.push(cell);
            }
        }
    }

    /// Gives an empty sequence the first tokens of another one.
    pub(super) fn share(&mut self, from: usize, to: usize, count: usize) {
        let cells: Vec<u32> = self.sequences[from].cells[..count].to_vec();
        for cell in &cells {
            self.holders[*cell as usize] += 1;
        }
        self.sequences[to] = Sequence { tokens: self.sequences[from].tokens[..count].to_vec(), cells };
    }
}

/// How many tokens two texts have in common at their beginning.
pub(super) fn common(one: &[i32], other: &[i32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::Cells;

    #[test]
    fn a_shared_cell_counts_once_until_the_last_holder_lets_go() {
        let mut cells = Cells::new(16, 3);
        (1..=4).for_each(|token| cells.push(0, token));
        cells.share(0, 1, 3);
        cells.push(1, 9);
        assert_eq!(cells.used(), 5);
        assert_eq!((cells.common(1, &[1, 2, 3, 9, 9]), cells.common(0, &[1, 5])), (4, 1));
        cells.truncate(0, 0);
        assert_eq!((cells.used(), cells.tokens(1)), (4, [1, 2, 3, 9].as_slice()));
        cells.truncate(1, 1);
        cells.push(2, 7);
        assert_eq!(cells.used(), 2);
        cells.truncate(1, 0);
        cells.truncate(2, 0);
        assert_eq!((cells.used(), cells.room()), (0, 16));
    }
}
