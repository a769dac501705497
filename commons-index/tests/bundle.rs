//! Bundles between homes and databases: what comes out is what went in, later ones add to it, and nothing of a bundle that is
//! not whole and signed is ever there.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Read, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use common::{Commons, Database, bag::Bag, paths, remove};
use common_ground::port::index::{By, Index, Search};
use commons_index::{
    Auditor, BundleError, Caller, Collection, Exported, Exporter, Imported, Importer, Limits, Progress, SearchedIn,
    Vectored, collections,
};
use receipts::{Digest, checkpoint::Checkpoint, keys::SigningKey, note};

/// A node: a key, and with it signed heads.
struct Node(SigningKey);

impl Node {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_seed(&[seed; 32]))
    }

    fn vkey(&self) -> String {
        note::vkey(&self.0.public())
    }

    fn name(&self) -> String {
        note::log_name(&self.0.public())
    }

    fn sign(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        let head = std::str::from_utf8(body).ok().and_then(Checkpoint::parse);
        head.map(|head| head.sign(&self.0).into_bytes()).ok_or_else(|| io::Error::other("no head"))
    }

    async fn ingest(&self, index: &mut Collection) {
        let mut next = 0;
        let mut entropy = move |salt: &mut [u8]| -> io::Result<()> {
            next = u8::wrapping_add(next, 1);
            salt.fill(next);
            Ok(())
        };
        let mut sign = |body: &[u8]| self.sign(body);
        let caller =
            Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut |_at| {} };
        index.ingest(caller).await.expect("ingested");
    }

    async fn open(&self, commons: &Commons) -> Collection {
        let (home, folder) = (&commons.home, &commons.folder);
        let opened = match &commons.postgres {
            None => Collection::open(home, folder, &self.name(), Limits::default()).await,
            Some((server, _)) => Collection::open_in(server, home, folder, &self.vkey(), Limits::default()).await,
        };
        opened.expect("opens")
    }

    async fn export(&self, index: &Collection) -> (Vec<u8>, Exported) {
        let out = Shared::default();
        let vkey = self.vkey();
        let mut sign = |body: &[u8]| self.sign(body);
        let exporter = Exporter { by: &vkey, sign: &mut sign, progress: &mut |_at| {} };
        let done = index.export(Box::new(out.clone()), exporter).await.expect("exported");
        let bytes = out.0.lock().expect("alone").clone();
        (bytes, done)
    }
}

/// A file in memory.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("alone").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ready() -> Vectored {
    Vectored::Ready { model: "bag".to_owned(), searched: SearchedIn::Home }
}

/// A head under the key that it is said to be under.
fn open(vkey: &str, head: &str) -> Result<Checkpoint, String> {
    let (name, key) = note::parse_vkey(vkey).ok_or("no key")?;
    if name != note::log_name(&key) {
        return Err("another's name".to_owned());
    }
    Checkpoint::open(head, &key).map_err(|error| error.to_string())
}

const READER: &str = "ii-0000000000000000";

/// Into an empty home, or a database.
async fn import_as(
    node: &str,
    into: &Commons,
    source: Box<dyn Read + Send>,
    keeper: Option<&str>,
) -> Result<Imported, BundleError> {
    let importer = Importer { keeper, open: &open, progress: &mut |_at| {} };
    match &into.postgres {
        None => Collection::import(&into.home, node, source, importer).await,
        Some((server, _)) => Collection::import_in(server, &into.home, source, importer).await,
    }
}

async fn import(into: &Commons, bundle: &[u8]) -> Result<Imported, BundleError> {
    import_as(READER, into, Box::new(Cursor::new(bundle.to_vec())), None).await
}

async fn opened(into: &Commons, name: &str) -> Collection {
    let opened = match &into.postgres {
        None => Collection::open_collection(&into.home, name, READER).await,
        Some((server, _)) => Collection::open_collection_in(server, &into.home, name).await,
    };
    opened.expect("opens")
}

/// How many collections there are.
async fn count(into: &Commons) -> usize {
    match &into.postgres {
        None => collections(&into.home).expect("listed").len(),
        Some((server, _)) => server.collections().await.expect("listed").len(),
    }
}

