//! Our log, read by others' code: notes by `signed_note`, tiles, checkpoints and proofs by `tlog_tiles`.

use std::cell::RefCell;

use receipts::ledger::{
    rpc::{Call, ProofAt},
    tile::unbundle,
};
use receipts::tlog_proof::TlogProof;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Hash, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree,
    record_hash, tree_hash,
};
use tokio::runtime::Handle;

use crate::world::{World, receipts};

/// Tiles fetched from the ledger's static paths.
struct Fetched<'a> {
    world: &'a World,
    paths: RefCell<Vec<String>>,
}

impl TileReader for Fetched<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let fetch = |tile: &Tile| {
            // That crate's paths have the height of tiles in them, as those of Go's checksum database do.
            let path = tile.path().replacen("tile/8/", "/tile/", 1);
            let answer = tokio::task::block_in_place(|| Handle::current().block_on(self.world.get(&path)));
            assert_eq!((answer.status, answer.content.as_str()), (200, "application/octet-stream"), "{path}");
            self.paths.borrow_mut().push(path);
            Ok(answer.body.to_vec())
        };
        tiles.iter().map(fetch).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

async fn head(world: &World) -> Checkpoint {
    let note = world.get("/checkpoint").await;
    assert_eq!(note.content, "text/plain; charset=utf-8");
    let note = Note::from_bytes(&note.body).expect("a note");
    let verifier = StandardVerifier::new(&world.ledger.vkey).expect("a verifier key");
    let (verified, unverified) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).expect("verifies");
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    Checkpoint::from_bytes(note.text()).expect("a checkpoint")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_readers_follow_the_log_tile_by_tile() {
    let world = World::new(&[]);
    let (first, mut entries) = receipts(0..200);
    world.submit_batch(first).await;
    let old = head(&world).await;
    for start in [200, 400] {
        let (more, more_entries) = receipts(start..start + 200);
        world.submit_batch(more).await;
        entries.extend(more_entries);
    }
    let new = head(&world).await;
    assert_eq!((old.size(), new.size()), (200, 600));
    let fetched = Fetched { world: &world, paths: RefCell::default() };
    let reader = TileHashReader::new(new.size(), *new.hash(), &fetched);
    assert_eq!(tree_hash(new.size(), &reader).expect("tiles"), *new.hash());
    for (entry, index) in entries.iter().zip(0_u64..).filter(|(_, index)| index % 37 == 0 || *index > 597) {
        let proof = prove_record(new.size(), index, &reader).expect("tiles");
        let leaf = record_hash(&entry.to_bytes());
        check_record(&proof, new.size(), *new.hash(), index, leaf).expect("is in the tree");
        // The proof that the ledger gives is the one that the tiles give.
        let given: receipts::ledger::rpc::Proof =
            world.call(Call::Proof(ProofAt { receipt: entry.receipt, height: None })).await.expect("a proof");
        let given = TlogProof::parse(&given.proof).expect("a tlog-proof");
        assert_eq!(given.hashes.iter().map(|hash| Hash(hash.0)).collect::<Vec<_>>(), proof);
    }
    let proof = prove_tree(new.size(), old.size(), &reader).expect("tiles");
    check_tree(&proof, new.size(), *new.hash(), old.size(), *old.hash()).expect("the old head is a beginning");
    let mut paths = fetched.paths.into_inner();
    paths.sort();
    paths.dedup();
    assert_eq!(paths, ["/tile/0/000", "/tile/0/001", "/tile/0/002.p/88", "/tile/1/000.p/2"]);
}

#[tokio::test]
async fn entry_bundles_hold_the_leaves_of_the_tiles() {
    let world = World::new(&[]);
    let (submissions, entries) = receipts(0..256);
    world.submit_batch(submissions).await;
    world.submit_batch(receipts(256..260).0).await;
    let full = world.get("/tile/entries/000").await;
    assert_eq!((full.status, full.content.as_str()), (200, "application/octet-stream"));
    let bundle = unbundle(&full.body).expect("a bundle");
    let wanted: Vec<Vec<u8>> = entries.iter().map(receipts::ledger::entry::LogEntry::to_bytes).collect();
    assert_eq!(bundle, wanted);
    let leaves: Vec<u8> = bundle.iter().flat_map(|entry| record_hash(entry).0).collect();
    assert_eq!(world.get("/tile/0/000").await.body, leaves);
    assert_eq!(unbundle(&world.get("/tile/entries/001.p/4").await.body).expect("a bundle").len(), 4);
    for nowhere in [
        "/tile/entries/001.p/5",
        "/tile/entries/001",
        "/tile/entries/002.p/1",
        "/tile/0/001.p/5",
        "/tile/1/000.p/2",
        "/tile/8/000.p/1",
        "/tile/0/0",
        "/tile/0/000.p/256",
        "/block/999",
        "/block/x",
        "/elsewhere",
        "/",
    ] {
        assert_eq!(world.get(nowhere).await.status, 404, "{nowhere}");
    }
}
