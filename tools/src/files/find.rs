//! `list`, `glob` and `grep`: what is beneath a folder, by name and by what it holds. Links are named and never followed.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cap_std::fs::{Dir, FileType};
use common_ground::{
    grant::{Access, Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
    record::Limit,
};
use globset::{GlobBuilder, GlobMatcher};
use regex::RegexBuilder;
use serde::Deserialize;

use super::place::{LARGEST, Place, failed, is_plain, need};
use crate::{
    arguments::{self, refuse},
    hand::{Hand, Work},
};

/// Most entries looked at in one call.
const MOST_SEEN: usize = 100_000;
/// Most lines of answer.
const MOST_FOUND: usize = 1_000;
/// Deepest folder looked into.
const DEEPEST: usize = 64;
/// Longest line shown.
const LONGEST_LINE: usize = 400;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    List,
    Glob,
    Grep,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Glob => "glob",
            Self::Grep => "grep",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    pattern: Option<String>,
    files: Option<String>,
}

/// Names in a folder.
#[derive(Debug)]
pub struct List(Finder);
/// Paths that match a pattern.
#[derive(Debug)]
pub struct Glob(Finder);
/// Lines that match a pattern.
#[derive(Debug)]
pub struct Grep(Finder);

#[derive(Debug)]
struct Finder {
    which: Which,
    spec: ToolSpec,
}

const LIST: &str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The folder, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["path"],"type":"object"}"#;
const GLOB: &str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The folder to look beneath, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"},"pattern":{"description":"Such as **/*.md; * stays within a folder, ** does not.","maxLength":1000,"minLength":1,"type":"string"}},"required":["path","pattern"],"type":"object"}"#;
const GREP: &str = r#"{"additionalProperties":false,"properties":{"files":{"description":"Only files that match this, such as **/*.md.","maxLength":1000,"minLength":1,"type":"string"},"path":{"description":"The folder to look beneath, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"},"pattern":{"description":"A regular expression for a line.","maxLength":1000,"minLength":1,"type":"string"}},"required":["path","pattern"],"type":"object"}"#;

impl Finder {
    fn new(which: Which, description: &str, schema: &str) -> Self {
        let (name, description, arguments) = (which.name().to_owned(), description.to_owned(), schema.to_owned());
        Self { which, spec: ToolSpec { name, description, arguments, idempotent: true } }
    }

    fn arguments(&self, text: &str) -> Result<Arguments, ToolError> {
        let fields: &[&str] = match self.which {
            Which::List => &["path"],
            Which::Glob => &["path", "pattern"],
            Which::Grep => &["path", "pattern", "files"],
        };
        let arguments: Arguments = arguments::parse(self.which.name(), fields, text)?;
        let extra = match self.which {
            Which::List => arguments.pattern.is_some() || arguments.files.is_some(),
            Which::Glob => arguments.pattern.is_none() || arguments.files.is_some(),
            Which::Grep => arguments.pattern.is_none(),
        };
        if extra { Err(refuse(self.which.name(), format!("give {}", fields.join(", ")))) } else { Ok(arguments) }
    }

    fn needs(&self, text: &str) -> Result<Vec<Item>, ToolError> {
        Ok(vec![need(self.which.name(), &self.arguments(text)?.path, Access::Read)?])
    }

    fn glob(&self, pattern: &str) -> Result<GlobMatcher, ToolError> {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        glob.map(|glob| glob.compile_matcher()).map_err(|error| refuse(self.which.name(), error.to_string()))
    }

    async fn find(&self, work: &Work, text: &str) -> Result<Vec<u8>, ToolError> {
        let name = self.which.name();
        let Arguments { path, pattern, files } = self.arguments(text)?;
        let place = Place::open(name, work, &need(name, &path, Access::Read)?)?;
        let folder = place.root.open_dir(place.relative()).map_err(|error| failed(name, &path, &error))?;
        let pattern = pattern.unwrap_or_default();
        let search = match self.which {
            Which::List => Search::Names,
            Which::Glob => Search::Paths(self.glob(&pattern)?),
            Which::Grep => {
                let line = RegexBuilder::new(&pattern).size_limit(1 << 20).build();
                let line = line.map_err(|error| refuse(name, error.to_string()))?;
                Search::Lines(line, files.map(|files| self.glob(&files)).transpose()?)
            }
        };
        let until = Instant::now() + Duration::from_millis(work.limits().wall_ms);
        let found = tokio::task::spawn_blocking(move || search.beneath(&folder, until)).await;
        let found = found.map_err(|error| ToolError::Failed { tool: name.to_owned(), reason: error.to_string() })?;
        if found.late {
            work.passed(Limit::Wall);
        }
        Ok(found.text().into_bytes())
    }
}

/// What is looked for.
enum Search {
    Names,
    Paths(GlobMatcher),
    Lines(regex::Regex, Option<GlobMatcher>),
}

