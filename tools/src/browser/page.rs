//! One browser of one attempt: its page, and what can be done with it.

use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    actions::{Action, Direction},
    answers::{
        Attached, Context, Created, Frame, Frames, History, Metrics, Navigated, Object, Quads, Returned, Snapshot,
        Tree, Viewport,
    },
    chromium::Running,
    pipe::CdpError,
    tree::{self, Numbers},
};
use crate::egress::Target;

/// Longest wait for a page to load.
const LOADING: Duration = Duration::from_secs(20);
/// How long a page must be still to be read.
const STILL: Duration = Duration::from_millis(300);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How far a scroll goes, in pixels of the page.
const SCROLL: f64 = 600.0;
/// Most bytes of a description, about 4,000 tokens.
const DESCRIPTION: usize = 14 << 10;
/// Most frames described beside the page itself.
const MOST_FRAMES: usize = 8;

/// Why an action did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// The browser did not do it; whether it lives is for the caller to see.
    #[error(transparent)]
    Cdp(#[from] CdpError),
    /// The model meant something that is not there.
    #[error("{0}")]
    Wrong(String),
}

/// A page that is shown.
#[derive(Debug)]
pub(super) struct Page {
    pub browser: Running,
    session: String,
    /// Pages from which others were opened.
    openers: Vec<(String, String)>,
    target: String,
    numbers: Numbers,
    last: Option<Described>,
}

#[derive(Debug)]
struct Described {
    url: String,
    text: String,
}

impl Page {
    /// An empty page.
    pub async fn new(browser: Running, proxy: SocketAddr) -> Result<Self, CdpError> {
        let cdp = &browser.cdp;
        let context = json!({"proxyServer": format!("http://{proxy}"), "proxyBypassList": "<-loopback>"});
        let context: Context = cdp.call(None, "Target.createBrowserContext", context).await?;
        let context = context.browser_context_id;
        let deny = json!({"behavior": "deny", "eventsEnabled": true, "browserContextId": context});
        cdp.call::<Value>(None, "Browser.setDownloadBehavior", deny).await?;
        cdp.call::<Value>(None, "Target.setDiscoverTargets", json!({"discover": true})).await?;
        let created: Created =
            cdp.call(None, "Target.createTarget", json!({"url": "about:blank", "browserContextId": context})).await?;
        let target = created.target_id;
        let mut page = Self {
            browser,
            session: String::new(),
            openers: Vec::new(),
            target,
            numbers: Numbers::default(),
            last: None,
        };
        page.attach().await?;
        Ok(page)
    }

    async fn attach(&mut self) -> Result<(), CdpError> {
        let attach = json!({"targetId": self.target, "flatten": true});
        let attached: Attached = self.browser.cdp.call(None, "Target.attachToTarget", attach).await?;
        self.session = attached.session_id;
        self.follow();
        self.numbers.forget();
        self.last = None;
        for method in ["Page.enable", "Accessibility.enable", "DOM.enable", "Inspector.enable"] {
            self.call::<Value>(method, json!({})).await?;
        }
        // Every request is seen, so that the proxy's password can be shown to it.
        let all = json!({"handleAuthRequests": true, "patterns": [{"urlPattern": "*"}]});
        self.call::<Value>("Fetch.enable", all).await?;
        Ok(())
    }

    /// Events of loading are of this page from now on.
    fn follow(&self) {
        let mut seen = self.browser.cdp.seen();
        seen.frame.clone_from(&self.target);
        seen.loading = false;
    }

    async fn call<R: serde::de::DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, CdpError> {
        self.browser.cdp.call(Some(&self.session), method, params).await
    }

    /// Does something, waits until the page is still, and says what is there then.
    pub async fn act(&mut self, action: &Action) -> Result<String, NotDone> {
        match action {
            Action::Open { url } => self.open(url).await?,
            Action::Click { node } => self.click(*node).await?,
            Action::Type { node, text, submit } => self.type_in(*node, text, submit.unwrap_or(false)).await?,
            Action::Select { node, option } => self.select(*node, option).await?,
            Action::Press { key } => self.press(key).await?,
            Action::Scroll { direction } => self.scroll(*direction).await?,
            Action::Back {} => self.back().await?,
            Action::Wait { seconds } => tokio::time::sleep(Duration::from_secs((*seconds).into())).await,
            Action::Snapshot {} => self.last = None,
            Action::Close {} => return Ok("[the browser is closed]\n".to_owned()),
        }
        self.settle().await;
        self.go_to_opened().await?;
        self.describe().await
    }

