//! A disk that is soon full, a real one: a small `tmpfs` in a mount namespace of the test's own.

use std::{
    path::Path,
    process::{Command, Output},
};

use super::{Place, engine::skipped, stdout};

/// Runs a script with the home on a disk of so many megabytes; none where no namespace may be made. In it `$ii` is the program,
/// `$home` its home, and `says CODE COMMAND…` runs a command and ends the script where its exit code is another.
pub fn on_small_disk(
    what: &str,
    place: &Place,
    megabytes: u32,
    environment: &[(&str, &str)],
    script: &str,
) -> Option<Output> {
    let may = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        skipped(what, "no mount namespace may be made here");
        return None;
    }
    std::fs::create_dir_all(place.home()).expect("made");
    let whole = format!(
        "set -u\n\
         says() {{ wanted=$1; shift; echo \"> $*\"; \"$@\" 2>&1; came=$?; \
         [ $came = $wanted ] || {{ echo \"exit code $came, not $wanted\"; exit 99; }}; }}\n\
         mount -t tmpfs -o size={megabytes}m,mode=700 none \"$home\" || exit 98\n{script}\nexit 0\n"
    );
    let ii = Path::new(env!("CARGO_BIN_EXE_ii"));
    let mut command =
        place.command(Path::new("unshare"), &["--user", "--map-root-user", "--mount", "sh", "-c", &whole]);
    command.env("ii", ii).env("home", place.home()).env("docs", place.docs()).envs(environment.iter().copied());
    let ran = command.output().expect("unshare runs");
    assert_eq!(ran.status.code(), Some(0), "{}{}", stdout(&ran), String::from_utf8_lossy(&ran.stderr));
    Some(ran)
}

/// Lines that speak of a failure.
pub fn complaints(output: &Output) -> Vec<String> {
    let told = ["ii: no ", "ii: cannot "];
    stdout(output).lines().filter(|line| told.iter().any(|told| line.starts_with(told))).map(str::to_owned).collect()
}