impl Search {
    fn beneath(&self, folder: &Dir, until: Instant) -> Found {
        let mut found = Found::new(until);
        let deepest = if matches!(self, Self::Names) { 1 } else { DEEPEST };
        walk(folder, Path::new(""), 0, deepest, &mut found, &mut |dir, entry, kind, found| match self {
            Self::Names => Some(format!("{}{}", entry.display(), mark(kind))),
            Self::Paths(glob) => glob.is_match(entry).then(|| format!("{}{}", entry.display(), mark(kind))),
            Self::Lines(line, files) => {
                if kind.is_file() && files.as_ref().is_none_or(|files| files.is_match(entry)) {
                    lines(dir, entry, line, found);
                }
                None
            }
        });
        found
    }
}

/// What stands behind a name.
fn mark(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "/"
    } else if kind.is_symlink() {
        " (a link, not followed)"
    } else {
        ""
    }
}

#[derive(Debug)]
struct Found {
    lines: Vec<String>,
    seen: usize,
    left_out: usize,
    unreadable: usize,
    until: Instant,
    late: bool,
}

impl Found {
    fn new(until: Instant) -> Self {
        Self { lines: Vec::new(), seen: 0, left_out: 0, unreadable: 0, until, late: false }
    }

    /// Whether to look no further.
    fn is_over(&mut self) -> bool {
        self.late |= Instant::now() > self.until;
        self.late || self.seen >= MOST_SEEN
    }

    fn push(&mut self, line: String) {
        if self.lines.len() < MOST_FOUND { self.lines.push(line) } else { self.left_out += 1 }
    }

    fn text(mut self) -> String {
        if self.left_out > 0 {
            self.lines.push(format!("[{} more left out]", self.left_out));
        }
        if self.late {
            self.lines.push("[the time was used up before all was looked at]".to_owned());
        }
        if self.seen >= MOST_SEEN {
            self.lines.push(format!("[only the first {MOST_SEEN} entries were looked at]"));
        }
        if self.unreadable > 0 {
            self.lines.push(format!("[{} could not be read]", self.unreadable));
        }
        if self.lines.is_empty() {
            self.lines.push("[nothing]".to_owned());
        }
        self.lines.join("\n")
    }
}

/// Shows each entry beneath a folder, by name. `show` gets the open folder that holds it.
fn walk(
    folder: &Dir,
    beneath: &Path,
    depth: usize,
    deepest: usize,
    found: &mut Found,
    show: &mut dyn FnMut(&Dir, &Path, FileType, &mut Found) -> Option<String>,
) {
    let Ok(entries) = folder.entries() else {
        found.unreadable += 1;
        return;
    };
    let mut named: Vec<(std::ffi::OsString, FileType)> = Vec::new();
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
            Ok(entry) => named.push(entry),
            Err(_gone) => found.unreadable += 1,
        }
    }
    named.sort_by(|one, two| one.0.cmp(&two.0));
    for (name, kind) in named {
        if found.is_over() {
            return;
        }
        found.seen += 1;
        let path: PathBuf = beneath.join(&name);
        if let Some(line) = show(folder, &path, kind, found) {
            found.push(line);
        }
        if kind.is_dir() && depth + 1 < deepest && is_plain(Path::new(&name)) {
            match folder.open_dir(&name) {
                Ok(inner) => walk(&inner, &path, depth + 1, deepest, found, show),
                Err(_closed) => found.unreadable += 1,
            }
        }
    }
}

/// The lines of one file that match.
fn lines(folder: &Dir, path: &Path, wanted: &regex::Regex, found: &mut Found) {
    let Some(name) = path.file_name() else { return };
    let small = folder.metadata(name).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
    let Some(Ok(bytes)) = small.then(|| folder.read(name)) else {
        found.unreadable += 1;
        return;
    };
    // What is no text has no lines.
    let Ok(text) = String::from_utf8(bytes) else { return };
    for (line, number) in text.lines().zip(1_usize..).filter(|(line, _)| wanted.is_match(line)) {
        let shown = &line[..line.floor_char_boundary(LONGEST_LINE)];
        found.push(format!("{}:{number}:{shown}", path.display()));
    }
}

macro_rules! finder {
    ($tool:ident, $which:expr, $about:expr, $schema:expr) => {
        impl $tool {
            /// The tool.
            pub fn new() -> Self {
                Self(Finder::new($which, $about, $schema))
            }
        }

        impl Default for $tool {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Hand for $tool {
            fn spec(&self) -> &ToolSpec {
                &self.0.spec
            }

            fn tier(&self) -> Tier {
                Tier::Builtin
            }

            fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
                self.0.needs(arguments)
            }

            fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
                Box::pin(self.0.find(work, arguments))
            }
        }
    };
}

finder!(List, Which::List, "List the names in a folder; a folder's name ends in /.", LIST);
finder!(Glob, Which::Glob, "Find files and folders beneath a folder by a pattern of their paths.", GLOB);
finder!(Grep, Which::Grep, "Find lines of text files beneath a folder by a regular expression.", GREP);
