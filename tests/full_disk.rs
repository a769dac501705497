//! The program where storage is full, and then no longer: what it says, with which code, and that nothing was lost.
#![cfg(target_os = "linux")]

mod common;

use std::fmt::Write as _;

use common::{
    Place,
    small_disk::{complaints, on_small_disk},
    stdout,
};

#[test]
fn a_collection_that_finds_no_room_stays_as_it_was_and_goes_on_where_there_is_some() {
    let place = Place::new();
    for file in 0..40_u32 {
        // Words that differ, so that they do not compress to nothing.
        let mut text = String::new();
        for n in 0..20_000_u32 {
            let word = (n ^ (file << 20)).wrapping_mul(2_654_435_761);
            write!(text, "{word:x}{}", if n % 12 == 11 { ".\n" } else { " " }).expect("written");
        }
        std::fs::write(place.docs().join(format!("{file}.txt")), text).expect("written");
    }
    let script = r#"
        mkdir "$home/../small"; cp "$docs/rules.md" "$home/../small/"
        says 0 "$ii" commons add "$home/../small"
        says 8 "$ii" commons add "$docs"
        # What others search stands, as far as there is room to open it.
        "$ii" commons search "pause a run" --docs "$home/../small" 2>&1; came=$?
        case $came in 0|8) ;; *) echo "exit code $came"; exit 99 ;; esac
        mount -o remount,size=400m "$home"
        says 0 "$ii" commons add "$docs"
        says 0 "$ii" commons verify
        says 0 "$ii" commons search "keys kept" --docs "$docs"
    "#;
    let Some(ran) = on_small_disk("a full disk while documents are taken in", &place, 6, &[], script) else { return };
    let said = complaints(&ran);
    let full = said.iter().filter(|line| line.contains("no space left")).count();
    assert!(full > 0 && full == said.len(), "{}", stdout(&ran));
}

#[test]
fn a_run_that_finds_no_room_goes_on_where_there_is_some() {
    let place = Place::new();
    // What is left for the run itself grows from nothing, so that it ends at another place each time.
    let script = r#"
        says 0 "$ii" commons add "$docs"
        for left in 0 40 160 320 640; do
          cat /dev/zero >"$home/filler" 2>/dev/null
          truncate -s -${left}K "$home/filler"
          echo "> left $left"
          "$ii" run "Who may pause a run? Where are the keys kept?" --docs "$docs" 2>&1; came=$?
          case $came in 0|8) echo "came $came" ;; *) echo "exit code $came"; exit 99 ;; esac
          rm "$home/filler"
        done
        for run in $("$ii" runs list --json | grep -o '"id": *"[^"]*"' | cut -d'"' -f4); do
          echo "run $run"; says 0 "$ii" runs resume "$run"; says 0 "$ii" verify "$run"
        done
    "#;
    let Some(ran) = on_small_disk("a full disk while a run goes on", &place, 8, &[], script) else { return };
    let text = stdout(&ran);
    assert!(text.contains("came 8") && text.contains("came 0") && text.contains("run 01"), "{text}");
    assert!(complaints(&ran).iter().all(|line| line.contains("no space left")), "{text}");
}
