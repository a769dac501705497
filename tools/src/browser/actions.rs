//! What can be asked of a page.

use common_ground::port::tool::ToolError;
use serde::Deserialize;

use crate::{arguments, egress::Target};

/// Name of the tool.
pub(super) const NAME: &str = "browse";
const FIELDS: [&str; 9] = ["action", "url", "ref", "text", "submit", "option", "key", "direction", "seconds"];
/// Longest text typed at once.
const LONGEST_TEXT: usize = 20_000;
/// Longest wait asked for, in seconds.
const LONGEST_WAIT: u8 = 20;

/// JSON Schema of [`Action`], canonical. Flat, since grammars of model servers know few ways to say "one of".
pub(super) const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"action":{"description":"open a `url`; click a `ref`; type `text` into a `ref`, replacing what is there; select an `option` of a `ref`; press a `key`; scroll in a `direction`; wait some `seconds`, since a page stands still between calls; back; snapshot for the whole page; close.","enum":["open","click","type","select","press","scroll","wait","back","snapshot","close"],"type":"string"},"direction":{"enum":["up","down"],"type":"string"},"key":{"enum":["Enter","Tab","Escape","Backspace","Delete","Space","PageUp","PageDown","End","Home","ArrowLeft","ArrowUp","ArrowRight","ArrowDown"],"type":"string"},"option":{"description":"An option's text or value.","type":"string"},"ref":{"description":"The number in brackets after a node.","minimum":1,"type":"integer"},"seconds":{"maximum":20,"minimum":1,"type":"integer"},"submit":{"description":"Whether to press Enter after typing.","type":"boolean"},"text":{"maxLength":20000,"type":"string"},"url":{"description":"Address of a page, http or https.","type":"string"}},"required":["action"],"type":"object"}"#;

/// Where to scroll.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Up,
    Down,
}

/// One thing to do.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Action {
    Open {
        url: String,
    },
    Click {
        #[serde(rename = "ref")]
        node: u64,
    },
    Type {
        #[serde(rename = "ref")]
        node: u64,
        text: String,
        submit: Option<bool>,
    },
    Select {
        #[serde(rename = "ref")]
        node: u64,
        option: String,
    },
    Press {
        key: String,
    },
    Scroll {
        direction: Direction,
    },
    Wait {
        seconds: u8,
    },
    Back {},
    Snapshot {},
    Close {},
}

impl Action {
    /// Reads an action.
    pub fn parse(text: &str) -> Result<Self, ToolError> {
        let action: Self = arguments::parse(NAME, &FIELDS, text)?;
        match &action {
            Self::Type { text, .. } if text.len() > LONGEST_TEXT => {
                Err(arguments::refuse(NAME, format!("`text` has {} bytes, more than {LONGEST_TEXT}", text.len())))
            }
            Self::Wait { seconds } if !(1..=LONGEST_WAIT).contains(seconds) => {
                Err(arguments::refuse(NAME, format!("`seconds` is {seconds}, not 1 to {LONGEST_WAIT}")))
            }
            Self::Open { url } => match Target::parse(url) {
                Ok(_) => Ok(action),
                Err(error) => Err(arguments::refuse(NAME, format!("`url` {error}"))),
            },
            Self::Click { .. }
            | Self::Type { .. }
            | Self::Select { .. }
            | Self::Press { .. }
            | Self::Scroll { .. }
            | Self::Wait { .. }
            | Self::Back {}
            | Self::Snapshot {}
            | Self::Close {} => Ok(action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, SCHEMA};

    #[test]
    fn what_is_an_action() {
        for (text, good) in [
            (r#"{"action":"open","url":"https://a.org/"}"#, true),
            (r#"{"action":"open","url":"file:///etc/passwd"}"#, false),
            (r#"{"action":"open","url":"chrome://settings"}"#, false),
            (r#"{"action":"open","url":"javascript:alert(1)"}"#, false),
            (r#"{"action":"open"}"#, false),
            (r#"{"action":"click","ref":1}"#, true),
            (r#"{"action":"click","ref":1,"url":"x"}"#, false),
            (r#"{"action":"type","ref":1,"text":"a"}"#, true),
            (r#"{"action":"type","ref":1,"text":"a","submit":true}"#, true),
            (r#"{"action":"select","ref":1,"option":"a"}"#, true),
            (r#"{"action":"press","key":"Enter"}"#, true),
            (r#"{"action":"scroll","direction":"down"}"#, true),
            (r#"{"action":"wait","seconds":20}"#, true),
            (r#"{"action":"wait","seconds":0}"#, false),
            (r#"{"action":"wait","seconds":21}"#, false),
            (r#"{"action":"back"}"#, true),
            (r#"{"action":"back","ref":1}"#, false),
            (r#"{"action":"snapshot"}"#, true),
            (r#"{"action":"close"}"#, true),
            (r#"{"action":"fly"}"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(Action::parse(text).is_ok(), good, "{text}: {:?}", Action::parse(text));
        }
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        assert_eq!(schema.to_string(), SCHEMA, "canonical text");
    }
}
