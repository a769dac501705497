//! Text for benchmarks, made anew and the same each time.

/// Words in the frequencies of a language, the same on each run.
pub struct Words {
    state: u64,
    vocabulary: Vec<String>,
}

impl Words {
    /// From the beginning.
    pub fn new() -> Self {
        let mut words = Self { state: 7, vocabulary: Vec::new() };
        let syllables =
            ["ka", "to", "mi", "ren", "sal", "vo", "den", "li", "pra", "su", "chen", "ba", "or", "ti", "na"];
        for _ in 0..40_000 {
            let count = 1 + words.next() % 4;
            let word = (0..count).map(|_| syllables[words.next() as usize % syllables.len()]).collect();
            words.vocabulary.push(word);
        }
        words
    }

    /// The next number of a fixed disorder.
    pub fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A text of about so many bytes.
    pub fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 200);
        while text.len() < bytes {
            for _ in 0..3 + self.next() % 5 {
                for place in 0..7 + self.next() % 14 {
                    if place > 0 {
                        text.push(' ');
                    }
                    // Two in five words of English are of this kind.
                    if self.next() % 5 < 2 {
                        let common = ["the", "of", "and", "to", "in", "is", "that", "was", "for", "with", "by", "a"];
                        text.push_str(common[self.next() as usize % common.len()]);
                        continue;
                    }
                    // The square of an even number between 0 and 1, twice: few words come often.
                    let even = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
                    let word = (even.powi(4) * self.vocabulary.len() as f64) as usize;
                    text.push_str(&self.vocabulary[word]);
                }
                text.push_str(". ");
            }
            text.push_str("\n\n");
        }
        text
    }
}
