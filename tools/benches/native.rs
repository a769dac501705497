//! What a jail and a container cost over the bare kernel and the bare engine.
fn main() {}
