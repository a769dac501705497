//! The description at the beginning of a GGUF file, read without llama.cpp: whether the file is whole, and what it needs.
//!
//! llama.cpp ends the process where one of its assertions fails, so what those of its loader check is checked here first.
//! Sizes in the file are never trusted: nothing is reserved that the file could not hold.
//!
//! **Invariant:** reads no more than the description, and refuses any bytes without a panic.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

/// What a file says of itself, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Name of the architecture.
    pub(super) architecture: String,
    /// Tokens it was trained for.
    pub(super) context: u64,
    /// Layers.
    pub(super) layers: u64,
    /// Width of the embeddings.
    pub(super) width: u64,
    /// Width of the layers in between.
    pub(super) hidden: u64,
    /// Query heads, the most of any layer.
    pub(super) heads: u64,
    /// Numbers remembered for one token in all layers.
    pub(super) numbers_per_token: u64,
    /// Tokens of the vocabulary.
    pub(super) vocabulary: u64,
    /// Bytes of all tensors.
    pub(super) weights: u64,
    /// The chat template.
    pub(super) template: Option<String>,
}

/// Why a description was refused.
#[derive(Debug)]
pub(super) enum HeaderError {
    NotGguf,
    /// Bytes the file must have at least.
    Truncated(u64),
    Damaged(String),
    Unsupported(String),
    Io(io::Error),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Layers, as llama.cpp bounds them.
const MOST_LAYERS: u64 = 512;
/// Far above any real file; a description this long is damaged.
const MOST_ENTRIES: u64 = 1 << 20;
/// Nested arrays are not written by anything.
const MOST_NESTING: u32 = 2;
/// Entries whose whole text or numbers are kept.
const KEPT: &[&str] = &["tokenizer.chat_template", "tokenizer.ggml.model", "general.architecture"];

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Number(u64),
    Text(String),
    /// Numbers of an array, kept where there is one for each layer at most.
    Numbers(Vec<u64>),
    /// Length of another array.
    Length(u64),
    Other,
}

struct Source<R> {
    from: R,
    at: u64,
    length: u64,
}