/// Three revisions: documents come, change and go; a page's text is not its file, a text is there twice, one is long.
async fn filled(node: &Node, commons: &Commons) -> Collection {
    let long = "Ein langer Satz über Äpfel, der oft dasteht. ".repeat(4_000);
    for (path, text) in [
        ("a.md", "# Alpha\n\nSome words of alpha. More of them."),
        ("copy.md", "# Alpha\n\nSome words of alpha. More of them."),
        ("long.txt", long.as_str()),
        ("rows.jsonl", "{\"id\":\"1\",\"text\":\"A first record.\"}\n{\"id\":\"2\",\"text\":\"A second.\"}\n"),
    ] {
        commons.write(path, text.as_bytes());
    }
    let mut index = node.open(commons).await;
    node.ingest(&mut index).await;
    commons.write("a.md", b"# Alpha\n\n## Part\n\nOther words.");
    commons.write("page.html", b"<title>Page</title><p>Words of a page.</p>");
    node.ingest(&mut index).await;
    remove(&commons.folder.join("long.txt"));
    node.ingest(&mut index).await;
    index.use_embedder(Bag::new("bag")).await.expect("a model");
    index.embed(&mut |_at| {}).await.expect("embedded");
    index
}

/// A home, and a database of its own where the tests have a server.
async fn places() -> Vec<Commons> {
    let mut places = vec![Commons::new(&[])];
    if let Some(database) = Database::own().await {
        places.push(Commons::within(&[], database).await);
    }
    places
}

async fn faults(index: &Collection) -> Vec<String> {
    let vkey = index.kept().map(|kept| kept.vkey.clone()).expect("a keeper");
    let open = |head: &str| open(&vkey, head);
    let audit = index.audit(Auditor { open: &open, progress: &mut |_at| {} }).await.expect("audited");
    audit.faults.iter().map(ToString::to_string).collect()
}

/// All that a reader can see.
async fn seen(index: &Collection) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let documents = index.documents().await.expect("documents").into_iter().map(|mut one| {
        one.id = 0;
        one
    });
    seen.insert("documents".to_owned(), format!("{:?}", documents.collect::<Vec<_>>()));
    seen.insert("revisions".to_owned(), format!("{:?}", index.revisions().await.expect("revisions")));
    seen.insert("corpus".to_owned(), format!("{:?}", index.corpus().await.expect("corpus")));
    seen.insert("origin".to_owned(), index.origin());
    for query in ["words of alpha", "a page", "second record", "Äpfel"] {
        for by in [By::Words, By::Best] {
            let search = Search { by, ..Search::new(query, 10) };
            let hits = index.search(&search).await.expect("searched");
            for hit in &hits {
                assert_eq!(index.read(&hit.passage.id).await.expect("read"), hit.passage);
            }
            seen.insert(format!("{query} {by:?}"), format!("{hits:?}"));
        }
    }
    seen
}

#[tokio::test]
async fn what_comes_out_is_what_went_in_from_files_and_databases_into_both() {
    let node = Node::new(1);
    for from in places().await {
        let index = filled(&node, &from).await;
        let (bundle, exported) = node.export(&index).await;
        assert_eq!((exported.revisions, exported.documents, exported.gone), (3, 7, 2));
        for into in places().await {
            let done = import(&into, &bundle).await.expect("imported");
            assert_eq!((done.revisions, done.documents, done.origin.clone()), (3, 5, index.origin()));
            assert_eq!((done.keeper.clone(), done.by.clone()), (node.vkey(), node.vkey()));
            let mut copy = opened(&into, &done.collection).await;
            copy.use_embedder(Bag::new("bag")).await.expect("a model");
            assert_eq!(copy.vectored(), ready(), "its vectors came with it");
            assert_eq!(seen(&copy).await, seen(&index).await);
            assert_eq!(faults(&copy).await, [""; 0]);
            // Of another home's copy, its keeper is still the keeper; what is gone is still read where it was cited.
            let other = Node::new(2);
            let (again, _) = other.export(&copy).await;
            let third = Commons::new(&[]);
            let twice = import(&third, &again).await.expect("imported");
            assert_eq!((twice.keeper, twice.by, twice.origin), (node.vkey(), other.vkey(), index.origin()));
        }
    }
}

