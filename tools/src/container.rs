//! `container`: a command in a container of its own.

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
    docker::{Docker, Task, Unran},
    egress::Dialler,
    gate,
    hand::{Hand, Work},
    outcome,
};

const NAME: &str = "container";
const FIELDS: [&str; 4] = ["image", "command", "stdin", "net"];

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"command":{"description":"The program and its arguments, one each; no shell reads them.","items":{"type":"string"},"minItems":1,"type":"array"},"image":{"description":"An image that the engine has; the usual one where nothing is said.","minLength":1,"type":"string"},"net":{"description":"The hosts it connects to, each [http://]HOST[:PORT], https where nothing is said; through the proxy that HTTP_PROXY and HTTPS_PROXY name.","items":{"type":"string"},"type":"array"},"stdin":{"description":"What the command reads.","type":"string"}},"required":["command"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    image: Option<String>,
    command: Vec<String>,
    stdin: Option<String>,
    #[serde(default)]
    net: Vec<String>,
}

/// Runs commands in containers of one engine.
#[derive(Debug)]
pub struct Container {
    docker: Arc<Docker>,
    dialler: Arc<Dialler>,
    spec: ToolSpec,
}

impl Container {
    /// The tool over an engine; its containers' way out is the dialler.
    pub fn new(docker: Arc<Docker>, dialler: Arc<Dialler>) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description: "Run a program in a container: the image's files read-only, an empty /tmp that lasts for this call, \
                          and the paths that were granted, each at its own place. It has no network; with `net`, http and \
                          https to those hosts through a proxy that the environment names. For a shell, the command is sh, \
                          -c and the line. Gives both output streams as they came, and the exit code where it is not 0."
                .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: false,
        };
        Self { docker, dialler, spec }
    }

    /// What is to be run, and where it connects to.
    fn task(&self, text: &str) -> Result<(Task, Vec<Item>), ToolError> {
        let Arguments { image, command, stdin, net } = arguments::parse(NAME, &FIELDS, text)?;
        let refuse = |reason: &str| arguments::refuse(NAME, reason.to_owned());
        let image = image.or_else(|| self.docker.settings().image.clone());
        let image = image.ok_or_else(|| refuse("`image` is missing, and the settings name none"))?;
        // An image's name ends at the first `=` in a grant, and anything else in it could pass for another image's.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
        if image.is_empty() || !image.bytes().all(is_plain) {
            return Err(refuse("`image` is letters, digits and . _ - / : @"));
        }
        if command.first().is_none_or(String::is_empty) {
            return Err(refuse("`command` names no program"));
        }
        Ok((Task { image, command, stdin }, gate::needs(NAME, &net)?))
    }
}

impl Hand for Container {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Docker
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        let (Task { image, command, stdin: _ }, hosts) = self.task(arguments)?;
        let line = shlex::try_join(command.iter().map(String::as_str));
        let line = line.map_err(|error| arguments::refuse(NAME, format!("`command`: {error}")))?;
        let run = Item::Run { tier: Tier::Docker, image: Some(image), command: Some(line) };
        Ok([run].into_iter().chain(hosts).collect())
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let (task, hosts) = self.task(arguments)?;
            let line = (!hosts.is_empty()).then(|| self.dialler.line_to(work, hosts));
            match self.docker.run(work, task, line.as_ref()).await {
                Ok((output, exit)) => outcome::told(NAME, work, output, exit),
                Err(Unran::Refused(reason)) => {
                    work.ended(Exit::Refused);
                    Err(ToolError::Refused { tool: NAME.to_owned(), reason })
                }
                Err(error @ (Unran::Absent(_) | Unran::Engine(_))) => {
                    Err(ToolError::Failed { tool: NAME.to_owned(), reason: error.to_string() })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Container, Dialler, Docker, Hand, Item};
    use crate::{docker::Settings, egress};

    fn container(image: Option<&str>) -> Container {
        let settings = Settings { image: image.map(str::to_owned), ..Settings::default() };
        let dialler = Dialler::new(egress::Settings::default()).expect("a dialler");
        Container::new(Arc::new(Docker::new(settings)), Arc::new(dialler))
    }

    #[test]
    fn what_is_shown_is_what_runs() {
        for (arguments, wanted) in [
            (r#"{"command":["sh","-c","a=b; echo 'x y'"]}"#, r#"run:docker:usual=sh -c "a=b; echo 'x y'""#),
            (r#"{"command":["sh","-c","ls"],"image":"a/b:1"}"#, "run:docker:a/b:1=sh -c ls"),
            (r#"{"command":["rm","a b"]}"#, "run:docker:usual=rm 'a b'"),
        ] {
            let wanted: Item = wanted.parse().expect("an item");
            assert_eq!(container(Some("usual")).needs(arguments), Ok(vec![wanted]));
        }
        let needs = container(Some("usual")).needs(r#"{"command":["ls"],"net":["http://a.org"]}"#).expect("needs");
        let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
        assert_eq!(needs, ["run:docker:usual=ls", "net:http://a.org:80"]);
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        for (arguments, why) in [
            (r#"{"command":["ls"]}"#, "settings name none"),
            (r#"{"command":[],"image":"a"}"#, "no program"),
            (r#"{"command":["ls"],"image":"a=b"}"#, "letters"),
            (r#"{"command":["ls\u0000"],"image":"a"}"#, "`command`"),
            (r#"{"comand":["ls"],"image":"a"}"#, "did you mean `command`"),
        ] {
            let refused = container(None).needs(arguments).expect_err(arguments).to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
