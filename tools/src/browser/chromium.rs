//! A Chromium of one's own: found, started with no other way out than a proxy, and ended.
//!
//! Chromium has much to say to its makers, flags or not. The program itself is therefore given a proxy that nobody serves;
//! only the pages' own context has ours.
//!
//! **Invariant:** all traffic of pages goes to the proxy: Chromium looks up no names, speaks no QUIC, and WebRTC sends nothing
//! past it. What Chromium wants for itself goes nowhere.
//! **Invariant:** its own sandbox is off only where it cannot be on, as root, and [`Probe`] says so.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde::Deserialize;
use tokio::{
    io::AsyncReadExt,
    net::TcpSocket,
    process::{Child, Command},
};

use super::{leftovers::Folder, pipe::Cdp};
use crate::egress::Proxy;

/// Names under which Chromium is looked for.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Places where it is that are on nobody's path.
const PLACES: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
/// Longest start.
const START: Duration = Duration::from_secs(40);
/// Most of its complaints that are kept.
const MOST_COMPLAINTS: u64 = 8 << 10;

/// What is the same for every start.
const FLAGS: [&str; 29] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-search-engine-choice-screen",
    "--no-pings",
    "--deny-permission-prompts",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    "--window-size=1280,800",
    "--lang=en",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,InterestFeedContentSuggestions,\
     CertificateTransparencyComponentUpdater,AutofillServerCommunication,EncryptedClientHello,DnsOverHttpsUpgrade,\
     PreconnectToSearch,SearchEnginePreconnect2",
];

/// Where a browser is and how it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which program.
    pub path: PathBuf,
    /// Its own word for its version.
    pub version: String,
    /// Why its own sandbox is off; none where it is on.
    pub unboxed: Option<&'static str>,
}

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum NoBrowser {
    /// None is found.
    #[error("no Chromium: neither {0} is on the path; install it or set its path")]
    Missing(String),
    /// It does not start.
    #[error("{path} does not start: {why}")]
    Broken {
        /// Which.
        path: PathBuf,
        /// In its own words, or the system's.
        why: String,
    },
}

/// Which Chromium is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chromium {
    /// The first one found.
    #[default]
    Found,
    /// This one.
    At(PathBuf),
}

impl Chromium {
    /// The program.
    ///
    /// # Errors
    /// None is found.
    pub fn path(&self) -> Result<PathBuf, NoBrowser> {
        match self {
            Self::At(path) => Ok(path.clone()),
            Self::Found => {
                let folders = std::env::var_os("PATH").unwrap_or_default();
                let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
                let on_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
                let mut all = on_path.chain(PLACES.iter().map(PathBuf::from));
                all.find(|path| path.is_file()).ok_or_else(|| NoBrowser::Missing(NAMES.join(" nor ")))
            }
        }
    }

