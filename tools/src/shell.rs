//! `shell`: a command line in the process jail.

use common_ground::{
    grant::{Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
    record::Exit,
};
use serde::Deserialize;

use crate::{
    arguments,
    hand::{Hand, Work},
    jail::{Jail, Settings, Task, Unran},
    outcome,
};

const NAME: &str = "shell";
const FIELDS: [&str; 3] = ["command", "stdin", "cwd"];
/// The kernel takes no longer argument.
const LONGEST: usize = 128 << 10;

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"command":{"description":"A command line for sh.","maxLength":131071,"minLength":1,"type":"string"},"cwd":{"description":"The absolute path of a folder to start in; /tmp where nothing is said.","pattern":"^/","type":"string"},"stdin":{"description":"What the command reads.","type":"string"}},"required":["command"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    command: String,
    stdin: Option<String>,
    cwd: Option<String>,
}

/// Runs command lines.
#[derive(Debug)]
pub struct Shell {
    jail: Jail,
    spec: ToolSpec,
}

impl Shell {
    /// The tool, in jails of these settings.
    pub fn new(settings: Settings) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description: "Run a command line with sh, in a sandbox without a network: the system's programs, an empty /tmp \
                          that lasts for this call, and the paths that were granted, each at its own place. What is left \
                          running in the background ends with the command. Gives both output streams as they came, and \
                          the exit code where it is not 0."
                .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: false,
        };
        Self { jail: Jail::new(settings), spec }
    }
}

fn parse(text: &str) -> Result<Arguments, ToolError> {
    let arguments: Arguments = arguments::parse(NAME, &FIELDS, text)?;
    let refuse = |reason: &str| Err(arguments::refuse(NAME, reason.to_owned()));
    if arguments.command.trim().is_empty() {
        return refuse("`command` is empty");
    }
    if arguments.command.len() >= LONGEST {
        return refuse("`command` is longer than 131071 bytes; pass the long part as `stdin`");
    }
    if arguments.command.contains('\0') || arguments.cwd.as_ref().is_some_and(|cwd| cwd.contains('\0')) {
        return refuse("no command and no path has a NUL character");
    }
    if arguments.cwd.as_ref().is_some_and(|cwd| !cwd.starts_with('/')) {
        return refuse("`cwd` is an absolute path");
    }
    Ok(arguments)
}

impl Hand for Shell {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Process
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        let Arguments { command, stdin: _, cwd: _ } = parse(arguments)?;
        Ok(vec![Item::Run { tier: Tier::Process, image: None, command: Some(command) }])
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let Arguments { command, stdin, cwd } = parse(arguments)?;
            let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), command];
            match self.jail.run(work, Task { command, stdin, cwd }).await {
                Ok(ran) => outcome::told(NAME, work, ran.output, ran.exit),
                Err(Unran::Refused(reason)) => {
                    work.ended(Exit::Refused);
                    Err(ToolError::Refused { tool: NAME.to_owned(), reason })
                }
                Err(error @ (Unran::Broken(_) | Unran::System(_))) => {
                    // Not with less around it: not at all.
                    work.ended(Exit::Refused);
                    Err(ToolError::Failed { tool: NAME.to_owned(), reason: error.to_string() })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use common_ground::grant::Item;

    use super::{Hand, Settings, Shell};

    #[test]
    fn what_is_shown_is_what_runs() {
        let shell = Shell::new(Settings::default());
        let line = "make test; curl 'x' > /dev/null";
        let arguments = serde_json::json!({ "command": line }).to_string();
        let wanted: Item = format!("run:process={line}").parse().expect("an item");
        assert_eq!(shell.needs(&arguments), Ok(vec![wanted]));
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        let shell = Shell::new(Settings::default());
        for (arguments, why) in [
            (r#"{"command":" "}"#, "empty"),
            (r#"{"command":"a\u0000b"}"#, "NUL"),
            (r#"{"command":"a","cwd":"b"}"#, "absolute"),
            (r#"{"comand":"a"}"#, "did you mean `command`"),
        ] {
            let refused = shell.needs(arguments).expect_err(arguments).to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let long = serde_json::json!({ "command": "x".repeat(131_072) }).to_string();
        assert!(shell.needs(&long).is_err());
        assert!(jsonschema::is_valid(
            &serde_json::from_str(&shell.spec().arguments).expect("JSON"),
            &serde_json::json!({ "command": "ls", "cwd": "/tmp" })
        ));
    }
}
