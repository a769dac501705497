//! Killing the program at every append, and everything else that can cut a run short.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Place, SIX_MODULES, code, json, stderr, stdout};

#[test]
fn child() {
    common::child();
}

/// The report of an uninterrupted run.
fn undisturbed() -> String {
    let place = Place::new();
    let output = place.ii(&place.run_args(SIX_MODULES));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    whole(&place, &run);
    stdout(&output)
}

/// What must hold of every run that came to its end, whatever happened on the way.
fn whole(place: &Place, run: &str) {
    let events = place.events(run);
    let mut finished: BTreeMap<String, u32> = BTreeMap::new();
    let mut ended: BTreeMap<String, u32> = BTreeMap::new();
    let mut modules = BTreeSet::new();
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(event["seq"], seq);
        match event["type"].as_str().expect("a type") {
            "module.proposed" => drop(modules.insert(event["module"].to_string())),
            "step.finished" => {
                let mut owner = event["owner"].clone();
                owner.as_object_mut().expect("an object").remove("epoch");
                *finished.entry(format!("{owner} {}", event["step"])).or_default() += 1;
            }
            "module.accepted" | "attempt.ended" => {
                *ended.entry(format!("{} {}", event["module"], event["attempt"])).or_default() += 1;
            }
            _other => {}
        }
    }
    assert!(modules.len() >= 6, "{modules:?}");
    assert!(finished.values().all(|count| *count == 1), "a step was done twice: {finished:?}");
    assert!(ended.len() >= modules.len() && ended.values().all(|count| *count == 1), "{ended:?}");
    let verified = place.ii(&["verify", run, "--json"]);
    assert_eq!(code(&verified), 0, "{}", stdout(&verified));
    let receipts = json(&verified)["receipts"].as_array().expect("receipts").clone();
    assert_eq!(receipts.len(), modules.len());
    let nullifiers: BTreeSet<String> = receipts.iter().map(|one| one["nullifier"].to_string()).collect();
    assert_eq!(nullifiers.len(), modules.len(), "each nullifier once");
    let doctor = place.ii(&["doctor"]);
    assert_eq!(code(&doctor), 0, "{}", stdout(&doctor));
}

/// Goes on until the run is closed and compares the report.
fn resumed(place: &Place, run: &str, expected: &str) {
    let output = place.ii(&["runs", "resume", run]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), expected);
    whole(place, run);
}

/// Runs with a fault at each append in turn until the run gets by without meeting it; gives how many there were.
fn at_every_append(fault: &str, check: impl Fn(&Place, &std::process::Output, u32)) -> u32 {
    for number in 1..500 {
        let place = Place::new();
        let arguments = place.run_args(SIX_MODULES);
        let output = place.child(&format!("{fault}={number}"), &arguments).output().expect("a child");
        if output.status.success() && fault != "error-but-done" {
            return number - 1;
        }
        check(&place, &output, number);
        if fault == "error-but-done" && number > 40 {
            return number;
        }
    }
    panic!("the run never ends");
}

#[test]
fn killed_after_every_append_it_goes_on_to_the_same_report() {
    let expected = undisturbed();
    let appends = at_every_append("kill-after", |place, output, _| {
        assert_eq!(output.status.code(), None, "killed: {}", stderr(output));
        resumed(place, &place.only_run().expect("a run"), &expected);
    });
    assert!(appends >= 8, "{appends} appends");
}

#[test]
fn killed_before_every_append_it_goes_on_to_the_same_report() {
    let expected = undisturbed();
    at_every_append("kill-before", |place, output, number| {
        assert_eq!(output.status.code(), None, "killed: {}", stderr(output));
        let run = place.only_run().expect("a run");
        if number == 1 {
            let output = place.ii(&["runs", "resume", &run]);
            assert_eq!(code(&output), 2);
            assert!(stderr(&output).contains("nothing is recorded"), "{}", stderr(&output));
        } else {
            resumed(place, &run, &expected);
        }
    });
}