#[tokio::test]
async fn a_later_bundle_adds_what_is_new_and_another_history_is_refused() {
    let node = Node::new(1);
    let from = Commons::new(&[("a.md", "Some words.")]);
    let mut index = node.open(&from).await;
    node.ingest(&mut index).await;
    let (first, _) = node.export(&index).await;
    from.write("b.md", b"Words that came later.");
    node.ingest(&mut index).await;
    let (second, _) = node.export(&index).await;
    index.use_embedder(Bag::new("bag")).await.expect("a model");
    index.embed(&mut |_at| {}).await.expect("embedded");
    let (third, _) = node.export(&index).await;
    // The same folder and key, as from a backup that was gone on with.
    let twin = Commons { home: from.root.path().join("other"), ..Commons::new(&[]) };
    fs::create_dir_all(&twin.home).expect("a home");
    from.write("b.md", b"Quite other words.");
    let mut forked = Collection::open(&twin.home, &from.folder, &node.name(), Limits::default()).await.expect("opens");
    node.ingest(&mut forked).await;
    let (fork, _) = node.export(&forked).await;
    for into in places().await {
        let name = import(&into, &first).await.expect("imported").collection;
        let again = import(&into, &first).await.expect("known");
        assert_eq!((again.revisions, again.collection.as_str()), (0, name.as_str()));
        let before = seen(&opened(&into, &name).await).await;
        let refused = import(&into, &fork).await.expect_err("another history");
        assert!(matches!(refused, BundleError::OtherHistory { .. }), "{refused}");
        assert_eq!(seen(&opened(&into, &name).await).await, before);
        assert_eq!(import(&into, &second).await.expect("imported").revisions, 1);
        let now = opened(&into, &name).await;
        assert_eq!(paths(&now, "came later").await, ["b.md"]);
        assert_eq!(faults(&now).await, [""; 0]);
        // An earlier state takes nothing away, and vectors that were made since come along.
        assert_eq!(import(&into, &first).await.expect("known").revisions, 0);
        let done = import(&into, &third).await.expect("imported");
        assert_eq!((done.revisions, done.vectors), (0, 2));
        let mut now = opened(&into, &name).await;
        now.use_embedder(Bag::new("bag")).await.expect("a model");
        assert_eq!(now.vectored(), ready());
        assert_eq!(count(&into).await, 1);
    }
}

fn lines(bundle: &[u8]) -> Vec<String> {
    let plain = zstd::decode_all(bundle).expect("a frame");
    String::from_utf8(plain).expect("text").lines().map(str::to_owned).collect()
}

fn packed(lines: &[String]) -> Vec<u8> {
    zstd::encode_all(lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes(), 1).expect("packed")
}

/// Refused, with nothing of it there.
async fn refused(into: &Commons, bundle: &[u8], what: &str) -> BundleError {
    let error = import(into, bundle).await.expect_err(what);
    assert_eq!(count(into).await, 0, "{what}: {error}");
    let left = fs::read_dir(into.home.join("commons")).map_or(0, Iterator::count);
    assert!(into.postgres.is_some() || left == 0, "{what}: {error}");
    error
}

