//! The words of a node's JSON-RPC as Bitcoin Core speaks it: what is asked, how answers read, what errors mean.
//!
//! **Invariant:** what a node says of itself is shortened and without control characters before it is shown.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, json};

use super::{
    hash::{BlockHash, Txid},
    transaction::{Coin, Transaction},
};
use crate::integer::Decimal;

/// The most characters of a node's words that are kept.
const MOST_WORDS: usize = 200;
/// How soon a transaction should be mined, in blocks: what fees are estimated for.
const SOON: u64 = 6;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Which chain it has, and how far.
    Chain,
    /// The block at a height.
    At(u64),
    /// A block's header.
    Header(BlockHash),
    /// A block's transactions, by their ids.
    Block(BlockHash),
    /// The coins of the wallet that are in blocks.
    Coins,
    /// Signatures of the wallet on a transaction.
    Sign(String),
    /// Sends a transaction that pays this rate at most.
    Send {
        /// In hex.
        transaction: String,
        /// In satoshi for a thousand virtual bytes.
        most: u64,
    },
    /// What others pay.
    Rate,
}

impl Call {
    /// Its name.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Chain => "getblockchaininfo",
            Self::At(_) => "getblockhash",
            Self::Header(_) => "getblockheader",
            Self::Block(_) => "getblock",
            Self::Coins => "listunspent",
            Self::Sign(_) => "signrawtransactionwithwallet",
            Self::Send { .. } => "sendrawtransaction",
            Self::Rate => "estimatesmartfee",
        }
    }

    /// The request.
    pub fn to_json(&self) -> String {
        let params = match self {
            Self::Chain => json!([]),
            Self::At(height) => json!([height]),
            Self::Header(hash) => json!([hash, false]),
            Self::Block(hash) => json!([hash, 1]),
            Self::Coins => json!([1]),
            Self::Sign(transaction) => json!([transaction]),
            // In coins for a thousand virtual bytes, as text: a fraction would lose digits.
            Self::Send { transaction, most } => {
                json!([transaction, format!("{}.{:08}", most / COIN, most % COIN)])
            }
            Self::Rate => json!([SOON]),
        };
        json!({"jsonrpc": "1.0", "id": "ii", "method": self.method(), "params": params}).to_string()
    }
}

/// Satoshi in a coin.
const COIN: u64 = 100_000_000;
/// All satoshi there can be.
const ALL: u64 = 21_000_000 * COIN;

/// An amount that a node wrote in coins, in satoshi.
fn satoshi<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let coins = f64::deserialize(deserializer)?;
    let found = (coins * COIN as f64).round();
    // Whole numbers up to all there can be are exact in 53 bits.
    if (0.0..=ALL as f64).contains(&found) { Ok(found as u64) } else { Err(D::Error::custom("no amount of coins")) }
}

/// Which chain a node has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ChainInfo {
    /// Its name: `main`, `test`, `regtest` and so on.
    pub chain: String,
    /// Height of its last block.
    pub blocks: u64,
    /// That block.
    #[serde(rename = "bestblockhash")]
    pub best: BlockHash,
    /// Whether it is still fetching a chain that is there.
    #[serde(rename = "initialblockdownload", default)]
    pub downloading: bool,
}

/// A block's transactions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockTransactions {
    /// Their ids in order.
    pub tx: Vec<Txid>,
}

/// A coin as a wallet lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedCoin {
    txid: Txid,
    vout: u32,
    #[serde(rename = "scriptPubKey")]
    script: String,
    #[serde(deserialize_with = "satoshi")]
    amount: u64,
    #[serde(default = "yes")]
    spendable: bool,
    #[serde(default = "yes")]
    safe: bool,
}

fn yes() -> bool {
    true
}

/// The coin to spend: the smallest that holds `least` satoshi, so that large ones stay whole.
pub fn pick(coins: &[ListedCoin], least: u64) -> Option<Coin> {
    let fit = coins.iter().filter(|coin| coin.spendable && coin.safe && coin.amount >= least);
    let one = fit.min_by_key(|coin| (coin.amount, coin.txid, coin.vout))?;
    Some(Coin { txid: one.txid, vout: one.vout, value: Decimal(one.amount), script: one.script.clone() })
}

