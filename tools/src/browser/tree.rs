//! A page as a model reads it: its accessibility tree, a line a node, with a number for each node that something can be done
//! with. Pure.
//!
//! **Invariant:** a description is no longer than asked for; what is in view goes before what is not, and what is left out is
//! counted.
//! **Invariant:** a node keeps its number for as long as it lives, so that two descriptions differ only where the page does.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

/// Most nodes looked at.
const MOST_NODES: usize = 50_000;
/// Longest name or value of a node.
const LONGEST_NAME: usize = 300;
/// Longest running text of a node.
const LONGEST_TEXT: usize = 2_000;
/// Deepest indentation.
const DEEPEST: usize = 12;

/// Roles with which something can be done.
const DOABLE: [&str; 19] = [
    "button",
    "checkbox",
    "combobox",
    "gridcell",
    "link",
    "listbox",
    "menuitem",
    "menuitemcheckbox",
    "menuitemradio",
    "option",
    "radio",
    "searchbox",
    "slider",
    "spinbutton",
    "switch",
    "tab",
    "textbox",
    "treeitem",
    "DisclosureTriangle",
];
/// Roles that say nothing by themselves.
const SILENT: [&str; 13] = [
    "generic",
    "none",
    "presentation",
    "InlineTextBox",
    "LineBreak",
    "RootWebArea",
    "paragraph",
    "LayoutTable",
    "LayoutTableRow",
    "LayoutTableCell",
    "ListMarker",
    "MenuListPopup",
    "LabelText",
];
/// States that are said where they hold.
const STATES: [&str; 12] = [
    "focused", "checked", "selected", "expanded", "disabled", "required", "pressed", "readonly", "invalid", "level",
    "modal", "busy",
];

/// A node as the protocol gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    node_id: String,
    #[serde(default)]
    ignored: bool,
    role: Option<Said>,
    name: Option<Said>,
    value: Option<Said>,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    child_ids: Vec<String>,
    parent_id: Option<String>,
    #[serde(rename = "backendDOMNodeId")]
    backend: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
    value: Said,
}

impl Said {
    fn text(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }
}

/// Numbers of nodes, for as long as a document lives.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    of: BTreeMap<u64, u64>,
    last: u64,
}

impl Numbers {
    /// A new document: its nodes get numbers that none had before, so that an old one means nothing rather than another.
    pub fn forget(&mut self) {
        self.of.clear();
    }

    fn give(&mut self, backend: u64) -> u64 {
        *self.of.entry(backend).or_insert_with(|| {
            self.last += 1;
            self.last
        })
    }

    /// The node of a number.
    pub fn node(&self, number: u64) -> Option<u64> {
        self.of.iter().find(|(_, known)| **known == number).map(|(backend, _)| *backend)
    }
}

/// A line of the description.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    in_view: bool,
}

/// Describes a page in at most about `most` bytes. `in_view` are the nodes that a person would see now.
pub(super) fn describe(nodes: &[Node], in_view: &HashSet<u64>, numbers: &mut Numbers, most: usize) -> String {
    fit(&lines(nodes, in_view, numbers), most)
}

fn lines(nodes: &[Node], in_view: &HashSet<u64>, numbers: &mut Numbers) -> Vec<Line> {
    let by_id: HashMap<&str, &Node> = nodes.iter().map(|node| (node.node_id.as_str(), node)).collect();
    let roots = nodes.iter().filter(|node| node.parent_id.as_deref().is_none_or(|parent| !by_id.contains_key(parent)));
    // Not by recursion: a page may be as deep as it likes.
    let mut open: Vec<(&Node, usize, String)> = roots.map(|node| (node, 0, String::new())).collect();
    open.reverse();
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    while let Some((node, depth, above)) = open.pop() {
        if seen.len() >= MOST_NODES || !seen.insert(node.node_id.as_str()) {
            continue;
        }
        let line = if node.ignored { None } else { said(node, &above, numbers) };
        let name = match &line {
            Some(_) => node.name.as_ref().map(Said::text).unwrap_or_default(),
            None => above,
        };
        let beneath = depth + usize::from(line.is_some());
        if let Some(text) = line {
            let text = format!("{}- {text}", "  ".repeat(depth.min(DEEPEST)));
            lines.push(Line { text, in_view: node.backend.is_some_and(|backend| in_view.contains(&backend)) });
        }
        let children = node.child_ids.iter().rev().filter_map(|id| by_id.get(id.as_str()));
        open.extend(children.map(|child| (*child, beneath, name.clone())));
    }
    lines
}

