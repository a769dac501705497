//! `ii commons add --urls`: pages of a list, fetched one after another while those before are taken in.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use agent_runtime::home::Home;
use common_ground::{
    grant::{Decision, Grant, Policy},
    port::tool::StepKey,
};
use commons_index::{Given, Metadata, Progress as At, SkipReason, Skipped};
use futures_util::StreamExt;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tools::{Fetch, Hand, Work};

use crate::{
    config::Config,
    exit::{Exit, Failure},
    hands, permissions,
    progress::Progress,
};

/// Pages under way at once.
const AT_ONCE: usize = 4;
/// Pages that wait to be taken in.
const WAITING: usize = 4;

/// Pages that come, and the task that fetches them, which gives those that did not come.
pub(super) struct Pages {
    pub(super) given: Box<dyn Iterator<Item = Given> + Send>,
    pub(super) left_out: JoinHandle<Vec<Skipped>>,
}

/// What a page is fetched with.
struct Fetcher {
    fetch: Fetch,
    policy: Policy,
    grant: Grant,
}

/// The addresses of a list: one a line, blank ones and those that begin with `#` aside.
///
/// # Errors
/// A file that cannot be read, a line that is no address.
pub(super) fn list(file: &Path) -> Result<Vec<String>, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read {shown}: {error}"), "name a file of addresses")
    })?;
    let mut known = BTreeSet::new();
    let mut urls = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let url = url::Url::parse(line).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let wrong = || {
            Failure::new(
                Exit::Usage,
                format!("{shown}, line {number} is no address of a page"),
                "write it as https://…",
            )
        };
        let url = url.ok_or_else(wrong)?.to_string();
        if known.insert(url.clone()) {
            urls.push(url);
        }
    }
    if urls.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("{shown} names no page"), "write one address a line"));
    }
    Ok(urls)
}

/// Begins to fetch. That a person lists a page allows to get it from its host, and no other; what the settings deny stays denied.
///
/// # Errors
/// Settings that nothing can be fetched by.
pub(super) fn start(home: &Home, config: &Config, urls: Vec<String>, progress: Progress) -> Result<Pages, Failure> {
    let (grant, policy) = permissions::gather(home, config)?;
    let fetcher = Arc::new(Fetcher { fetch: hands::fetch(config)?, policy, grant });
    let (out, mut pages) = mpsc::channel::<Given>(WAITING);
    let (began, total) = (std::time::Instant::now(), urls.len() as u64);
    let left_out = tokio::spawn(async move {
        let mut left_out = Vec::new();
        let mut fetched = futures_util::stream::iter(urls)
            .map(|url| {
                let fetcher = Arc::clone(&fetcher);
                async move {
                    let page = fetcher.page(&url).await;
                    (url, page)
                }
            })
            .buffered(AT_ONCE);
        let mut done = 0;
        while let Some((url, page)) = fetched.next().await {
            done += 1;
            progress.counting("pages", At { done, total, bytes: 0, total_bytes: 0 }, began);
            match page {
                // Nobody takes it any more: whoever ended says why.
                Ok(page) => {
                    if out.send(page).await.is_err() {
                        break;
                    }
                }
                Err(cause) => left_out.push(Skipped::unread(url, SkipReason::Unreadable { cause })),
            }
        }
        left_out
    });
    Ok(Pages { given: Box::new(std::iter::from_fn(move || pages.blocking_recv())), left_out })
}

impl Fetcher {
    async fn page(&self, url: &str) -> Result<Given, String> {
        let arguments = serde_json::json!({ "url": url }).to_string();
        let needs = self.fetch.needs(&arguments).map_err(|error| error.to_string())?;
        let grant = Grant { limits: self.grant.limits, ..Grant::of(needs.iter().cloned()) };
        for need in &needs {
            if let Decision::Deny(basis) = self.policy.decide(&grant, &BTreeSet::new(), need) {
                return Err(basis.to_string());
            }
        }
        let wall = Duration::from_millis(grant.limits.wall_ms);
        let work = Work::new(StepKey::NONE, grant);
        let page = tokio::time::timeout_at(Instant::now() + wall, self.fetch.page(&work, url)).await;
        let page = page.map_err(|_late| format!("it took longer than {} s", wall.as_secs()))?;
        let page = page.map_err(|error| error.to_string())?;
        let metadata = Metadata { source: Some(page.url), ..Metadata::default() };
        Ok(Given { path: url.to_owned(), media: page.media, bytes: page.bytes, metadata })
    }
}
