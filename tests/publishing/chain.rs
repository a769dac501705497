//! Receipts in a chain: against a real node that reorganises, dies, forgets, and answers twice or not at all.

use std::collections::BTreeMap;

use agent_runtime::publisher::{ChainWay, OtherLedger, PinnedLedger, PublishError, Publisher, Repin, Way};
use receipts::{
    Digest,
    bitcoin::anchor::Anchor,
    ledger::{
        entry::{BenefitClass, LogEntry},
        outbox::{Standing, State},
    },
};
use serde_json::json;

use crate::{
    node::{DEPTH, Node, failing, quiet},
    world::{Ledger, PATIENCE, Sealed, receipt, receipt_elsewhere, settle},
};

/// Every receipt final by a proof that holds, each batch once in the chain.
async fn all_final_once(home: &Sealed, node: &Node, publisher: &Publisher) {
    let PinnedLedger::Chain(pinned) = publisher.pinned() else { panic!("no chain") };
    for row in home.rows().await {
        let State::Buried { block, last, .. } = row.state else { panic!("{:?}", row.state) };
        let proof = Anchor::parse(row.evidence.as_deref().expect("a proof")).expect("reads");
        let class = BenefitClass::AgentOrchestration;
        let leaf = LogEntry { receipt: row.receipt_id, nullifier: row.nullifier, class }.leaf();
        let shown = proof.check(leaf, &pinned.easiest).expect("holds");
        assert_eq!((shown.block, shown.last, shown.depth), (block, last, DEPTH));
    }
    assert!(node.anchored(home).await.iter().all(|count| *count == 1));
}