/// What is said of a node; nothing of one that only groups others, or that repeats what stands above it.
fn said(node: &Node, above: &str, numbers: &mut Numbers) -> Option<String> {
    let role = node.role.as_ref().map(Said::text).unwrap_or_default();
    let name = node.name.as_ref().map(Said::text).unwrap_or_default();
    if role == "StaticText" {
        let repeats = name.trim().is_empty() || above.contains(name.trim());
        return (!repeats).then(|| format!("text {}", quoted(&name, LONGEST_TEXT)));
    }
    // What can be typed into without being a field of a form; the inside of a field is not focusable itself.
    let doable = DOABLE.contains(&role.as_str()) || (node.is("editable") && node.is("focusable"));
    if (SILENT.contains(&role.as_str()) && !doable) || role.is_empty() {
        return None;
    }
    let mut text = role;
    if !name.trim().is_empty() {
        text.push_str(&format!(" {}", quoted(&name, LONGEST_NAME)));
    }
    if let (true, Some(backend)) = (doable, node.backend) {
        text.push_str(&format!(" [{}]", numbers.give(backend)));
    }
    let value = node.value.as_ref().map(Said::text).unwrap_or_default();
    if !value.is_empty() {
        text.push_str(&format!(" value={}", quoted(&value, LONGEST_NAME)));
    }
    for property in &node.properties {
        let value = property.value.text();
        match value.as_str() {
            "false" | "" => {}
            "true" if STATES.contains(&property.name.as_str()) => text.push_str(&format!(" {}", property.name)),
            _other if STATES.contains(&property.name.as_str()) => text.push_str(&format!(" {}={value}", property.name)),
            _other if property.name == "url" => text.push_str(&format!(" url={}", quoted(&value, LONGEST_NAME))),
            _other => {}
        }
    }
    Some(text)
}

impl Node {
    fn is(&self, property: &str) -> bool {
        self.properties.iter().any(|one| one.name == property && !matches!(one.value.text().as_str(), "" | "false"))
    }
}

/// On one line, in quotes, and not too long.
fn quoted(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let mut short: String = joined.chars().take(most).collect();
    if short.len() < joined.len() {
        short.push('…');
    }
    // Quotes within would let a name end before its end.
    format!("\"{}\"", short.replace('"', "'"))
}

/// As many lines as fit, those in view first, in the order of the page.
fn fit(lines: &[Line], most: usize) -> String {
    let mut left = most;
    let mut kept = vec![false; lines.len()];
    for in_view in [true, false] {
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.in_view == in_view) {
            let cost = line.text.len() + 1;
            if cost > left {
                break;
            }
            left -= cost;
            kept[index] = true;
        }
    }
    let mut text = String::new();
    let mut left_out = 0;
    for (line, kept) in lines.iter().zip(&kept) {
        if *kept {
            gap(&mut text, &mut left_out);
            text.push_str(&line.text);
            text.push('\n');
        } else {
            left_out += 1;
        }
    }
    gap(&mut text, &mut left_out);
    text
}

fn gap(text: &mut String, left_out: &mut usize) {
    if *left_out > 0 {
        text.push_str(&format!("[{left_out} lines left out; scroll to see them]\n"));
        *left_out = 0;
    }
}