impl<R: Read> Source<R> {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, HeaderError> {
        self.claim(count)?;
        let mut bytes =
            vec![0; usize::try_from(count).map_err(|_| HeaderError::Damaged("a text is too long".to_owned()))?];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Moves on by this many bytes, which the file must have.
    fn claim(&mut self, count: u64) -> Result<(), HeaderError> {
        let end = self.at.checked_add(count).ok_or_else(|| HeaderError::Damaged("a length overflows".to_owned()))?;
        if end > self.length {
            return Err(HeaderError::Truncated(end));
        }
        self.at = end;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.claim(N as u64)?;
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, HeaderError> {
        let length = self.u64()?;
        // Tokens of a vocabulary need not be valid UTF-8.
        Ok(String::from_utf8_lossy(&self.bytes(length)?).into_owned())
    }

    fn number(&mut self, kind: u32) -> Result<Entry, HeaderError> {
        Ok(match kind {
            0 | 7 => Entry::Number(u64::from(self.array::<1>()?[0])),
            1 => signed(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Entry::Number(u64::from(u16::from_le_bytes(self.array()?))),
            3 => signed(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Entry::Number(u64::from(self.u32()?)),
            5 => signed(i64::from(i32::from_le_bytes(self.array()?))),
            6 => {
                self.array::<4>()?;
                Entry::Other
            }
            10 => Entry::Number(self.u64()?),
            11 => signed(i64::from_le_bytes(self.array()?)),
            12 => {
                self.array::<8>()?;
                Entry::Other
            }
            unknown => return Err(HeaderError::Damaged(format!("an entry is of the unknown kind {unknown}"))),
        })
    }

    fn entry(&mut self, key: &str, kind: u32, nesting: u32) -> Result<Entry, HeaderError> {
        match kind {
            8 => Ok(Entry::Text(self.text()?)),
            9 if nesting < MOST_NESTING => {
                let (kind, length) = (self.u32()?, self.u64()?);
                if length > self.length {
                    return Err(HeaderError::Damaged(format!("the list {key} has {length} items")));
                }
                if key == "tokenizer.ggml.tokens" && kind == 8 {
                    return self.tokens(length);
                }
                let mut numbers = Vec::new();
                for _ in 0..length {
                    if let Entry::Number(number) = self.entry(key, kind, nesting + 1)?
                        && length <= MOST_LAYERS
                    {
                        numbers.push(number);
                    }
                }
                Ok(if numbers.is_empty() { Entry::Length(length) } else { Entry::Numbers(numbers) })
            }
            9 => Err(HeaderError::Damaged(format!("lists lie too deep in {key}"))),
            kind => self.number(kind),
        }
    }

    /// llama.cpp asserts that no token is there twice.
    fn tokens(&mut self, length: u64) -> Result<Entry, HeaderError> {
        let mut seen = BTreeSet::new();
        for _ in 0..length {
            let size = self.u64()?;
            if !seen.insert(self.bytes(size)?) {
                return Err(HeaderError::Damaged("its vocabulary has a token twice".to_owned()));
            }
        }
        Ok(Entry::Length(length))
    }
}

/// Negative numbers stand for nothing that is read here.
fn signed(number: i64) -> Entry {
    u64::try_from(number).map_or(Entry::Other, Entry::Number)
}

/// Reads the description of a file of this many bytes.
///
/// # Errors
/// [`HeaderError`]; each names what is wrong.
pub(super) fn read(from: impl Read, length: u64) -> Result<Header, HeaderError> {
    let mut source = Source { from, at: 0, length };
    if length < 8 || &source.array::<4>()? != b"GGUF" {
        return Err(HeaderError::NotGguf);
    }
    match source.u32()? {
        2 | 3 => {}
        version => {
            return Err(HeaderError::Unsupported(format!("it is GGUF version {version}; versions 2 and 3 are read")));
        }
    }
    let (tensors, count) = (source.u64()?, source.u64()?);
    if tensors > MOST_ENTRIES || count > MOST_ENTRIES {
        return Err(HeaderError::Damaged(format!("it announces {tensors} tensors and {count} entries")));
    }
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let key = source.text()?;
        let kind = source.u32()?;
        let entry = source.entry(&key, kind, 0)?;
        let entry = match entry {
            Entry::Text(_) if !KEPT.contains(&key.as_str()) => Entry::Other,
            entry => entry,
        };
        if entries.insert(key.clone(), entry).is_some() {
            return Err(HeaderError::Damaged(format!("the entry {key} is there twice")));
        }
    }
    let weights = tensor_bytes(&mut source, tensors, &entries)?;
    describe(&entries, weights)
}

/// Reads the list of tensors; bytes of their data, which the file must hold.
fn tensor_bytes<R: Read>(
    source: &mut Source<R>,
    tensors: u64,
    entries: &BTreeMap<String, Entry>,
) -> Result<u64, HeaderError> {
    let mut names = BTreeSet::new();
    let mut end = 0_u64;
    for _ in 0..tensors {
        let name = source.text()?;
        let dimensions = source.u32()?;
        if !(1..=4).contains(&dimensions) {
            return Err(HeaderError::Damaged(format!("the tensor {name} has {dimensions} dimensions")));
        }
        let mut numbers = 1_u64;
        for _ in 0..dimensions {
            let size = source.u64()?;
            numbers = numbers
                .checked_mul(size)
                .filter(|numbers| (1..1 << 50).contains(numbers))
                .ok_or_else(|| HeaderError::Damaged(format!("the tensor {name} has a dimension of {size}")))?;
        }
        let (kind, offset) = (source.u32()?, source.u64()?);
        let (block, bytes) = block(kind);
        // Exact products first: a block of a kind is smaller than 2^12 bytes.
        let size = numbers.div_ceil(block).saturating_mul(bytes);
        end = end.max(offset.saturating_add(size));
        if !names.insert(name.clone()) {
            return Err(HeaderError::Damaged(format!("the tensor {name} is there twice")));
        }
    }
    let alignment = match entries.get("general.alignment") {
        Some(Entry::Number(alignment)) if alignment.is_power_of_two() && *alignment <= 1 << 16 => *alignment,
        None => 32,
        Some(_) => return Err(HeaderError::Damaged("its alignment is no power of two".to_owned())),
    };
    let need = source.at.next_multiple_of(alignment).saturating_add(end);
    if need > source.length {
        return Err(HeaderError::Truncated(need));
    }
    Ok(end)
}

/// Numbers and bytes of a block of each kind of tensor, as ggml defines them; of an unknown kind nothing is claimed, and
/// llama.cpp refuses it.
fn block(kind: u32) -> (u64, u64) {
    match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        39 => (32, 17),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        _unknown => (1, 0),
    }
}

fn describe(entries: &BTreeMap<String, Entry>, weights: u64) -> Result<Header, HeaderError> {
    let missing = |key: &str| HeaderError::Damaged(format!("the entry {key} is missing or of the wrong kind"));
    let text = |key: &str| match entries.get(key) {
        Some(Entry::Text(text)) => Some(text.clone()),
        Some(Entry::Number(_) | Entry::Numbers(_) | Entry::Length(_) | Entry::Other) | None => None,
    };
    let architecture = text("general.architecture").ok_or_else(|| missing("general.architecture"))?;
    if matches!(entries.get("split.count"), Some(Entry::Number(parts)) if *parts > 1) {
        let reason = "it is one part of several; merge them with llama-gguf-split --merge".to_owned();
        return Err(HeaderError::Unsupported(reason));
    }
    match text("tokenizer.ggml.model").as_deref() {
        None | Some("no_vocab" | "none") => {
            return Err(HeaderError::Unsupported("it has no tokenizer; it is no language model".to_owned()));
        }
        Some(_) => {}
    }
    let key = |name: &str| format!("{architecture}.{name}");
    let optional = |name: &str| match entries.get(&key(name)) {
        Some(Entry::Number(number)) => Some(*number),
        Some(Entry::Numbers(numbers)) => numbers.iter().max().copied(),
        Some(Entry::Text(_) | Entry::Length(_) | Entry::Other) | None => None,
    };
    let bounded = |name: &str, most: u64| {
        let number = optional(name).ok_or_else(|| missing(&key(name)))?;
        let fits = (1..=most).contains(&number);
        fits.then_some(number).ok_or_else(|| HeaderError::Damaged(format!("its {} is {number}", key(name))))
    };
    let layers = bounded("block_count", MOST_LAYERS)?;
    let width = bounded("embedding_length", 1 << 20)?;
    let context = bounded("context_length", 1 << 30)?;
    // Models without attention have no heads; they are loaded as far as llama.cpp does.
    let heads = optional("attention.head_count").unwrap_or(0).min(1 << 16);
    let per_layer = |layer: u64| match entries.get(&key("attention.head_count_kv")) {
        Some(Entry::Number(number)) => *number,
        Some(Entry::Numbers(numbers)) => {
            numbers.get(usize::try_from(layer).unwrap_or(usize::MAX)).copied().unwrap_or(0)
        }
        Some(Entry::Text(_) | Entry::Length(_) | Entry::Other) | None => heads,
    };
    let heads_kv: u64 = (0..layers).map(|layer| per_layer(layer).min(1 << 16)).sum();
    let length = |name: &str| match (optional(name), heads) {
        (Some(length), _) => length.min(1 << 20),
        (None, 0) => 0,
        (None, heads) => width / heads,
    };
    if heads > 0 && optional("attention.key_length").is_none() && width % heads != 0 {
        return Err(HeaderError::Damaged(format!("its width {width} is no multiple of its {heads} heads")));
    }
    let used = optional("expert_used_count").unwrap_or(0);
    if used > optional("expert_count").unwrap_or(0) || optional("expert_count").unwrap_or(0) > 512 {
        return Err(HeaderError::Damaged(format!(
            "it uses {used} of {} experts",
            optional("expert_count").unwrap_or(0)
        )));
    }
    let Some(Entry::Length(vocabulary)) = entries.get("tokenizer.ggml.tokens") else {
        return Err(missing("tokenizer.ggml.tokens"));
    };
    if !(2..1 << 24).contains(vocabulary) {
        return Err(HeaderError::Damaged(format!("its vocabulary has {vocabulary} tokens")));
    }
    for name in ["bos", "eos", "eot", "unknown", "padding"] {
        if let Some(Entry::Number(token)) = entries.get(&format!("tokenizer.ggml.{name}_token_id"))
            && token >= vocabulary
            && *token != u64::from(u32::MAX)
        {
            return Err(HeaderError::Damaged(format!("its token for {name} is {token} of {vocabulary}")));
        }
    }
    for name in ["scores", "token_type"] {
        let length = match entries.get(&format!("tokenizer.ggml.{name}")) {
            Some(Entry::Length(length)) => *length,
            Some(Entry::Numbers(numbers)) => numbers.len() as u64,
            Some(Entry::Number(_) | Entry::Text(_) | Entry::Other) | None => continue,
        };
        // An array of some negative numbers is kept in part only; then llama.cpp's own check of lengths stands alone.
        if length > *vocabulary || (length < *vocabulary && *vocabulary > MOST_LAYERS) {
            return Err(HeaderError::Damaged(format!("its vocabulary has {vocabulary} tokens and {length} {name}")));
        }
    }
    Ok(Header {
        context,
        layers,
        width,
        hidden: optional("feed_forward_length").unwrap_or(4 * width).min(1 << 24),
        heads,
        numbers_per_token: heads_kv.saturating_mul(length("attention.key_length") + length("attention.value_length")),
        vocabulary: *vocabulary,
        weights,
        template: text("tokenizer.chat_template"),
        architecture,
    })
}
