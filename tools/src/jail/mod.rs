//! The process jail: a native command in namespaces of its own, behind Landlock and a filter of system calls, under limits
//! that the kernel holds, without a network but, where its call names hosts, the proxy of that call. Only Linux has what it
//! is made of; elsewhere it refuses.
//!
//! It never runs a command with less around it than it says, and never as root.
//!
//! What it does not hold: the sum of what is written to paths granted for writing, and the number of files made there; each
//! file by itself is held, and so is all of `/tmp`.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
pub(crate) mod plan;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod run;

#[cfg(target_os = "linux")]
pub(crate) use group::began;
#[cfg(target_os = "linux")]
pub use group::sweep;
#[cfg(target_os = "linux")]
pub(crate) use kept::{End, Life};
#[cfg(target_os = "linux")]
pub use probe::{Finding, Probe};
#[cfg(target_os = "linux")]
pub(crate) use run::Unran;
#[cfg(target_os = "linux")]
pub use run::{Jail, Settings, Task};

/// By which name this program is started as a jail's keeper.
const NAME: &str = "ii-jail";

/// Whether this process was started to be a jail's keeper, or to put up a gate among containers. Then [`child`] is the only
/// thing `main` calls.
pub fn is_child() -> bool {
    #[cfg(target_os = "linux")]
    if crate::gate::is_inside() {
        return true;
    }
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// What a program does that finds itself started for one of these. Never returns.
#[cfg(target_os = "linux")]
pub fn child() -> ! {
    if crate::gate::is_inside() { crate::gate::inside() } else { child::child() }
}
