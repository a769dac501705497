//! `shell`: a command line in the process jail.

use std::sync::Arc;

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
    egress::Dialler,
    gate,
    hand::{Hand, Work},
    jail::{Jail, Settings, Task, Unran},
    outcome,
};

const NAME: &str = "shell";
const FIELDS: [&str; 4] = ["command", "stdin", "cwd", "net"];
/// The kernel takes no longer argument.
const LONGEST: usize = 128 << 10;

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"command":{"description":"A command line for sh.","maxLength":131071,"minLength":1,"type":"string"},"cwd":{"description":"The absolute path of a folder to start in; /tmp where nothing is said.","pattern":"^/","type":"string"},"net":{"description":"The hosts it connects to, each [http://]HOST[:PORT], https where nothing is said; through the proxy that HTTP_PROXY and HTTPS_PROXY name.","items":{"type":"string"},"type":"array"},"stdin":{"description":"What the command reads.","type":"string"}},"required":["command"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    command: String,
    stdin: Option<String>,
    cwd: Option<String>,
    #[serde(default)]
    net: Vec<String>,
}

/// Runs command lines.
#[derive(Debug)]
pub struct Shell {
    jail: Jail,
    dialler: Arc<Dialler>,
    spec: ToolSpec,
}

impl Shell {
    /// The tool, in jails of these settings; their way out is the dialler.
    pub fn new(settings: Settings, dialler: Arc<Dialler>) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description: "Run a command line with sh, in a sandbox: the system's programs, an empty /tmp that lasts for this \
                          call, and the paths that were granted, each at its own place. It has no network; with `net`, \
                          http and https to those hosts through a proxy that the environment names. What is left running \
                          in the background ends with the command. Gives both output streams as they came, and the exit \
                          code where it is not 0."
                .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: false,
        };
        Self { jail: Jail::new(settings), dialler, spec }
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
        let Arguments { command, stdin: _, cwd: _, net } = parse(arguments)?;
        let mut needs = vec![Item::Run { tier: Tier::Process, image: None, command: Some(command) }];
        needs.extend(gate::needs(NAME, &net)?);
        Ok(needs)
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let Arguments { command, stdin, cwd, net } = parse(arguments)?;
            let hosts = gate::needs(NAME, &net)?;
            let line = (!hosts.is_empty()).then(|| self.dialler.line_to(work, hosts));
            let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), command];
            match self.jail.run(work, Task { command, stdin, cwd }, line.as_ref()).await {
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

    use super::{Arc, Dialler, Hand, Settings, Shell};
    use crate::egress;

    fn shell() -> Shell {
        let dialler = Dialler::new(egress::Settings::default()).expect("a dialler");
        Shell::new(Settings::default(), Arc::new(dialler))
    }

    #[test]
    fn what_is_shown_is_what_runs() {
        let shell = shell();
        let line = "make test; curl 'x' > /dev/null";
        let arguments = serde_json::json!({ "command": line }).to_string();
        let wanted: Item = format!("run:process={line}").parse().expect("an item");
        assert_eq!(shell.needs(&arguments), Ok(vec![wanted.clone()]));
        let arguments = serde_json::json!({ "command": line, "net": ["a.org"] }).to_string();
        let host: Item = "net:a.org".parse().expect("an item");
        assert_eq!(shell.needs(&arguments), Ok(vec![wanted, host]));
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        let shell = shell();
        for (arguments, why) in [
            (r#"{"command":" "}"#, "empty"),
            (r#"{"command":"a\u0000b"}"#, "NUL"),
            (r#"{"command":"a","cwd":"b"}"#, "absolute"),
            (r#"{"comand":"a"}"#, "did you mean `command`"),
            (r#"{"command":"a","net":["*.a.org"]}"#, "one by one"),
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