    /// Whether and how it would run here.
    ///
    /// # Errors
    /// There is none, or it cannot say its version.
    pub async fn probe(&self) -> Result<Probe, NoBrowser> {
        let path = self.path()?;
        let broken = |why: String| NoBrowser::Broken { path: path.clone(), why };
        let mut command = Command::new(&path);
        let home = std::env::temp_dir();
        command.arg("--version").env_clear().envs(environment(&home)).stdin(Stdio::null()).kill_on_drop(true);
        let asked = tokio::time::timeout(START, command.output()).await;
        let output = asked
            .map_err(|_| broken(format!("it is silent for {START:?}")))?
            .map_err(|error| broken(error.to_string()))?;
        if !output.status.success() {
            return Err(broken(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Probe { path, version, unboxed: unboxed() })
    }
}

/// Why Chromium's own sandbox cannot be on here.
pub(super) fn unboxed() -> Option<&'static str> {
    geteuid().is_root().then_some("Chromium's own sandbox is off: this program runs as root")
}

fn environment(home: &Path) -> [(&'static str, OsString); 4] {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    [("PATH", path), ("HOME", home.into()), ("TMPDIR", home.into()), ("LANG", "C.UTF-8".into())]
}

/// One that runs. Dropped, it ends with all its processes, and its folder goes.
#[derive(Debug)]
pub(super) struct Running {
    pub cdp: Cdp,
    child: Child,
    // A port that is taken and not listened on, for as long as Chromium is to be refused there.
    _deaf: TcpSocket,
    // Last, so that it is removed when all else has ended.
    _folder: Folder,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Why a start gave no browser.
enum Unstarted {
    /// It ended by itself.
    Ended(NoBrowser),
    /// Anything else.
    Otherwise(NoBrowser),
}

impl From<NoBrowser> for Unstarted {
    fn from(why: NoBrowser) -> Self {
        Self::Otherwise(why)
    }
}

#[derive(Deserialize)]
struct Version {
    product: String,
}

impl Running {
    /// Starts one whose only way out is the proxy. Of many that start at once on a busy machine now and then one crashes before
    /// it has done anything; another is started in its place, once.
    pub async fn start(chromium: &Chromium, root: &Path, proxy: &Proxy) -> Result<Self, NoBrowser> {
        match Self::try_start(chromium, root, proxy).await {
            Err(Unstarted::Ended(_why)) => Self::try_start(chromium, root, proxy).await,
            started => started,
        }
        .map_err(|(Unstarted::Ended(why) | Unstarted::Otherwise(why))| why)
    }

    async fn try_start(chromium: &Chromium, root: &Path, proxy: &Proxy) -> Result<Self, Unstarted> {
        let path = chromium.path()?;
        let broken = |why: String| NoBrowser::Broken { path: path.clone(), why };
        let system = |error: io::Error| broken(error.to_string());
        let Some((user, password)) = proxy.credential() else {
            return Err(broken("its proxy has no password".to_owned()).into());
        };
        let deaf = TcpSocket::new_v4().map_err(system)?;
        deaf.bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(system)?;
        let nowhere = deaf.local_addr().map_err(system)?;
        let folder = Folder::new(root).map_err(system)?;
        let mut command = Command::new("/bin/sh");
        // The protocol has its pipe at 3 and 4, which only a shell sets without unsafe code.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "ii-browser"]).arg(&path).args(FLAGS);
        command.arg(format!("--proxy-server=http://{nowhere}"));
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        if unboxed().is_some() {
            command.arg("--no-sandbox");
        }
        command.arg("about:blank").env_clear().envs(environment(folder.path())).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(system)?;
        let (Some(to), Some(from), Some(complaints)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken("it has no pipes".to_owned()).into());
        };
        let complaints = tokio::spawn(async move {
            let mut complaints = complaints;
            let mut kept = Vec::new();
            (&mut complaints).take(MOST_COMPLAINTS).read_to_end(&mut kept).await.unwrap_or_default();
            // The rest is read too, so that it never waits for a reader.
            tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await.unwrap_or_default();
            String::from_utf8_lossy(&kept).trim().to_owned()
        });
        let cdp = Cdp::new(to, from, (user.to_owned(), password.to_owned()));
        let running = Self { cdp, child, _deaf: deaf, _folder: folder };
        let greeted = running.cdp.call::<Version>(None, "Browser.getVersion", serde_json::json!({}));
        match tokio::time::timeout(START, greeted).await {
            Ok(Ok(version)) if version.product.contains('/') => Ok(running),
            failed => {
                drop(running);
                let said = tokio::time::timeout(Duration::from_secs(2), complaints).await;
                let said = said.ok().and_then(Result::ok).unwrap_or_default();
                Err(match failed {
                    Err(_elapsed) => broken(format!("it is silent for {START:?}; {said}")).into(),
                    Ok(Err(error)) => Unstarted::Ended(broken(format!("{error}; {said}"))),
                    Ok(Ok(version)) => broken(format!("it is no Chromium but {:?}", version.product)).into(),
                })
            }
        }
    }

    /// Stops all its processes where they are. When this program dies meanwhile, the kernel wakes them, and they end with
    /// their pipe.
    pub fn halt(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // A group that has ended needs no signal.
            kill_process_group(group, signal).unwrap_or_default();
        }
    }

    /// Its group of processes.
    pub fn group(&self) -> Option<u32> {
        self.child.id()
    }
}
