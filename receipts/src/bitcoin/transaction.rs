//! Transactions: read, written, and made to carry the root of a batch.
//!
//! An anchoring transaction spends one coin of a node's wallet; it has an output of nothing with `OP_RETURN "PoB1" ‖ root[32]`,
//! and gives the rest, less a fee, back to where the coin was.
//!
//! **Invariant:** bytes that parse are exactly those that are written for what was read.
//! **Invariant:** no transaction made here pays anybody else than the coin's owner and the miner.

use serde::{Deserialize, Serialize};

use super::{
    hash::Txid,
    wire::{Reader, put_compact},
};
use crate::{digest::Digest, integer::Decimal};

/// The most bytes of a transaction that is read: what nodes relay at most.
pub const MOST_BYTES: usize = 100_000;
/// What an anchor's payload begins with.
const MARK: &[u8; 4] = b"PoB1";
/// The most bytes of a script that coins are kept under.
const MOST_SCRIPT: usize = 10_000;
/// The least that an output may hold so that nodes relay it, in satoshi.
const DUST: u64 = 600;
/// Says that the transaction may be replaced by one with a higher fee (BIP 125).
const REPLACEABLE: u32 = 0xffff_fffd;

/// Not the bytes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the bytes of a transaction")]
pub struct NotTransaction;

/// What a transaction spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The transaction that made the coin.
    pub txid: Txid,
    /// Which of its outputs.
    pub vout: u32,
    /// What unlocks it, where that is no witness.
    pub script: Vec<u8>,
    /// Since when it counts, and whether it may be replaced.
    pub sequence: u32,
}

/// What a transaction makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// In satoshi.
    pub value: u64,
    /// What unlocks it.
    pub script: Vec<u8>,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its version.
    pub version: u32,
    /// What it spends: one at least.
    pub inputs: Vec<Input>,
    /// What it makes: one at least.
    pub outputs: Vec<Output>,
    /// What each input is unlocked by; none for a transaction of the old kind.
    pub witnesses: Vec<Vec<Vec<u8>>>,
    /// From when on it may be mined.
    pub locktime: u32,
}

/// A coin of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coin {
    /// The transaction that made it.
    pub txid: Txid,
    /// Which of its outputs.
    pub vout: u32,
    /// In satoshi.
    pub value: Decimal,
    /// What unlocks it, in hex.
    pub script: String,
}

/// The output script that carries `root`.
fn carrying(root: &Digest) -> Vec<u8> {
    // OP_RETURN, then one push of 36 bytes.
    [&[0x6a, 36], MARK.as_slice(), &root.0].concat()
}

impl Transaction {
    /// Reads a transaction, with or without witnesses.
    ///
    /// # Errors
    /// [`NotTransaction`], also for more than [`MOST_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotTransaction> {
        if bytes.len() > MOST_BYTES {
            return Err(NotTransaction);
        }
        read(bytes).filter(|read| read.to_bytes() == bytes).ok_or(NotTransaction)
    }

    /// Reads a transaction in hex.
    ///
    /// # Errors
    /// [`NotTransaction`].
    pub fn parse_hex(text: &str) -> Result<Self, NotTransaction> {
        if text.len() > 2 * MOST_BYTES {
            return Err(NotTransaction);
        }
        Self::parse(&hex::decode(text).map_err(|_other| NotTransaction)?)
    }

    /// The bytes, with witnesses where there are some.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        if !self.witnesses.is_empty() {
            out.extend([0, 1]);
        }
        self.write_body(&mut out);
        for stack in &self.witnesses {
            put_compact(&mut out, stack.len());
            for item in stack {
                put_compact(&mut out, item.len());
                out.extend(item);
            }
        }
        out.extend(self.locktime.to_le_bytes());
        out
    }

    /// The bytes in hex, as nodes take them.
    pub fn to_hex(&self) -> String {
        hex::encode(self.to_bytes())
    }

    /// The bytes that its id is the hash of.
    pub fn stripped(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        self.write_body(&mut out);
        out.extend(self.locktime.to_le_bytes());
        out
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        put_compact(out, self.inputs.len());
        for input in &self.inputs {
            out.extend(input.txid.0);
            out.extend(input.vout.to_le_bytes());
            put_compact(out, input.script.len());
            out.extend(&input.script);
            out.extend(input.sequence.to_le_bytes());
        }
        put_compact(out, self.outputs.len());
        for output in &self.outputs {
            out.extend(output.value.to_le_bytes());
            put_compact(out, output.script.len());
            out.extend(&output.script);
        }
    }

    /// Its id.
    pub fn txid(&self) -> Txid {
        Txid::of(&self.stripped())
    }

    /// The size that fees are counted by, in virtual bytes.
    pub fn virtual_size(&self) -> u64 {
        (self.stripped().len() as u64 * 3 + self.to_bytes().len() as u64).div_ceil(4)
    }

    /// Whether it carries `root`.
    pub fn carries(&self, root: &Digest) -> bool {
        let script = carrying(root);
        self.outputs.iter().any(|output| output.script == script)
    }

    /// The unsigned transaction that anchors `root` and pays `fee` satoshi out of `coin`; none where too little is left.
    pub fn anchoring(root: &Digest, coin: &Coin, fee: u64) -> Option<Self> {
        let rest = coin.value.0.checked_sub(fee).filter(|rest| *rest >= DUST)?;
        let script = hex::decode(&coin.script).ok().filter(|script| script.len() <= MOST_SCRIPT)?;
        Some(Self {
            version: 2,
            inputs: vec![Input { txid: coin.txid, vout: coin.vout, script: Vec::new(), sequence: REPLACEABLE }],
            outputs: vec![Output { value: 0, script: carrying(root) }, Output { value: rest, script }],
            witnesses: Vec::new(),
            locktime: 0,
        })
    }

    /// Whether `self` is `unsigned` with nothing but signatures added.
    pub fn signs(&self, unsigned: &Self) -> bool {
        let mut bare = self.clone();
        bare.witnesses.clear();
        for input in &mut bare.inputs {
            input.script.clear();
        }
        bare == *unsigned
    }
}

