//! Which tools there are here: those of the commons, and those that reach outside, with what they share.

use std::{path::PathBuf, sync::Arc};

use agent_runtime::home::Home;
use common_ground::port::{
    index::Index,
    tool::{Tool, ToolSpec},
};
use tools::{
    Common, Fetch, Guarded,
    egress::{self, Dialler, Resolver},
};

#[cfg(target_os = "linux")]
use crate::{config::McpServer, servers};
use crate::{
    config::{Config, environment},
    exit::{Exit, Failure},
};

/// Every tool of this program, over an index.
///
/// # Errors
/// Settings that no tools can be made of.
pub async fn all(index: Arc<dyn Index>, home: &Home, config: &Config) -> Result<Vec<Arc<dyn Tool>>, Failure> {
    let mut all = tools::commons(index);
    let outside = outside(home, config, Some(&config.tools)).await?;
    for problem in &outside.problems {
        tracing::warn!(%problem, "no tool");
    }
    all.extend(outside.tools);
    Ok(all)
}

/// The tools that reach outside.
pub struct Outside {
    /// All of the program's own are there; where a tier is not to be had its calls say so, and `ii doctor` how to get it.
    pub tools: Vec<Arc<dyn Tool>>,
    /// What a person put there as a tool and is none, and why; one line each.
    pub problems: Vec<String>,
}

/// The tools that reach outside: the program's own, then the person's components and MCP servers in the order of their
/// names. A server is started only where a tool of it is `wanted`, or all are.
///
/// # Errors
/// A secret whose variable is not set, or certificates that cannot be read.
pub async fn outside(home: &Home, config: &Config, wanted: Option<&[String]>) -> Result<Outside, Failure> {
    let common = Arc::new(Common::new(home.fence(), secrets(config)?));
    let dialler = Arc::new(dialler(config)?);
    let mut all = tools::files(&common);
    all.push(Arc::new(Guarded::new(Fetch::new(Arc::clone(&dialler)), &common)));
    #[cfg(target_os = "linux")]
    all.extend(native::tools(config, &common, &dialler));
    let mut outside = Outside { tools: all, problems: Vec::new() };
    #[cfg(feature = "wasm")]
    outside.add_components(home, &common, Arc::clone(&dialler)).await?;
    #[cfg(target_os = "linux")]
    outside.add_servers((home, config), &common, dialler, wanted).await?;
    #[cfg(not(target_os = "linux"))]
    drop((wanted, dialler));
    Ok(outside)
}

/// The words of every tool of this program, and of the components in the home that are `wanted`; nothing is started, asked or
/// written for it. Servers say their words only when they run, so they are not here.
///
/// # Errors
/// As [`outside`].
pub fn words(home: &Home, config: &Config, wanted: &[String]) -> Result<Vec<ToolSpec>, Failure> {
    let mut words = tools::commons_words().to_vec();
    words.push(agent_runtime::ask_person::words());
    let known = |words: &[ToolSpec], name: &String| words.iter().any(|spec| spec.name == *name);
    if wanted.iter().all(|name| known(&words, name)) {
        return Ok(words);
    }
    let common = Arc::new(Common::new(home.fence(), Vec::new()));
    let dialler = Arc::new(dialler_with(config, Vec::new())?);
    let mut own = tools::files(&common);
    own.push(Arc::new(Guarded::new(Fetch::new(Arc::clone(&dialler)), &common)));
    #[cfg(target_os = "linux")]
    own.extend(native::tools(config, &common, &dialler));
    words.extend(own.iter().map(|tool| tool.spec().clone()));
    #[cfg(feature = "wasm")]
    for name in wanted {
        if !known(&words, name) {
            words.extend(tools::Wasm::words(&home.tools(), name).ok());
        }
    }
    Ok(words)
}

/// The component of this name in the home, to make calls again with that were made before: it keeps nothing and writes nowhere.
///
/// # Errors
/// Why there is none, in one line.
#[cfg(feature = "wasm")]
pub fn component(home: &Home, config: &Config, name: &str) -> Result<Guarded<tools::WasmTool>, String> {
    let known = config.secrets.iter();
    let known = known.filter_map(|(name, variable)| Some((name.clone(), environment(variable)?))).collect();
    let common = Arc::new(Common::new(home.fence(), known));
    let dialler = Arc::new(dialler_with(config, Vec::new()).map_err(|failure| failure.to_string())?);
    let component = tools::Wasm::open_one(&home.tools(), name, &dialler).map_err(|problem| problem.to_string())?;
    Ok(Guarded::new(component, &common))
}

/// What reads pages, and nothing else.
///
/// # Errors
/// As [`outside`].
pub fn fetch(config: &Config) -> Result<Fetch, Failure> {
    Ok(Fetch::new(Arc::new(dialler(config)?)))
}

/// The one way out.
fn dialler(config: &Config) -> Result<Dialler, Failure> {
    dialler_with(config, secrets(config)?)
}

fn dialler_with(config: &Config, secrets: Vec<(String, String)>) -> Result<Dialler, Failure> {
    let secrets = secrets.into_iter().map(|(name, value)| (name, value.into())).collect();
    let settings = egress::Settings { resolver: Resolver::System, authorities: config.ca_file.clone(), secrets };
    Dialler::new(settings).map_err(|error| {
        Failure::new(Exit::Configuration, error.to_string(), "set tools.ca_file to a file of certificates in PEM")
    })
}

