//! Every fuzz target on what was kept for it and on changes of that, without a fuzzer.

#[path = "../../receipts/fuzz/kept.rs"]
mod kept;
#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn nothing_kept_and_no_change_of_it_fails() {
    kept::run(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz")), targets::ALL, 15);
}