/// A transaction with signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signed {
    /// In hex.
    pub hex: String,
    /// Whether none is missing.
    pub complete: bool,
}

impl Signed {
    /// The transaction, where it is `unsigned` with all its signatures and nothing else.
    pub fn of(&self, unsigned: &Transaction) -> Option<Transaction> {
        Transaction::parse_hex(&self.hex).ok().filter(|signed| self.complete && signed.signs(unsigned))
    }
}

/// What others pay.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Estimate {
    #[serde(default)]
    feerate: Option<f64>,
}

impl Estimate {
    /// In satoshi for a thousand virtual bytes; none where the node has seen too little.
    pub fn rate(&self) -> Option<u64> {
        let rate = (self.feerate? * COIN as f64).ceil();
        (1.0..=ALL as f64).contains(&rate).then_some(rate as u64)
    }
}

/// What a node says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct NodeError {
    /// Its number.
    pub code: i64,
    /// Its words.
    #[serde(deserialize_with = "words")]
    pub message: String,
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(MOST_WORDS).collect())
}

/// What an answer to [`Call::Send`] means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The node has it.
    Taken,
    /// It is in a block already.
    InBlock,
    /// What it spends is not there: spent by another, or in a block that is gone.
    Gone,
    /// It pays too little for now.
    TooLittle(NodeError),
}

impl NodeError {
    /// Whether the node will answer later by itself.
    pub fn is_starting(&self) -> bool {
        self.code == -28
    }

    /// Whether it was asked for a height that the chain does not have.
    pub fn is_beyond(&self) -> bool {
        self.code == -8
    }

    /// What it means of a transaction that was sent; the error back where it means none of that.
    ///
    /// # Errors
    /// Itself.
    pub fn of_sending(self) -> Result<Sent, Self> {
        let says = |part: &str| self.message.contains(part);
        match self.code {
            -27 => Ok(Sent::InBlock),
            -26 if says("txn-already-in-mempool") || says("txn-already-known") => Ok(Sent::Taken),
            -26 if ["fee not met", "insufficient fee", "insufficient priority", "mempool full"]
                .iter()
                .any(|w| says(w)) =>
            {
                Ok(Sent::TooLittle(self))
            }
            -25 if !says("maxfeerate") => Ok(Sent::Gone),
            _other => Err(self),
        }
    }

    /// What a person can do about it; none where nothing is known to help.
    pub fn fix(&self) -> Option<&'static str> {
        match self.code {
            -28 => Some("the node is starting; it is asked again"),
            -13 => Some("unlock the node's wallet: bitcoin-cli walletpassphrase"),
            -18 => Some("load the wallet that pays: bitcoin-cli loadwallet NAME"),
            -19 => Some("name the wallet that pays: bitcoin+http://HOST:PORT/wallet/NAME"),
            -32601 => Some("the node needs its wallet: start it without -disablewallet"),
            -1 if self.message.contains("prune") => Some("let the node keep more blocks: raise its -prune"),
            -8 | -5 => Some("the node goes another way now; it is asked again"),
            _other => None,
        }
    }
}