#[cfg(target_os = "linux")]
impl Outside {
    async fn add_servers(
        &mut self,
        (home, config): (&Home, &Config),
        common: &Arc<Common>,
        dialler: Arc<Dialler>,
        wanted: Option<&[String]>,
    ) -> Result<(), Failure> {
        let client = native::client_over(dialler);
        let is_wanted = |server: &McpServer| {
            let of_it = |tool: &String| tool.split_once("__").is_some_and(|(name, _)| name == server.name);
            wanted.is_none_or(|wanted| wanted.iter().any(of_it))
        };
        for server in config.servers.iter().filter(|server| is_wanted(server)) {
            match servers::tools(&client, home, server).await? {
                Ok(tools) => {
                    let guarded = tools.into_iter().map(|tool| Arc::new(Guarded::new(tool, common)) as Arc<dyn Tool>);
                    self.tools.extend(guarded);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(())
    }
}

#[cfg(feature = "wasm")]
impl Outside {
    async fn add_components(
        &mut self,
        home: &Home,
        common: &Arc<Common>,
        dialler: Arc<Dialler>,
    ) -> Result<(), Failure> {
        let (folder, compiled) = (home.tools(), home.compiled());
        // Compiles what is new.
        let open = tokio::task::spawn_blocking(move || tools::Wasm::open(&folder, &compiled, &dialler));
        let (components, problems) = open.await.map_err(Failure::internal)?;
        self.problems.extend(problems.iter().map(ToString::to_string));
        for component in components {
            let tool: Arc<dyn Tool> = Arc::new(Guarded::new(component, common));
            let name = &tool.spec().name;
            let is_role =
                agent_runtime::roles::ACTS.contains(&name.as_str()) || tools::COMMONS.contains(&name.as_str());
            if is_role || self.tools.iter().any(|other| other.spec().name == *name) {
                let place = home.tools().join(name);
                self.problems.push(format!("{}: a tool of this name comes with the program", place.display()));
            } else {
                self.tools.push(tool);
            }
        }
        Ok(())
    }
}

/// Names and values. A value is in the environment and nowhere else.
fn secrets(config: &Config) -> Result<Vec<(String, String)>, Failure> {
    let value = |(name, variable): &(String, String)| match environment(variable) {
        Some(value) => Ok((name.clone(), value)),
        None => Err(Failure::new(
            Exit::Configuration,
            format!("the secret {name} is in {variable}, which is not set"),
            format!("set {variable}, or take {name} out of tools.secrets"),
        )),
    };
    config.secrets.iter().map(value).collect()
}

/// Where the folders of browsers are: beside other temporary things, since a socket's path is short.
pub fn browsers() -> PathBuf {
    std::env::temp_dir()
}

#[cfg(target_os = "linux")]
pub(crate) mod native {
    //! Tools that only Linux runs, and what programs that were killed left of them.

    use std::{sync::Arc, time::Duration};

    use common_ground::port::tool::Tool;
    use tools::{
        Browse, BrowserSettings, Chromium, Common, Container, Guarded, Shell,
        docker::{self, Docker},
        egress::Dialler,
        jail::{self, Jail},
        mcp::Client,
    };

    use crate::{config::Config, exit::Failure};

    pub fn tools(config: &Config, common: &Arc<Common>, dialler: &Arc<Dialler>) -> Vec<Arc<dyn Tool>> {
        let browser = BrowserSettings { chromium: chromium(config), folder: super::browsers() };
        vec![
            Arc::new(Guarded::new(Shell::new(jail::Settings::default(), Arc::clone(dialler)), common)),
            Arc::new(Guarded::new(Container::new(Arc::new(docker(config)), Arc::clone(dialler)), common)),
            Arc::new(Guarded::new(Browse::new(Arc::clone(dialler), browser), common)),
        ]
    }

    /// What MCP servers are started and asked by.
    pub fn client(config: &Config) -> Result<Client, Failure> {
        super::dialler(config).map(|dialler| client_over(Arc::new(dialler)))
    }

    pub fn client_over(dialler: Arc<Dialler>) -> Client {
        Client::new(jail::Settings::default(), dialler)
    }

    pub fn jail() -> Jail {
        Jail::new(jail::Settings::default())
    }

    pub fn docker(config: &Config) -> Docker {
        let (host, image) = (config.docker_host.clone(), config.docker_image.clone());
        Docker::new(docker::Settings { host, image, ..docker::Settings::default() })
    }

    pub fn chromium(config: &Config) -> Chromium {
        config.chromium.clone().map_or(Chromium::Found, Chromium::At)
    }

    /// How long an engine may take to say what it has.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Removes what programs that were killed left behind. What cannot be removed now is left for the next start.
    pub async fn sweep(config: &Config) {
        match jail::sweep() {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "groups of jails removed"),
            Err(error) => tracing::warn!(%error, "groups of jails are left"),
        }
        match Browse::clear_leftovers(&super::browsers()) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "browsers removed"),
            Err(error) => tracing::warn!(%error, "browsers are left"),
        }
        match tokio::time::timeout(PATIENCE, docker(config).sweep()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "containers removed"),
            Ok(Err(error)) => tracing::debug!(%error, "no engine to ask for containers"),
            Err(_elapsed) => tracing::warn!("the engine does not say which containers there are"),
        }
    }
}

/// Waits for what the tools are still removing. For the end of the program.
pub fn settle() {
    #[cfg(target_os = "linux")]
    tools::Browse::settle();
}

/// Removes what programs that were killed left behind.
pub async fn sweep(config: &Config) {
    #[cfg(target_os = "linux")]
    native::sweep(config).await;
    #[cfg(not(target_os = "linux"))]
    let Config { .. } = config;
}
