//! An engine for the tests of containers: the one that `DOCKER_HOST` names, or one that is started, with an image made here
//! from a static busybox.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use bollard::{body_full, query_parameters::CreateImageOptionsBuilder};
use futures_util::StreamExt;

/// The image.
pub const IMAGE: &str = "ii-test-busybox:1";
const BUSYBOX: &str = "/bin/busybox";

/// The engine's address, once it has the image; or why there is none.
pub fn engine() -> Result<&'static str, &'static str> {
    static ENGINE: OnceLock<Result<String, String>> = OnceLock::new();
    let found = ENGINE.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/dockerd.sh");
        // The script's own errors would be read as part of its answer.
        let out =
            Command::new(script).arg("start").stderr(Stdio::piped()).output().map_err(|error| error.to_string())?;
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).trim().to_owned());
        }
        let host = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(image(&host))?;
        Ok(host)
    });
    found.as_deref().map_err(String::as_str)
}

/// Makes the image from nothing but busybox and links to it.
async fn image(host: &str) -> Result<(), String> {
    let binary = fs::read(BUSYBOX).or_else(|_| fs::read("/usr/bin/busybox"));
    let binary = binary.map_err(|error| format!("busybox-static: {error}"))?;
    // A program that names its loader does so near its beginning.
    if binary[..binary.len().min(4096)].windows(8).any(|part| part == b"ld-linux" || part == b"ld-musl-") {
        return Err("busybox is not static: install busybox-static".to_owned());
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, mode: u32, kind: tar::EntryType, bytes: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        match link {
            Some(to) => tar.append_link(&mut header, path, to),
            None => tar.append_data(&mut header, path, bytes),
        }
        .map_err(|error| error.to_string())
    };
    for folder in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        add(folder, 0o755, tar::EntryType::Directory, b"", None)?;
    }
    add("bin/busybox", 0o755, tar::EntryType::Regular, &binary, None)?;
    add("etc/passwd", 0o644, tar::EntryType::Regular, b"root:x:0:0::/:/bin/sh\n", None)?;
    for name in [
        "sh", "cat", "echo", "env", "ls", "id", "sleep", "head", "tail", "dd", "yes", "true", "touch", "mount",
        "mknod", "wc", "grep", "nc", "nslookup", "setsid", "ln", "mv", "rm", "truncate", "tr", "stat", "hostname",
        "chmod",
    ] {
        add(&format!("bin/{name}"), 0o755, tar::EntryType::Symlink, b"", Some("busybox"))?;
    }
    let bytes = tar.into_inner().map_err(|error| error.to_string())?;
    let api = bollard::Docker::connect_with_host(host).map_err(|error| error.to_string())?;
    let api = api.negotiate_version().await.map_err(|error| error.to_string())?;
    if api.inspect_image(IMAGE).await.is_ok() {
        return Ok(());
    }
    let (repo, tag) = IMAGE.split_once(':').expect("a tag");
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repo).tag(tag).build();
    let mut made = api.create_image(Some(options), Some(body_full(bytes.into())), None);
    while let Some(step) = made.next().await {
        step.map_err(|error| error.to_string())?;
    }
    Ok(())
}