/// What was asked, or what the node says; none for what is no answer.
pub fn read_answer<T: DeserializeOwned>(body: &[u8]) -> Option<Result<T, NodeError>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        result: Value,
        #[serde(default)]
        error: Option<NodeError>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    match answer.error {
        Some(error) => Some(Err(error)),
        None => serde_json::from_value(answer.result).ok().map(Ok),
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, ChainInfo, Estimate, ListedCoin, NodeError, Sent, Signed, pick, read_answer};
    use crate::bitcoin::{
        anchor::tests::coin,
        transaction::{Coin, Transaction},
    };

    fn error(code: i64, message: &str) -> NodeError {
        NodeError { code, message: message.to_owned() }
    }

    #[test]
    fn a_rate_is_sent_in_coins_with_all_its_digits() {
        let call = Call::Send { transaction: "00".to_owned(), most: 123_456_789 };
        let wanted = r#"{"id":"ii","jsonrpc":"1.0","method":"sendrawtransaction","params":["00","1.23456789"]}"#;
        assert_eq!(call.to_json(), wanted);
        assert!(Call::Send { transaction: String::new(), most: 100_000 }.to_json().contains("0.00100000"));
    }

    #[test]
    fn answers_of_core_read_and_amounts_lose_nothing() {
        let id = "01".repeat(32);
        let listed = |amount: &str| {
            let body = format!(
                r#"{{"result":[{{"txid":"{id}","vout":1,"scriptPubKey":"51","amount":{amount},"confirmations":3}}],"error":null,"id":"ii"}}"#
            );
            read_answer::<Vec<ListedCoin>>(body.as_bytes())
        };
        for (text, value) in
            [("0.00000001", 1), ("1.23456789", 123_456_789), ("20999999.99999999", 2_099_999_999_999_999)]
        {
            let coins = listed(text).expect("an answer").expect("coins");
            assert_eq!(coins[0].amount, value);
        }
        assert!(listed("-1").is_none() && listed("21000001").is_none() && listed("\"1\"").is_none());
        let info = r#"{"result":{"chain":"main","blocks":7,"bestblockhash":"HASH","initialblockdownload":true}}"#;
        let info = read_answer::<ChainInfo>(info.replace("HASH", &id).as_bytes()).expect("an answer").expect("a chain");
        assert!(info.downloading && info.blocks == 7 && info.best.0 == [1; 32]);
        let refused = read_answer::<ChainInfo>(br#"{"result":null,"error":{"code":-28,"message":"Loading\nblock"}}"#);
        let refused = refused.expect("an answer").expect_err("refused");
        assert!(refused.is_starting() && refused.message == "Loading block");
        assert!(read_answer::<ChainInfo>(b"<html>").is_none());
        let rate = |text: &str| serde_json::from_str::<Estimate>(text).expect("reads").rate();
        assert_eq!(rate(r#"{"feerate":0.00012345,"blocks":6}"#), Some(12_345));
        assert_eq!((rate(r#"{"errors":["x"],"blocks":6}"#), rate(r#"{"feerate":-1}"#)), (None, None));
    }

    #[test]
    fn what_a_node_says_of_a_transaction_has_its_meaning() {
        assert_eq!(error(-27, "Transaction already in block chain").of_sending(), Ok(Sent::InBlock));
        assert_eq!(error(-25, "bad-txns-inputs-missingorspent").of_sending(), Ok(Sent::Gone));
        let most = error(-25, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)");
        assert_eq!(most.clone().of_sending(), Err(most));
        for words in ["min relay fee not met, 1 < 2", "mempool min fee not met", "insufficient fee, rejecting"] {
            assert_eq!(error(-26, words).of_sending(), Ok(Sent::TooLittle(error(-26, words))));
        }
        assert_eq!(error(-26, "txn-already-in-mempool").of_sending(), Ok(Sent::Taken));
        let other = error(-26, "scriptpubkey");
        assert_eq!(other.clone().of_sending(), Err(other));
        assert!(error(-18, "Requested wallet does not exist or is not loaded").fix().is_some());
        assert_eq!(error(-26, "scriptpubkey").fix(), None);
    }

    #[test]
    fn a_coin_is_the_smallest_that_is_enough_and_may_be_spent() {
        let listed = |amount: u64, number: u8| ListedCoin {
            txid: crate::bitcoin::hash::Txid([number; 32]),
            vout: 0,
            script: "51".to_owned(),
            amount,
            spendable: true,
            safe: true,
        };
        let coins = [listed(900, 1), listed(500, 2), listed(400, 3), ListedCoin { safe: false, ..listed(450, 4) }];
        let value = |coin: Option<Coin>| coin.map(|coin| coin.value.0);
        assert_eq!(value(pick(&coins, 401)), Some(500));
        assert_eq!((value(pick(&coins, 901)), value(pick(&[], 0))), (None, None));
    }

    #[test]
    fn a_wallet_adds_signatures_and_nothing_else() {
        let unsigned = Transaction::anchoring(&crate::Digest([1; 32]), &coin(), 500).expect("enough");
        let mut signed = unsigned.clone();
        signed.inputs[0].script = vec![1, 2, 3];
        let of = |one: &Transaction, complete| Signed { hex: hex::encode(one.to_bytes()), complete }.of(&unsigned);
        assert_eq!(of(&signed, true), Some(signed.clone()));
        assert_eq!(of(&signed, false), None);
        signed.outputs[1].script = vec![0x52];
        assert_eq!(of(&signed, true), None);
    }
}