#[tokio::test]
async fn a_bundle_that_was_changed_anywhere_is_refused_and_nothing_of_it_is_there() {
    let node = Node::new(1);
    let from = Commons::new(&[]);
    let (bundle, _) = node.export(&filled(&node, &from).await).await;
    let whole = lines(&bundle);
    let into = Commons::new(&[]);
    let mut kinds = BTreeMap::new();
    for (place, line) in whole.iter().enumerate() {
        let kind = line.split('"').nth(1).expect("a kind").to_owned();
        // Of lines of a kind some are enough.
        let met: &mut usize = kinds.entry(kind.clone()).or_default();
        *met += 1;
        if *met > 3 {
            continue;
        }
        let without: Vec<String> = [&whole[..place], &whole[place + 1..]].concat();
        refused(&into, &packed(&without), &format!("without line {place}, {kind}")).await;
        let mut twice = whole.clone();
        twice.insert(place, line.clone());
        refused(&into, &packed(&twice), &format!("line {place}, {kind}, twice")).await;
        for at in [line.len() / 3, line.len() / 2, line.len() - 4] {
            let mut bytes = line.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let mut lines = whole.clone();
            lines[place] = changed;
            refused(&into, &packed(&lines), &format!("line {place}, {kind}, changed at {at}")).await;
        }
    }
    let met: Vec<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(met, ["bundle", "document", "entry", "gone", "passage", "revision", "signed", "text"]);
    for cut in (0..bundle.len()).step_by(bundle.len() / 40 + 1) {
        refused(&into, &bundle[..cut], &format!("cut at {cut}")).await;
    }
    refused(&into, &[bundle.as_slice(), &bundle].concat(), "twice").await;
    assert_eq!(import(&into, &packed(&whole)).await.expect("whole").revisions, 3);
}

/// A bundle whose lines were changed, signed anew by whoever changed them.
fn signed_anew(lines: &[String], by: &Node) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.pop();
    let mut tree = receipts::merkle::Tree::new();
    for line in &lines {
        tree.push(receipts::merkle::leaf_hash(line.as_bytes()));
    }
    let origin = format!("{}/bundle/{}", by.name(), tree.root());
    let note = Checkpoint { origin, size: tree.size(), root: tree.root() }.sign(&by.0);
    lines.push(serde_json::json!({ "signed": note }).to_string());
    packed(&lines)
}

#[tokio::test]
async fn whoever_signs_a_bundle_can_change_neither_history_nor_place_of_what_it_holds() {
    let (node, other) = (Node::new(1), Node::new(2));
    let from = Commons::new(&[]);
    let index = filled(&node, &from).await;
    let (bundle, _) = node.export(&index).await;
    let whole: Vec<String> = lines(&bundle).iter().map(|line| line.replace(&node.vkey(), "KEY")).collect();
    // Signed by somebody else: fine as it is.
    let theirs = |change: &dyn Fn(&str) -> String| {
        let change = |line: &String| {
            let line = change(line);
            let line = line.replacen("\"keeper\":\"KEY\"", &format!("\"keeper\":\"{}\"", node.vkey()), 1);
            line.replacen("\"by\":\"KEY\"", &format!("\"by\":\"{}\"", other.vkey()), 1)
        };
        signed_anew(&whole.iter().map(change).collect::<Vec<_>>(), &other)
    };
    let same = |line: &str| line.to_owned();
    for into in places().await {
        for (what, from, to) in [
            ("an entry", "\"op\":\"add\"", "\"op\":\"replace\""),
            ("an entry's path", "{\"entry\":{\"op\":\"remove\"", "{\"entry\":{\"op\":\"add\""),
            ("a document's path", "{\"document\":{\"path\":\"page.html\"", "{\"document\":{\"path\":\"pages.html\""),
            ("a text", "Words of a page", "Words of a rage"),
            (
                "a passage beyond its text",
                "{\"passage\":{\"start\":0,\"stop\":",
                "{\"passage\":{\"start\":0,\"stop\":9",
            ),
            (
                "a sentence beyond its passage",
                "\"sentences\":[{\"start\":0,\"end\":",
                "\"sentences\":[{\"start\":0,\"end\":7",
            ),
            ("a heading of two lines", "\"headings\":[\"", "\"headings\":[\"x\\ny"),
            ("a vector of another length", "\"dimensions\":32", "\"dimensions\":33"),
            ("a vector of no space", "\"vectors\":[[0,", "\"vectors\":[[7,"),
            ("a vector of no numbers", "\"vectors\":[[0,\"", "\"vectors\":[[0,\"/3//"),
            ("its keeper", "\"keeper\":\"KEY\"", &format!("\"keeper\":\"{}\"", other.vkey())),
            ("its origin", "\"origin\":\"ii-", "\"origin\":\"iii-"),
            ("another format", "ii-commons-bundle/1", "ii-commons-bundle/2"),
            ("a number of revisions", "\"revisions\":3", "\"revisions\":2"),
            ("a path that ends", "{\"gone\":[\"", "{\"gone\":[\"x"),
            ("something unknown", "{\"entry\":{\"op\"", "{\"entry\":{\"no\":1,\"op\""),
        ] {
            let changed = theirs(&|line: &str| line.replacen(from, to, 1));
            assert!(changed != theirs(&same), "{what} is in it");
            refused(&into, &changed, what).await;
        }
        let digest = |line: &str| {
            let mut one: serde_json::Value = serde_json::from_str(line).expect("JSON");
            match one["document"]["path"].as_str() {
                Some("page.html") => one["document"]["document"] = Digest::of(b"x").to_string().into(),
                Some(_) | None => return line.to_owned(),
            }
            one.to_string()
        };
        let error = refused(&into, &theirs(&digest), "another document's digest").await;
        assert!(error.to_string().contains("page.html"), "{error}");
        let wrong = import_as(READER, &into, Box::new(Cursor::new(theirs(&same))), Some(&other.vkey())).await;
        assert!(matches!(wrong, Err(BundleError::OtherKeeper { .. })), "{wrong:?}");
        assert_eq!(count(&into).await, 0);
        let right = import_as(READER, &into, Box::new(Cursor::new(theirs(&same))), Some(&node.vkey())).await;
        assert_eq!(right.expect("imported").by, other.vkey());
    }
}