#[test]
fn an_append_that_is_done_while_its_caller_sees_an_error_changes_nothing() {
    let expected = undisturbed();
    at_every_append("error-but-done", |place, output, _| {
        assert_eq!(code(output), 0, "{}", stderr(output));
        let report = place.ii(&["runs", "resume", &place.only_run().expect("a run")]);
        assert_eq!(stdout(&report), expected);
        whole(place, &place.only_run().expect("a run"));
    });
}

#[test]
fn a_disk_that_fills_at_any_append_is_exit_8_and_nothing_is_lost() {
    let expected = undisturbed();
    at_every_append("full", |place, output, number| {
        assert_eq!(code(output), 8, "{}", stderr(output));
        assert!(stderr(output).contains("no space left"), "{}", stderr(output));
        if number > 1 {
            resumed(place, &place.only_run().expect("a run"), &expected);
        }
    });
}

#[test]
fn a_clock_an_hour_back_makes_no_receipt_end_before_it_began() {
    let expected = undisturbed();
    for number in [2, 5, 8] {
        let place = Place::new();
        let arguments = place.run_args(SIX_MODULES);
        let output = place.child(&format!("hour-ahead-kill-after={number}"), &arguments).output().expect("a child");
        assert_eq!(output.status.code(), None);
        resumed(&place, &place.only_run().expect("a run"), &expected);
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Waits for something that another process does; two minutes are for ever.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stopped_worker_that_wakes_past_its_lease_writes_nothing_more() {
    let expected = undisturbed();
    let place = Place::new();
    let arguments = place.run_args(SIX_MODULES);
    let child = place
        .child("slow=20000;lease=1000", &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    wait_until("the plan", || place.only_run().is_some_and(|run| place.events(&run).len() > 10));
    signal("-STOP", child.id());
    let run = place.only_run().expect("a run");
    wait_until("the lease to run out", || {
        let went = code(&place.ii(&["runs", "resume", &run]));
        if went == 8 {
            // Stopped in the midst of a write, it holds the journal's lock.
            signal("-CONT", child.id());
            std::thread::sleep(Duration::from_millis(7));
            signal("-STOP", child.id());
        }
        went == 0
    });
    let facts = place.events(&run).len();
    signal("-CONT", child.id());
    let output = child.wait_with_output().expect("the child ends");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("taken over"), "{}", stderr(&output));
    assert_eq!(place.events(&run).len(), facts, "the woken worker wrote");
    resumed(&place, &run, &expected);
}

#[test]
fn an_interrupt_pauses_and_resume_goes_on() {
    let expected = undisturbed();
    let place = Place::new();
    let arguments = place.run_args(SIX_MODULES);
    let child =
        place.child("slow=20000", &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    wait_until("the plan", || place.only_run().is_some_and(|run| place.events(&run).len() > 10));
    signal("-INT", child.id());
    let output = child.wait_with_output().expect("the child ends");
    assert_eq!(code(&output), 130, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    assert!(stderr(&output).contains(&format!("ii runs resume {run}")), "{}", stderr(&output));
    assert_eq!(place.events(&run).last().expect("events")["type"], "run.paused");
    resumed(&place, &run, &expected);
}

#[test]
fn another_terminal_cancels_a_run_at_work() {
    let place = Place::new();
    let arguments = place.run_args(SIX_MODULES);
    let child =
        place.child("slow=20000", &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    wait_until("the plan", || place.only_run().is_some_and(|run| place.events(&run).len() > 10));
    let run = place.only_run().expect("a run");
    let held = place.ii(&["runs", "resume", &run]);
    assert_eq!(code(&held), 1, "{}", stderr(&held));
    assert!(stderr(&held).contains("another program"), "{}", stderr(&held));
    let cancelled = place.ii(&["runs", "cancel", &run]);
    assert_eq!(code(&cancelled), 0, "{}", stderr(&cancelled));
    let output = child.wait_with_output().expect("the child ends");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!(place.events(&run).last().expect("events")["outcome"], "cancelled");
}
