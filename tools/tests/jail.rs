//! The hostile cases against the process jail.

mod hostile;

use common_ground::grant::Limits;
use hostile::{Caller, text};
use serde_json::json;
use tools::{Shell, jail};

fn shell() -> Caller<Shell> {
    Caller::new(Shell::new(jail::Settings::default()), &[])
}

fn main() {
    if jail::is_child() {
        jail::child();
    }
    let called = shell().call(&json!({"command": std::env::args().nth(1).unwrap_or("echo hi; id; ls -la / /dev /etc /tmp; cat /proc/mounts; cat /proc/self/status | grep -i -E 'cap|seccomp|nonew'; ps ax; cat >&2; ulimit -a".to_owned()), "stdin": "from stdin"}), &[], Limits::USUAL);
    println!("{}\n{:#?}", text(&called), called.record);
}
