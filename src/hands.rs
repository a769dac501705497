//! Which tools there are here: those of the commons, and those that reach outside, with what they share.

use std::sync::Arc;

use agent_runtime::home::Home;
use common_ground::port::{index::Index, tool::Tool};

use crate::config::Config;

/// Every tool of this program, over an index.
pub fn all(index: Arc<dyn Index>, home: &Home, config: &Config) -> Vec<Arc<dyn Tool>> {
    let mut all = tools::commons(index);
    all.extend(outside(home, config));
    all
}

/// Tools that reach outside.
pub fn outside(home: &Home, _config: &Config) -> Vec<Arc<dyn Tool>> {
    let common = Arc::new(tools::Common::new(home.root().join("fence"), Vec::new()));
    tools::files(&common)
}