    async fn open(&mut self, url: &str) -> Result<(), NotDone> {
        let target = Target::parse(url).map_err(|error| NotDone::Wrong(error.to_string()))?;
        self.last = None;
        let navigated: Navigated = self.call("Page.navigate", json!({"url": target.url().as_str()})).await?;
        match navigated.error_text {
            None => Ok(()),
            Some(error) => Err(NotDone::Wrong(format!("{} was not opened: {error}", target.url()))),
        }
    }

    fn node(&self, number: u64) -> Result<u64, NotDone> {
        let node = self.numbers.node(number);
        node.ok_or_else(|| NotDone::Wrong(format!("there is no [{number}] on this page; take a snapshot")))
    }

    async fn click(&self, number: u64) -> Result<(), NotDone> {
        let node = self.node(number)?;
        let hidden = |error: CdpError| match error {
            CdpError::Said { message, .. } => NotDone::Wrong(format!("[{number}] cannot be clicked: {message}")),
            other => NotDone::Cdp(other),
        };
        let params = json!({"backendNodeId": node});
        self.call::<Value>("DOM.scrollIntoViewIfNeeded", params.clone()).await.map_err(hidden)?;
        let quads: Quads = self.call("DOM.getContentQuads", params).await.map_err(hidden)?;
        let Some(quad) = quads.quads.first() else {
            return Err(NotDone::Wrong(format!("[{number}] takes up no room on the page")));
        };
        let middle = |from: usize| (0..4).map(|corner| quad[from + corner * 2]).sum::<f64>() / 4.0;
        let (x, y) = (middle(0), middle(1));
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1});
            self.input("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Gives input, whose own answer comes only when the page has dealt with it; a page that opens a dialog deals with it
    /// after the dialog.
    async fn input(&self, method: &'static str, event: Value) -> Result<(), CdpError> {
        match self.call::<Value>(method, event).await {
            // The page that was clicked on may be gone by the time of the answer.
            Ok(_) | Err(CdpError::Said { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls a function on a node of the page, with one argument.
    async fn on(&self, node: u64, function: &str, argument: &str) -> Result<Value, CdpError> {
        let object: Object = self.call("DOM.resolveNode", json!({"backendNodeId": node})).await?;
        let call = json!({"objectId": object.object.object_id, "functionDeclaration": function,
            "arguments": [{"value": argument}], "returnByValue": true, "userGesture": true});
        let returned: Returned = self.call("Runtime.callFunctionOn", call).await?;
        Ok(returned.result.value)
    }

    async fn type_in(&self, number: u64, text: &str, submit: bool) -> Result<(), NotDone> {
        let node = self.node(number)?;
        let cannot = |error: CdpError| match error {
            CdpError::Said { message, .. } => NotDone::Wrong(format!("[{number}] takes no text: {message}")),
            other => NotDone::Cdp(other),
        };
        self.call::<Value>("DOM.focus", json!({"backendNodeId": node})).await.map_err(cannot)?;
        // What is there is replaced.
        self.on(node, "function() { if (this.select) this.select(); else document.execCommand('selectAll'); }", "")
            .await?;
        self.input("Input.insertText", json!({"text": text})).await?;
        if submit { self.press("Enter").await } else { Ok(()) }
    }

    async fn select(&self, number: u64, option: &str) -> Result<(), NotDone> {
        const CHOOSE: &str = "function(wanted) {
            for (const one of this.options || []) {
                if (one.value === wanted || one.label === wanted || one.text.trim() === wanted) {
                    one.selected = true;
                    this.dispatchEvent(new Event('input', {bubbles: true}));
                    this.dispatchEvent(new Event('change', {bubbles: true}));
                    return '';
                }
            }
            return [...(this.options || [])].slice(0, 50).map(one => one.text.trim()).join(', ') || 'none';
        }";
        let answer = self.on(self.node(number)?, CHOOSE, option).await?;
        match answer.as_str() {
            Some("") => Ok(()),
            Some(options) => Err(NotDone::Wrong(format!("[{number}] has no option {option:?}; it has: {options}"))),
            None => Err(NotDone::Wrong(format!("[{number}] has no options"))),
        }
    }

    async fn press(&self, key: &str) -> Result<(), NotDone> {
        let (code, number, text) = match key {
            "Enter" => ("Enter", 13, Some("\r")),
            "Tab" => ("Tab", 9, None),
            "Escape" => ("Escape", 27, None),
            "Backspace" => ("Backspace", 8, None),
            "Delete" => ("Delete", 46, None),
            "Space" => ("Space", 32, Some(" ")),
            "PageUp" => ("PageUp", 33, None),
            "PageDown" => ("PageDown", 34, None),
            "End" => ("End", 35, None),
            "Home" => ("Home", 36, None),
            "ArrowLeft" => ("ArrowLeft", 37, None),
            "ArrowUp" => ("ArrowUp", 38, None),
            "ArrowRight" => ("ArrowRight", 39, None),
            "ArrowDown" => ("ArrowDown", 40, None),
            other => return Err(NotDone::Wrong(format!("there is no key {other:?} here"))),
        };
        let name = text.filter(|text| *text == " ").unwrap_or(code);
        let mut event = json!({"type": if text.is_some() { "keyDown" } else { "rawKeyDown" }, "key": name, "code": code,
            "windowsVirtualKeyCode": number});
        if let Some(text) = text {
            event["text"] = json!(text);
        }
        self.input("Input.dispatchKeyEvent", event.clone()).await?;
        event["type"] = json!("keyUp");
        self.input("Input.dispatchKeyEvent", event).await?;
        Ok(())
    }

    async fn scroll(&self, direction: Direction) -> Result<(), NotDone> {
        let by = match direction {
            Direction::Up => -SCROLL,
            Direction::Down => SCROLL,
        };
        let event = json!({"type": "mouseWheel", "x": 400, "y": 300, "deltaX": 0, "deltaY": by});
        Ok(self.input("Input.dispatchMouseEvent", event).await?)
    }

    async fn back(&mut self) -> Result<(), NotDone> {
        let history: History = self.call("Page.getNavigationHistory", json!({})).await?;
        let before = history.current_index.checked_sub(1).and_then(|index| history.entries.get(index));
        match (before.filter(|entry| entry.url.starts_with("http")), self.openers.pop()) {
            (Some(entry), opener) => {
                self.openers.extend(opener);
                self.last = None;
                let go = json!({"entryId": entry.id});
                self.call::<Value>("Page.navigateToHistoryEntry", go).await?;
                Ok(())
            }
            (None, Some((target, session))) => {
                let close = json!({"targetId": self.target});
                self.browser.cdp.call::<Value>(None, "Target.closeTarget", close).await?;
                (self.target, self.session) = (target, session);
                self.follow();
                self.numbers.forget();
                self.last = None;
                Ok(())
            }
            (None, None) => Err(NotDone::Wrong("there is no page before this one".to_owned())),
        }
    }

    /// Waits until the page has loaded and is still, or has taken too long.
    async fn settle(&self) {
        let began = Instant::now();
        // Still since what was done, not since before it.
        self.browser.cdp.seen().changed = began;
        tokio::time::sleep(STILL / 2).await;
        while began.elapsed() < LOADING {
            let is_still = {
                let seen = self.browser.cdp.seen();
                seen.crashed || (!seen.loading && seen.changed.elapsed() > STILL)
            };
            if is_still {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A page that this one opened is the page from now on.
    async fn go_to_opened(&mut self) -> Result<(), CdpError> {
        let opened = std::mem::take(&mut self.browser.cdp.seen().opened);
        for (index, target) in opened.iter().rev().enumerate() {
            if index > 0 || self.openers.len() >= 3 {
                let close = json!({"targetId": target});
                match self.browser.cdp.call::<Value>(None, "Target.closeTarget", close).await {
                    // One that closed itself needs no closing.
                    Ok(_) | Err(CdpError::Said { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            let (before, session) = (self.target.clone(), self.session.clone());
            self.target.clone_from(target);
            match self.attach().await {
                Ok(()) => {
                    self.openers.push((before, session));
                    self.browser.cdp.seen().told.push("a new page opened, and is shown; `back` closes it".to_owned());
                    self.settle().await;
                }
                Err(CdpError::Said { .. }) => {
                    (self.target, self.session) = (before, session);
                    self.follow();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The page, or what changed of it, and what it did.
    async fn describe(&mut self) -> Result<String, NotDone> {
        let (told, crashed) = {
            let mut seen = self.browser.cdp.seen();
            (std::mem::take(&mut seen.told), seen.crashed)
        };
        if crashed {
            return Err(NotDone::Cdp(CdpError::Gone));
        }
        let history: History = self.call("Page.getNavigationHistory", json!({})).await?;
        let entry = history.entries.get(history.current_index);
        let (url, title) = entry.map(|entry| (entry.url.clone(), entry.title.clone())).unwrap_or_default();
        if self.last.as_ref().is_some_and(|last| last.url != url) {
            self.last = None;
        }
        let metrics: Metrics = self.call("Page.getLayoutMetrics", json!({})).await?;
        let view = &metrics.css_visual_viewport;
        let in_view = self.in_view(view).await?;
        let text = self.tree(&in_view).await?;
        let whole = metrics.css_content_size.height.round();
        let (from, to) = (view.page_y.round(), (view.page_y + view.client_height).round());
        let mut described = format!("page: {title}\nurl: {url}\nin view: {from} to {to} of {whole} pixels\n");
        for what in told {
            described.push_str(&format!("[{what}]\n"));
        }
        match &self.last {
            Some(last) => described.push_str(&tree::difference(&last.text, &text)),
            None => described.push_str(&text),
        }
        self.last = Some(Described { url, text });
        Ok(described)
    }

    /// The nodes that a person would see now.
    async fn in_view(&self, view: &Viewport) -> Result<HashSet<u64>, CdpError> {
        let snapshot: Snapshot = self.call("DOMSnapshot.captureSnapshot", json!({"computedStyles": []})).await?;
        let Some(document) = snapshot.documents.first() else { return Ok(HashSet::new()) };
        let laid_out = document.layout.node_index.iter().zip(&document.layout.bounds);
        let (top, bottom) = (view.page_y, view.page_y + view.client_height);
        let visible = laid_out.filter(|(_, bounds)| match bounds.as_slice() {
            [_, y, _, height] => y + height > top && *y < bottom,
            _others => false,
        });
        Ok(visible.filter_map(|(index, _)| document.nodes.backend_node_id.get(*index).copied()).collect())
    }

    async fn tree(&mut self, in_view: &HashSet<u64>) -> Result<String, CdpError> {
        let frames: Frames = self.call("Page.getFrameTree", json!({})).await?;
        let tree: Tree = self.call("Accessibility.getFullAXTree", json!({})).await?;
        let mut text = tree::describe(&tree.nodes, in_view, &mut self.numbers, DESCRIPTION);
        let mut inner: Vec<&Frame> = frames.frame_tree.child_frames.iter().collect();
        let mut described = 0;
        while let Some(frame) = inner.pop() {
            inner.extend(&frame.child_frames);
            described += 1;
            if described > MOST_FRAMES {
                continue;
            }
            let whose = format!("frame {}\n", frame.frame.url.chars().take(200).collect::<String>());
            match self.call::<Tree>("Accessibility.getFullAXTree", json!({"frameId": frame.frame.id})).await {
                Ok(tree) => {
                    let left = (DESCRIPTION / 4).min((DESCRIPTION + DESCRIPTION / 2).saturating_sub(text.len()));
                    text.push_str(&whose);
                    text.push_str(&tree::describe(&tree.nodes, in_view, &mut self.numbers, left));
                }
                // A frame of another site is another process's.
                Err(CdpError::Said { .. }) => text.push_str(&format!("[not shown: {}]\n", whose.trim_end())),
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    }
}
