//! Contents of any kind: hits lie in the content, in order, bounded, and cuts between pieces change none.
#![no_main]

use std::sync::LazyLock;

use guardian::scan::{For, MOST_HITS, Scanner};
use libfuzzer_sys::fuzz_target;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new().expect("automata"));

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, content)) = bytes.split_first() else { return };
    for what in [For::Leaks, For::Orders] {
        let whole = SCANNER.whole(what, content);
        assert!(whole.len() <= MOST_HITS && whole.is_sorted());
        assert!(whole.iter().all(|hit| hit.at < content.len() as u64));
        let mut pieces = SCANNER.begin(what);
        for piece in content.chunks(usize::from(*cut).max(1)) {
            pieces.feed(piece);
        }
        assert_eq!(pieces.finish(), whole, "{what:?} in pieces of {cut}");
    }
});