#[tokio::test]
async fn a_line_without_end_is_refused_in_bounded_memory_and_a_source_that_fails_leaves_nothing() {
    let into = Commons::new(&[]);
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    for _ in 0..100 {
        bomb.write_all(&vec![b'a'; 4 << 20]).expect("written");
    }
    let bomb = bomb.finish().expect("ended");
    assert!(bomb.len() < 1 << 20);
    refused(&into, &bomb, "400 MB of one line").await;
    let node = Node::new(1);
    let (bundle, _) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    /// Fails after what it has.
    struct Broken(Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::other("the disk is gone")),
                some => Ok(some),
            }
        }
    }
    let broken = Broken(Cursor::new(bundle[..bundle.len() - 40].to_vec()));
    let error = import_as(READER, &into, Box::new(broken), None).await.expect_err("broken");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!(count(&into).await, 0);
}

#[tokio::test]
async fn the_line_that_is_wrong_is_named() {
    let node = Node::new(1);
    let (bundle, _) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    let (whole, into) = (lines(&bundle), Commons::new(&[]));
    let mut tried = 0;
    for (from, to) in [
        ("{\"entry\":{\"op\":\"add\"", "{\"entry\":{\"op\":\"lend\""),
        ("{\"passage\":{\"start\":0,", "{\"passage\":{\"start\":\"x\","),
    ] {
        for (place, _line) in whole.iter().enumerate().filter(|(_, line)| line.starts_with(from)) {
            let mut changed = whole.clone();
            changed[place] = changed[place].replacen(from, to, 1);
            let error = refused(&into, &signed_anew(&changed, &node), to).await;
            let BundleError::Malformed { line, .. } = error else { panic!("{error:?}") };
            assert_eq!(line, place as u64 + 1, "{to}");
            tried += 1;
        }
    }
    assert!(tried > 6, "{tried}");
}

/// Bytes that come as they are asked for, `whole` times the same.
struct Again {
    line: &'static [u8],
    left: usize,
}

impl Read for Again {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = (into.len() / self.line.len()).min(self.left);
        into.chunks_exact_mut(self.line.len()).take(most).for_each(|part| part.copy_from_slice(self.line));
        self.left -= most;
        Ok(most * self.line.len())
    }
}

