//! The file system as a guest has it: WASI's own beneath the opened folders, with a quota, a bound of open files, and a note
//! of every file before it is changed.
//!
//! **Invariant:** not one byte is written that the quota does not cover: it is counted before it is written.
//! **Invariant:** a pipe or a device is not opened, and no link is made.

mod changes;
mod descriptor;
mod folders;
mod quota;

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::{
    filesystem::WasiFilesystemCtxView,
    p2::bindings::filesystem::{preopens, types},
};

pub(super) use folders::Folders;

use super::call::{Refusals, State};

/// The file system of one guest.
pub(super) struct Files<'a> {
    /// What really does it.
    wasi: WasiFilesystemCtxView<'a>,
    folders: &'a mut Folders,
    refusals: &'a Refusals,
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// Puts it in the place of WASI's own.
pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn files(state: &mut State) -> Files<'_> {
        let (wasi, folders, refusals) = state.files();
        Files { wasi: WasiFilesystemCtxView { ctx: wasi.ctx.filesystem(), table: wasi.table }, folders, refusals }
    }
    types::add_to_linker::<State, HasFiles>(linker, files)?;
    preopens::add_to_linker::<State, HasFiles>(linker, files)
}
