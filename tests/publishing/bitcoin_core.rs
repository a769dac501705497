//! The same with Bitcoin Core itself, where `BITCOIND_EXE` names its program.

use std::{
    ffi::OsString,
    fs::read_to_string,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use agent_runtime::publisher::{ChainWay, Way};
use receipts::ledger::outbox::Standing;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    node::{DEPTH, post, quiet},
    world::{PATIENCE, Sealed, receipt},
};

struct Core {
    folder: TempDir,
    child: Child,
    address: String,
}

impl Core {
    fn start(program: OsString) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Free a moment ago; Core takes no port 0.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.args(["-regtest", "-server", "-listen=0", "-printtoconsole=0"]).arg(format!("-rpcport={port}"));
        command.arg(format!("-datadir={}", folder.path().display())).stdin(Stdio::null());
        let core = Self { folder, child: command.spawn().expect("starts"), address: format!("127.0.0.1:{port}") };
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect(&core.address).is_err() || core.ask("getblockcount", json!([])).is_null() {
            assert!(began.elapsed() < PATIENCE, "never answers");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        core
    }

    fn cookie(&self) -> std::path::PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// The result; null for an error.
    fn ask(&self, method: &str, params: Value) -> Value {
        let cookie = read_to_string(self.cookie()).unwrap_or_default();
        let body = json!({"id": 1, "method": method, "params": params});
        post(&self.address, "/", Some(&cookie), &body)["result"].clone()
    }

    /// The same, which succeeds.
    fn does(&self, method: &str, params: Value) -> Value {
        let told = self.ask(method, params);
        assert!(!told.is_null(), "{method}");
        told
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn bitcoin_core_anchors_and_reorganises_as_the_other_node_does() {
    let Some(program) = std::env::var_os("BITCOIND_EXE") else {
        println!("skipped: anchoring through Bitcoin Core: BITCOIND_EXE names no program");
        return;
    };
    let core = Core::start(program);
    core.does("createwallet", json!(["anchors"]));
    let to = core.does("getnewaddress", json!([]));
    core.does("generatetoaddress", json!([101, to]));
    let home = Sealed::new(vec![receipt(10)]).await;
    let url = format!("bitcoin+http://{}/wallet/anchors", core.address);
    let chain = ChainWay { credentials: Some(core.cookie()), genesis: None, depth: DEPTH, most_rate: 50_000 };
    let mut publisher = home.open(Way { url: Some(url), chain, ..home.local_way() }).await.expect("opens");
    for depth in 1..=DEPTH {
        home.add(vec![receipt(20 + u128::from(depth))]).await;
        quiet(&mut publisher).await;
        core.does("generatetoaddress", json!([depth, to]));
        quiet(&mut publisher).await;
        let newest = |standings: Vec<Standing>| standings.last().copied().expect("one");
        assert!(newest(home.standings().await) > Standing::Sealed);
        let height = core.does("getblockcount", json!([])).as_u64().expect("a height");
        let first = core.does("getblockhash", json!([height + 1 - depth]));
        core.ask("invalidateblock", json!([first]));
        for _block in 0..=depth {
            core.does("generateblock", json!([to, []]));
        }
        publisher.turn().await.expect("turns");
        assert_eq!(newest(home.standings().await), Standing::Sealed, "{depth}");
        for _block in 0..=DEPTH {
            quiet(&mut publisher).await;
            core.does("generatetoaddress", json!([1, to]));
        }
        quiet(&mut publisher).await;
        assert_eq!(newest(home.standings().await), Standing::Credited, "{depth}");
    }
}