#[tokio::test]
async fn small_lines_without_end_and_lines_that_do_not_pack_are_refused() {
    let node = Node::new(1);
    let (bundle, _) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    let (whole, into) = (lines(&bundle), Commons::new(&[]));
    // 600 MB of lines that are no fault by themselves, in a few kilobytes.
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    writeln!(bomb, "{}", whole[0]).expect("written");
    io::copy(&mut Again { line: b"{\"gone\":[]}\n", left: 50_000_000 }, &mut bomb).expect("written");
    let bomb = bomb.finish().expect("ended");
    let error = refused(&into, &bomb, "a bomb of lines").await;
    assert!(matches!(&error, BundleError::Malformed { cause, .. } if cause.contains("200 times")), "{error:?}");
    // Noise packs no better than in two: 17 MiB of it are one line.
    let mut state = 1_u64;
    let mut noise = String::with_capacity(17 << 20);
    while noise.len() < 17 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push_str(&format!("{:016x}", state));
    }
    let mut long = whole.clone();
    long[2] = serde_json::json!({ "text": noise }).to_string();
    let error = refused(&into, &signed_anew(&long, &node), "a long line").await;
    assert!(matches!(&error, BundleError::Malformed { line: 3, cause } if cause.contains("longer")), "{error:?}");
}

#[tokio::test]
async fn one_that_fails_takes_nothing_from_one_that_comes_with_it() {
    let node = Node::new(1);
    let (bundle, _) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    let whole = lines(&bundle);
    let cut = packed(&whole[..whole.len() - 1]);
    for _turn in 0..8 {
        for into in places().await {
            let importing = |bundle: &[u8]| {
                let bundle = bundle.to_vec();
                let into = &into;
                async move { import(into, &bundle).await }
            };
            let (bad, good, worse) = tokio::join!(importing(&cut), importing(&bundle), importing(&cut));
            bad.expect_err("cut");
            worse.expect_err("cut");
            let good = good.expect("imported");
            assert_eq!(good.revisions, 3);
            assert_eq!(count(&into).await, 1);
            let index = opened(&into, &good.collection).await;
            assert!(faults(&index).await.is_empty());
        }
    }
}

#[tokio::test]
async fn two_that_take_the_same_bundle_in_at_once_have_it_once() {
    let node = Node::new(1);
    let (bundle, _) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    for into in places().await {
        let (one, two) = tokio::join!(import(&into, &bundle), import(&into, &bundle));
        let mut new = [one.expect("imported").revisions, two.expect("imported").revisions];
        new.sort_unstable();
        assert_eq!(new, [0, 3]);
        assert_eq!(count(&into).await, 1);
    }
}

#[tokio::test]
async fn each_document_is_told_of_once() {
    let node = Node::new(1);
    let (bundle, exported) = node.export(&filled(&node, &Commons::new(&[])).await).await;
    let into = Commons::new(&[]);
    let mut told = Vec::new();
    let mut progress = |at: Progress| told.push((at.done, at.total));
    let importer = Importer { keeper: None, open: &open, progress: &mut progress };
    let done = Collection::import(&into.home, READER, Box::new(Cursor::new(bundle)), importer).await.expect("imported");
    // Seven documents in all revisions, five of the latest; more than was said is not more than all.
    assert_eq!(told.iter().map(|(done, _)| *done).collect::<Vec<_>>(), (1..=exported.documents).collect::<Vec<_>>());
    assert!(told.iter().all(|(at, total)| at <= total && *total >= done.documents), "{told:?}");
}

#[tokio::test]
async fn at_home_it_has_its_own_name_and_is_gone_on_with() {
    let node = Node::new(1);
    let from = Commons::new(&[("a.md", "Some words.")]);
    let mut index = node.open(&from).await;
    node.ingest(&mut index).await;
    let (bundle, _) = node.export(&index).await;
    // The home is lost; the folder and the key are not.
    let home = Commons { folder: from.folder.clone(), ..Commons::new(&[]) };
    let done = import_as(&node.name(), &home, Box::new(Cursor::new(bundle)), None).await.expect("imported");
    assert_eq!(done.collection, index.collection());
    from.write("b.md", b"More words.");
    let mut back = node.open(&home).await;
    node.ingest(&mut back).await;
    assert_eq!(back.revisions().await.expect("revisions").len(), 2);
    assert_eq!(back.origin(), index.origin());
    assert!(back.kept().is_none(), "it is its own");
    assert!(Path::new(&home.home).join("commons").join(done.collection).exists());
}