/// What changed from one description to the next, or the whole where that is shorter.
pub(super) fn difference(before: &str, after: &str) -> String {
    if before == after {
        return "[the page is as before]\n".to_owned();
    }
    let difference = similar::TextDiff::configure()
        .timeout(std::time::Duration::from_millis(500))
        .diff_lines(before, after)
        .unified_diff()
        .context_radius(1)
        .to_string();
    if difference.len() < after.len() {
        format!("[what changed; the rest is as before]\n{difference}")
    } else {
        after.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::{Node, Numbers, describe, difference};

    fn nodes(value: serde_json::Value) -> Vec<Node> {
        serde_json::from_value(value).expect("nodes")
    }

    fn page() -> Vec<Node> {
        nodes(json!([
            {"nodeId": "1", "role": {"value": "RootWebArea"}, "childIds": ["2", "4", "6"], "backendDOMNodeId": 1},
            {"nodeId": "2", "role": {"value": "heading"}, "name": {"value": "Hi"}, "childIds": ["3"], "parentId": "1",
             "backendDOMNodeId": 2, "properties": [{"name": "level", "value": {"value": 1}}]},
            {"nodeId": "3", "role": {"value": "StaticText"}, "name": {"value": "Hi"}, "parentId": "2"},
            {"nodeId": "4", "ignored": true, "role": {"value": "none"}, "childIds": ["5"], "parentId": "1"},
            {"nodeId": "5", "role": {"value": "link"}, "name": {"value": "a \"b\"\n c"}, "parentId": "4",
             "backendDOMNodeId": 5, "properties": [{"name": "focused", "value": {"value": true}}]},
            {"nodeId": "6", "role": {"value": "textbox"}, "name": {"value": "Name"}, "value": {"value": "x"},
             "parentId": "1", "backendDOMNodeId": 6, "childIds": ["1"]},
        ]))
    }

    #[test]
    fn roles_names_values_states_and_numbers() {
        let mut numbers = Numbers::default();
        let text = describe(&page(), &HashSet::new(), &mut numbers, 1_000);
        assert_eq!(
            text,
            "- heading \"Hi\" level=1\n- link \"a 'b' c\" [1] focused\n- textbox \"Name\" [2] value=\"x\"\n"
        );
        assert_eq!((numbers.node(1), numbers.node(2), numbers.node(3)), (Some(5), Some(6), None));
        assert_eq!(describe(&page(), &HashSet::new(), &mut numbers, 1_000), text, "numbers stay");
        numbers.forget();
        assert_eq!(numbers.node(1), None);
        assert!(describe(&page(), &HashSet::new(), &mut numbers, 1_000).contains("[3]"), "no number twice");
    }

    #[test]
    fn what_is_in_view_goes_first() {
        let view = HashSet::from([6]);
        let text = describe(&page(), &view, &mut Numbers::default(), 35);
        assert_eq!(text, "[2 lines left out; scroll to see them]\n- textbox \"Name\" [2] value=\"x\"\n");
    }

    #[test]
    fn only_what_changed() {
        let before: String = (0..50).map(|line| format!("- line {line}\n")).collect();
        let after = before.replace("line 30\n", "line thirty\n");
        let changed = difference(&before, &after);
        assert!(changed.contains("-- line 30\n+- line thirty\n") && changed.len() < 200, "{changed}");
        assert_eq!(difference(&before, "- short\n"), "- short\n");
        assert_eq!(difference(&before, &before), "[the page is as before]\n");
    }

    #[test]
    fn deep_trees_and_circles_end() {
        let all: Vec<_> = (0..60_000)
            .map(|n| json!({"nodeId": n.to_string(), "role": {"value": "button"}, "backendDOMNodeId": n,
                "childIds": [(n + 1).to_string(), "0"], "parentId": if n == 0 { None } else { Some((n - 1).to_string()) }}))
            .collect();
        let text = describe(&nodes(json!(all)), &HashSet::new(), &mut Numbers::default(), 2_000);
        assert!(text.len() < 2_100 && text.contains("lines left out"), "{}", text.len());
    }
}
