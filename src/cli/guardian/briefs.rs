//! `ii guardian briefs`: what was found, in words for people, with what can be done.

use guardian::adviser::{Brief, brief};
use serde_json::json;

use super::advising;
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    guardians, show,
};

/// Arguments of `ii guardian briefs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only on this run, by its id or its beginning.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Leave the model of `guardian.adviser` out: briefs by rule alone, and no call.
    #[arg(long)]
    by_rule: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let wanted = args.run.unwrap_or_default();
    let concerns = guardians::concerns(&program.home)?.into_iter();
    let mut briefs: Vec<Brief> =
        concerns.filter(|concern| concern.run.to_string().starts_with(&wanted)).map(brief).collect();
    let (config, _) = program.settings(&[])?;
    if let Some(model) = config.adviser.filter(|_| !args.by_rule) {
        advising::advise(program, &model, &mut briefs).await?;
    }
    if program.json {
        print_json(&json!({ "briefs": briefs }));
        return Ok(Exit::Completed);
    }
    if briefs.is_empty() {
        eprintln!("ii: nothing was found; `ii guardian watch` looks");
    }
    for one in &briefs {
        print!("{}", words(one));
    }
    Ok(Exit::Completed)
}

/// A brief as people read it.
pub(super) fn words(brief: &Brief) -> String {
    let concern = &brief.concern;
    let places: Vec<String> = concern.evidence.iter().map(u64::to_string).collect();
    let module = concern.module.map(|module| format!("  module {module}")).unwrap_or_default();
    let mut words = format!(
        "{}  {}  run {}{module}\n  found    {}\n  evidence facts {}\n  next     {}\n",
        concern.severity.name(),
        concern.rule,
        concern.run,
        show::plain(&concern.found),
        places.join(", "),
        brief.next
    );
    for option in &brief.options {
        words.push_str(&format!("  - {}: `{}`\n", option.what, option.command));
    }
    if let Some(advice) = &brief.advice {
        words.push_str(&format!("  {} says: {}\n", advice.by, show::plain(&advice.words)));
        if let Some(option) = advice.option.and_then(|place| brief.options.get(place)) {
            words.push_str(&format!("  it would: {}\n", option.what));
        }
    }
    words
}