fn read(bytes: &[u8]) -> Option<Transaction> {
    let mut reader = Reader(bytes);
    let version = reader.u32()?;
    // No transaction is without inputs: such a count is the mark of witnesses.
    let witnessed = reader.0.starts_with(&[0, 1]);
    if witnessed {
        reader.take(2)?;
    }
    let mut inputs = Vec::new();
    for _input in 0..reader.compact()? {
        let (txid, vout) = (Txid(reader.array()?), reader.u32()?);
        inputs.push(Input { txid, vout, script: reader.bytes()?.to_vec(), sequence: reader.u32()? });
    }
    let mut outputs = Vec::new();
    for _output in 0..reader.compact()? {
        outputs.push(Output { value: reader.u64()?, script: reader.bytes()?.to_vec() });
    }
    let mut witnesses = Vec::new();
    if witnessed {
        for _input in &inputs {
            let mut stack = Vec::new();
            for _item in 0..reader.compact()? {
                stack.push(reader.bytes()?.to_vec());
            }
            witnesses.push(stack);
        }
    }
    let locktime = reader.u32()?;
    let idle = witnessed && witnesses.iter().all(Vec::is_empty);
    let whole = reader.0.is_empty() && !inputs.is_empty() && !outputs.is_empty() && !idle;
    whole.then_some(Transaction { version, inputs, outputs, witnesses, locktime })
}

#[cfg(test)]
mod tests {
    use super::{Coin, Output, Transaction};
    use crate::{bitcoin::hash::Txid, digest::Digest, integer::Decimal};

    /// The transaction of Bitcoin's first block.
    const GENESIS: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
    /// The signed P2WPKH example of BIP 143, which spends one coin of each kind.
    const WITNESSED: &str = "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000";

    #[test]
    fn transactions_of_others_have_their_known_ids() {
        let first = Transaction::parse_hex(GENESIS).expect("a transaction");
        assert_eq!(first.txid().to_string(), "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b");
        let witnessed = Transaction::parse_hex(WITNESSED).expect("a transaction");
        let id = "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609";
        assert_eq!((witnessed.txid().to_string().as_str(), witnessed.virtual_size()), (id, 261));
        assert_eq!((witnessed.inputs.len(), witnessed.witnesses.len(), witnessed.locktime), (2, 2, 17));
    }

    #[test]
    fn cut_lengthened_or_inflated_bytes_are_no_transaction() {
        for text in [GENESIS, WITNESSED] {
            let bytes = hex::decode(text).expect("hex");
            for cut in 0..bytes.len() {
                assert!(Transaction::parse(&bytes[..cut]).is_err(), "{cut}");
            }
            assert!(Transaction::parse(&[&bytes[..], &[0]].concat()).is_err());
        }
        // More inputs than bytes, no input, no output, witnesses that are none.
        for text in ["01000000ffffffffffffffffff", "0100000000000000000000", "01000000000100000000000000"] {
            assert!(Transaction::parse_hex(text).is_err(), "{text}");
        }
        assert!(Transaction::parse(&vec![0; super::MOST_BYTES + 1]).is_err());
        assert!(Transaction::parse_hex("0g").is_err());
    }

    #[test]
    fn an_anchor_carries_its_root_and_pays_nobody_else() {
        let (root, other) = (Digest([3; 32]), Digest([4; 32]));
        let coin = Coin { txid: Txid([1; 32]), vout: 1, value: Decimal(10_000), script: "51".to_owned() };
        let made = Transaction::anchoring(&root, &coin, 300).expect("enough");
        assert!(made.carries(&root) && !made.carries(&other));
        let script = [&[0x6a, 0x24][..], b"PoB1", &[3; 32]].concat();
        let wanted = [Output { value: 0, script }, Output { value: 9_700, script: vec![0x51] }];
        assert_eq!(made.outputs, wanted);
        assert_eq!(Transaction::parse(&made.to_bytes()), Ok(made.clone()));
        let mut signed = made.clone();
        signed.inputs[0].script = vec![0; 70];
        assert!(signed.signs(&made));
        signed.outputs[1].value = 1;
        assert!(!signed.signs(&made), "the rest goes elsewhere");
        assert_eq!(Transaction::anchoring(&root, &coin, 9_999), None, "dust is left");
        assert_eq!(Transaction::anchoring(&root, &coin, 10_001), None);
    }
}