/// Mines and follows until all is final.
async fn bury(home: &Sealed, node: &Node, publisher: &mut Publisher) {
    let burying = async {
        loop {
            match publisher.turn().await {
                Ok(turn) if turn.counts.under_way() == 0 => return,
                Ok(turn) if turn.answered + turn.proved == 0 => node.mine(1),
                Ok(_moved) => {}
                Err(error) => assert!(error.may_pass(), "{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, burying).await.expect("is buried");
    all_final_once(home, node, publisher).await;
}

#[tokio::test]
async fn receipts_are_logged_in_a_block_and_credited_at_depth() {
    let Some(node) = Node::start("receipts in a chain") else { return };
    let home = Sealed::new((10..13).map(receipt).collect()).await;
    let mut publisher = node.publisher(&home).await;
    assert!(publisher.is_new());
    quiet(&mut publisher).await;
    assert_eq!(home.standings().await, [Standing::Sealed; 3]);
    assert_eq!(node.fees().len(), 1, "one transaction for all");
    for deep in 1..DEPTH {
        node.mine(1);
        quiet(&mut publisher).await;
        assert_eq!(home.standings().await, [Standing::Logged; 3], "{deep}");
    }
    node.mine(1);
    quiet(&mut publisher).await;
    assert_eq!(home.standings().await, [Standing::Credited; 3]);
    all_final_once(&home, &node, &publisher).await;
    // What comes later is a batch of its own, and costs another fee.
    home.add(vec![receipt(20)]).await;
    bury(&home, &node, &mut publisher).await;
    assert_eq!(node.anchored(&home).await, [1, 1]);
    drop(publisher);
    let mut publisher = node.publisher(&home).await;
    assert!(!publisher.is_new());
    quiet(&mut publisher).await;
    all_final_once(&home, &node, &publisher).await;
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_lay_in_its_blocks_until_others_have_it() {
    let Some(node) = Node::start("receipts in a chain that reorganises") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    for depth in 1..=DEPTH {
        home.add(vec![receipt(20 + u128::from(depth))]).await;
        quiet(&mut publisher).await;
        node.mine(depth);
        quiet(&mut publisher).await;
        let newest = |standings: Vec<Standing>| standings.last().copied().expect("one");
        let before = if depth < DEPTH { Standing::Logged } else { Standing::Credited };
        assert_eq!(newest(home.standings().await), before);
        node.reorg(depth);
        publisher.turn().await.expect("turns");
        assert_eq!(newest(home.standings().await), Standing::Sealed, "{depth}");
        assert!(home.rows().await.last().expect("one").evidence.is_some(), "its place in the batch");
        // The node forgot the transaction with the block; it is there again, once, and becomes final once.
        let mut credited = 0;
        let mut last = Standing::Sealed;
        for _block in 0..=DEPTH {
            quiet(&mut publisher).await;
            let now = newest(home.standings().await);
            credited += u64::from(now == Standing::Credited && last != now);
            last = now;
            node.mine(1);
        }
        assert_eq!((credited, last), (1, Standing::Credited), "{depth}");
    }
    all_final_once(&home, &node, &publisher).await;
}

#[tokio::test]
async fn a_node_that_is_killed_at_any_question_loses_no_receipt_and_anchors_none_twice() {
    let Some(mut node) = Node::start("receipts in a chain whose node is killed") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    let mut number = 20;
    for (method, block) in [
        ("listunspent", 0),
        ("signrawtransactionwithwallet", 0),
        ("estimatesmartfee", 0),
        ("sendrawtransaction", 0),
        ("getblockchaininfo", 1),
        ("getblockhash", 1),
        ("getblockheader", 1),
        ("getblock", 1),
    ] {
        // What only reads is the same killed before it and after.
        let points: &[&str] = if method.starts_with("send") { &["before", "after"] } else { &["after"] };
        for die in points {
            number += 1;
            if block == 1 {
                home.add(vec![receipt(number)]).await;
                quiet(&mut publisher).await;
                node.mine(1);
            } else {
                bury(&home, &node, &mut publisher).await;
                home.add(vec![receipt(number)]).await;
            }
            node.fault(json!({"method": method, "die": die}));
            let error = failing(&mut publisher).await;
            assert!(error.to_string().contains("does not answer"), "{method}: {error}");
            node.again();
            quiet(&mut publisher).await;
        }
    }
    bury(&home, &node, &mut publisher).await;
    assert_eq!(home.standings().await.len(), 10);
}

#[tokio::test]
async fn answers_that_are_lost_or_given_twice_change_nothing() {
    let Some(node) = Node::start("receipts in a chain behind an unreliable line") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    let mut number = 20;
    for method in ["listunspent", "signrawtransactionwithwallet", "sendrawtransaction", "getblockhash", "getblock"] {
        for fault in [json!({"drop": true}), json!({"twice": true}), json!({"twice": true, "drop": true})] {
            number += 1;
            home.add(vec![receipt(number)]).await;
            let mut what = fault.clone();
            what["method"] = json!(method);
            node.fault(what);
            bury(&home, &node, &mut publisher).await;
            node.order("heal", json!({}));
        }
    }
}

#[tokio::test]
async fn what_a_node_says_has_its_meaning() {
    let Some(node) = Node::start("what a node says of transactions") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    // Starting: asked again.
    node.order("warm", json!({}));
    let error = failing(&mut publisher).await;
    assert!(error.to_string().contains("(-28)"), "{error}");
    node.order("heal", json!({}));
    // In a block already: as good as taken.
    let known = json!({"code": -27, "message": "Transaction already in block chain"});
    node.fault(json!({"method": "sendrawtransaction", "after": true, "error": known}));
    quiet(&mut publisher).await;
    bury(&home, &node, &mut publisher).await;
    // A wallet that is locked says so, and is asked again.
    home.add(vec![receipt(20)]).await;
    let locked = json!({"code": -13, "message": "Please enter the wallet passphrase"});
    node.fault(json!({"method": "signrawtransactionwithwallet", "error": locked}));
    let error = failing(&mut publisher).await;
    assert!(error.to_string().contains("signrawtransactionwithwallet: Please enter"), "{error}");
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn a_node_that_is_away_for_long_finds_all_receipts_waiting() {
    let Some(mut node) = Node::start("receipts in a chain whose node is away") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    quiet(&mut publisher).await;
    node.mine(2);
    quiet(&mut publisher).await;
    home.add((20..23).map(receipt).collect()).await;
    quiet(&mut publisher).await;
    node.kill();
    home.add((30..33).map(receipt).collect()).await;
    for _turn in 0..20 {
        failing(&mut publisher).await;
    }
    assert_eq!(home.rows().await.len(), 7);
    node.again();
    // Others mined meanwhile, more than is read at once, and without our transaction.
    node.order("forget", json!({"count": 250}));
    quiet(&mut publisher).await;
    assert_eq!(home.standings().await[0], Standing::Credited);
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn a_reorganisation_below_all_that_is_on_record_takes_back_what_it_hits_and_nothing_else() {
    let Some(node) = Node::start("receipts in a chain that reorganises deeply") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    bury(&home, &node, &mut publisher).await;
    let first = home.states().await[0].clone();
    // So far on that the record begins anew, with one block.
    node.order("forget", json!({"count": 400}));
    quiet(&mut publisher).await;
    node.reorg(3);
    quiet(&mut publisher).await;
    assert_eq!(home.states().await, [first], "deep below it");
    node.reorg(409);
    quiet(&mut publisher).await;
    assert_eq!(home.standings().await, [Standing::Sealed]);
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn another_chain_kind_or_depth_is_refused_until_the_person_says_so() {
    let Some(node) = Node::start("a chain that is another") else { return };
    let ledger = Ledger::start(&[]);
    let home = Sealed::new(vec![receipt(10)]).await;
    let with = |change: &dyn Fn(&mut ChainWay)| {
        let mut way = node.way(&home);
        change(&mut way.chain);
        way
    };
    let main = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f".parse().expect("an id");
    let found = home.open(with(&|chain| chain.genesis = Some(main))).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Chain { .. }))), "{found:?}");
    settle(&mut home.publisher(&ledger).await).await;
    let found = home.open(node.way(&home)).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Kind { .. }))), "{found:?}");
    let mut publisher = home.open(Way { repin: Repin::Asked, ..node.way(&home) }).await.expect("takes its place");
    bury(&home, &node, &mut publisher).await;
    drop(publisher);
    let found = home.open(home.way(&ledger)).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Kind { .. }))), "{found:?}");
    let found = home.open(with(&|chain| chain.genesis = Some(main))).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Chain { .. }))), "{found:?}");
    let found = home.open(with(&|chain| chain.depth = 7)).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Depth { .. }))), "{found:?}");
    let found = home.open(Way { network: Digest([1; 32]), ..node.way(&home) }).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Network { .. }))), "{found:?}");
    std::fs::write(node.cookie(), "me:secret").expect("written");
    let found = home.open(node.way(&home)).await.expect_err("no credentials");
    let said = format!("{found} {found:?}");
    assert!(!found.may_pass() && said.contains("credentials") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn too_little_pays_more_up_to_the_most_and_no_coin_is_said() {
    let Some(node) = Node::start("fees of anchors") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    node.order("fee", json!({"rate": 20_000}));
    quiet(&mut publisher).await;
    let paid = node.fees();
    assert_eq!(paid.len(), 1);
    bury(&home, &node, &mut publisher).await;
    // More than may be paid.
    home.add(vec![receipt(11)]).await;
    node.order("fee", json!({"rate": 60_000}));
    let error = failing(&mut publisher).await;
    assert!(matches!(&error, PublishError::Fee { most: 50, .. }), "{error}");
    node.order("fee", json!({"rate": 1_000}));
    bury(&home, &node, &mut publisher).await;
    // Nothing to pay with.
    node.order("spend", json!({}));
    home.add(vec![receipt(12)]).await;
    let error = failing(&mut publisher).await;
    assert!(matches!(error, PublishError::Funds { .. }), "{error}");
    node.order("fund", json!({}));
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn what_is_passed_over_is_sent_again_and_pays_more() {
    let Some(node) = Node::start("an anchor that is passed over") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    quiet(&mut publisher).await;
    let mut paid = node.fees();
    let first = paid.clone();
    for _block in 0..4 {
        node.order("forget", json!({"count": 1}));
        quiet(&mut publisher).await;
        paid = node.fees();
        assert_eq!(paid.len(), 1, "sent again");
    }
    assert!(paid[0] > first[0], "{paid:?} after {first:?}");
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn an_anchor_whose_coin_went_elsewhere_gets_another() {
    let Some(node) = Node::start("an anchor whose coin is spent") else { return };
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = node.publisher(&home).await;
    quiet(&mut publisher).await;
    node.order("spend", json!({}));
    let error = failing(&mut publisher).await;
    assert!(matches!(error, PublishError::Funds { .. }), "{error}");
    node.order("fund", json!({}));
    bury(&home, &node, &mut publisher).await;
}

#[tokio::test]
async fn a_receipt_that_cannot_be_anchored_holds_up_no_other() {
    let Some(node) = Node::start("receipts that cannot be anchored") else { return };
    let mut rows = vec![receipt(10), receipt_elsewhere(11), receipt(12), receipt(13)];
    rows[0].bundle.truncate(9);
    rows[2].bundle = receipt(14).bundle;
    let home = Sealed::new(rows).await;
    let mut publisher = node.publisher(&home).await;
    quiet(&mut publisher).await;
    node.mine(DEPTH);
    quiet(&mut publisher).await;
    let mut codes = BTreeMap::new();
    for (number, state) in home.states().await.into_iter().enumerate() {
        match state {
            State::Refused { code } => drop(codes.insert(number, code)),
            other => assert_eq!(other.standing(), Standing::Credited),
        }
    }
    let wanted = [(0, "unreadable"), (1, "network"), (2, "unreadable")].map(|(at, code)| (at, code.to_owned()));
    assert_eq!(codes, BTreeMap::from(wanted));
    assert_eq!(node.anchored(&home).await, [1]);
}
