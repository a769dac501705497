//! `ii guardian charters`: what guardians may do, signed by you.

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::signer::Signatory;
use common_ground::{
    Millis, RunId,
    guardian::{ActKind, Charter, Scope, Standing},
};
use guardian::charter;
use receipts::PublicKey;
use serde_json::json;

use super::{deliver, sentinel};
use crate::{
    cli::{Program, print_json, runs, shown},
    exit::{Exit, Failure},
    failures::{from_journal, from_signer},
    guardians::{self, Kept},
    identities, show, wiring,
};

/// Subcommands of `ii guardian charters`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List the charters of this home.
    List,
    /// Make a charter for the guardian of this home and sign it.
    Make(Box<Make>),
    /// Have a run that was opened before obey a charter too; runs opened later do by themselves.
    Register {
        /// The charter's name.
        name: String,
        /// The run's id, or its beginning.
        run: String,
    },
}

/// Arguments of `ii guardian charters make`.
#[derive(Debug, clap::Args)]
pub struct Make {
    /// Its name.
    name: String,
    /// What orders under it may do: pause, resume, cancel, revoke, quarantine, drain, answer. Can be given more than once;
    /// everything when none is given, and nothing where it cosigns.
    #[arg(long, value_name = "ACT")]
    act: Vec<String>,
    /// Acts that need as many signatures as --quorum says; cancel and revoke when none is given.
    #[arg(long, value_name = "ACT")]
    critical: Vec<String>,
    /// Public keys of further people who may sign orders. Can be given more than once.
    #[arg(long, value_name = "KEY")]
    person: Vec<PublicKey>,
    /// Signatures that a critical act needs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    quorum: u32,
    /// What the guardian may have done by itself: a pause of so many seconds when this rule speaks. Can be given more than once.
    #[arg(long, value_name = "RULE=SECONDS", value_parser = standing)]
    standing: Vec<(String, u64)>,
    /// Watch by this rule, with this threshold; all with their usual ones when none is given.
    #[arg(long, value_name = "RULE=THRESHOLD", value_parser = standing)]
    rule: Vec<(String, u64)>,
    /// Charter this guardian, by its public key, instead of the one of this home: a witness, by the key that `ii-ledger keys`
    /// prints.
    #[arg(long, value_name = "KEY")]
    guardian: Option<PublicKey>,
    /// Let it cosign heads of this log as its witness, by the log's name. Can be given more than once.
    #[arg(long, value_name = "LOG")]
    cosign: Vec<String>,
    /// Only runs that answer from this collection.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Only this run, by its whole id.
    #[arg(long, value_name = "RUN", conflicts_with = "collection")]
    run: Option<RunId>,
    /// How many days it holds.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u64,
}

fn standing(text: &str) -> Result<(String, u64), String> {
    let (rule, number) = text.split_once('=').ok_or("write it as NAME=NUMBER")?;
    let number = number.parse().map_err(|_not| format!("{number} is no whole number"))?;
    Ok((rule.to_owned(), number))
}

const DAY_MS: u64 = 86_400_000;

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::List => list(program),
        Args::Make(make) => make_one(*make, program),
        Args::Register { name, run } => register(program, &name, &run).await,
    }
}

/// A charter's state in words.
pub(super) fn state(terms: &Charter, now: Millis) -> String {
    let acts: Vec<&str> = terms.acts.iter().map(|act| act.name()).collect();
    let left = terms.not_after.since(now) / DAY_MS;
    let holds = if now > terms.not_after { "over".to_owned() } else { format!("{left} days left") };
    let logs: Vec<&str> = terms.cosigns.iter().map(String::as_str).collect();
    let may = [("may ask for", acts), ("cosigns heads of", logs)];
    let may = may.iter().filter(|(_, what)| !what.is_empty()).map(|(may, what)| format!(", {may} {}", what.join(", ")));
    show::plain(&format!("version {}, {holds}{}", terms.version, may.collect::<String>()))
}

/// A charter as JSON.
pub(super) fn json_of(kept: &Kept, now: Millis) -> serde_json::Value {
    let holds = kept.terms.not_before <= now && now <= kept.terms.not_after;
    json!({"name": kept.name, "id": kept.id, "holds": holds, "charter": kept.terms})
}

fn list(program: &Program) -> Result<Exit, Failure> {
    let (charters, bad) = guardians::charters(&program.home)?;
    let now = Millis(program.wiring.clock.now_ms());
    if program.json {
        let charters: Vec<_> = charters.iter().map(|kept| json_of(kept, now)).collect();
        print_json(&json!({"charters": charters, "unreadable": bad}));
        return Ok(Exit::Completed);
    }
    for kept in &charters {
        println!("{:<16} {}\n{:<16} {}", show::plain(&kept.name), kept.id, "", state(&kept.terms, now));
    }
    for name in &bad {
        println!("{:<16} not believed: it is no charter, or a signature does not verify", show::plain(name));
    }
    if charters.is_empty() && bad.is_empty() {
        eprintln!("ii: no charters yet; `ii guardian charters make NAME` makes one");
    }
    Ok(Exit::Completed)
}

fn kinds(names: &[String], none: &[ActKind]) -> Result<BTreeSet<ActKind>, Failure> {
    if names.is_empty() {
        return Ok(none.iter().copied().collect());
    }
    let kind = |name: &String| {
        let known: Vec<&str> = ActKind::ALL.iter().map(|kind| kind.name()).collect();
        ActKind::named(name).ok_or_else(|| {
            let what = format!("there is no act {}", show::plain(name));
            Failure::new(Exit::Usage, what, format!("the acts are {}", known.join(", ")))
        })
    };
    names.iter().map(kind).collect()
}

fn make_one(make: Make, program: &Program) -> Result<Exit, Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if make.name.is_empty() || make.name.len() > 64 || !make.name.bytes().all(plain) {
        let what = format!("`{}` is no name of a charter", show::plain(&make.name));
        return Err(Failure::new(Exit::Usage, what, "use lower-case letters, digits and hyphens"));
    }
    let rules: BTreeMap<String, u64> = make.rule.into_iter().collect();
    sentinel::thresholds(&rules)?;
    let named: BTreeMap<String, u64> = make.standing.iter().cloned().collect();
    sentinel::thresholds(&named)?;
    let person = Signatory::Person.public(&program.home).map_err(|error| from_signer(&error))?;
    let guardian = match make.guardian {
        Some(key) => key,
        None => Signatory::Guardian.public(&program.home).map_err(|error| from_signer(&error))?,
    };
    let (known, _) = guardians::charters(&program.home)?;
    let version = known.iter().filter(|kept| kept.terms.guardian == guardian).map(|kept| kept.terms.version).max();
    let now = program.wiring.clock.now_ms();
    let persons: BTreeSet<PublicKey> = make.person.into_iter().chain([person]).collect();
    if make.quorum == 0 || make.quorum as usize > persons.len() {
        let what = format!("{} signatures of {} people are wanted", make.quorum, persons.len());
        return Err(Failure::new(Exit::Usage, what, "name more people with --person, or lower --quorum"));
    }
    let scope = match (make.collection, make.run) {
        (Some(name), _) => Scope::Collection { name },
        (None, Some(run)) => Scope::One { run },
        (None, None) => Scope::Every,
    };
    let terms = Charter {
        name: make.name.clone(),
        guardian,
        version: version.unwrap_or(0) + 1,
        scope,
        rules,
        acts: kinds(&make.act, if make.cosign.is_empty() { &ActKind::ALL } else { &[] })?,
        critical: kinds(&make.critical, &[ActKind::Cancel, ActKind::Revoke])?,
        persons,
        quorum: make.quorum,
        standing: named
            .into_iter()
            .map(|(rule, seconds)| Standing { rule, most_ms: seconds.saturating_mul(1000) })
            .collect(),
        cosigns: make.cosign.into_iter().collect(),
        not_before: Millis(now),
        not_after: Millis(now.saturating_add(make.days.saturating_mul(DAY_MS))),
    };
    let payload = charter::payload(&terms, &[person].into()).map_err(Failure::internal)?;
    let bytes = Signatory::Person.sign(&program.home, payload).map_err(|error| from_signer(&error))?;
    let path = guardians::keep_charter(&program.home, &make.name, &bytes)?;
    let id = charter::open(&bytes).id;
    let file = String::from_utf8(bytes).map_err(Failure::internal)?;
    let kept = Kept { name: make.name.clone(), id, terms: terms.clone(), file };
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    identities::add(&program.home, &signer, &kept)?;
    if program.json {
        print_json(&json!({"name": make.name, "id": id, "file": shown(&path), "charter": terms}));
    } else {
        eprintln!("ii: charter {} is in {}; runs opened from now on obey it", make.name, path.display());
    }
    Ok(Exit::Completed)
}

/// The charter of this name, or the only one there is under which anything can be ordered.
pub(super) fn find(program: &Program, name: Option<&str>) -> Result<Kept, Failure> {
    let (charters, _) = guardians::charters(&program.home)?;
    let mut fitting = charters.into_iter().filter(|kept| match name {
        Some(name) => kept.name == name,
        None => !kept.terms.acts.is_empty(),
    });
    match (fitting.next(), fitting.next(), name) {
        (Some(kept), None, _) => Ok(kept),
        (None, _, Some(name)) => {
            let what = format!("there is no charter {}", show::plain(name));
            Err(Failure::new(Exit::Usage, what, "`ii guardian charters list` shows those there are"))
        }
        (None, _, None) => Err(Failure::new(
            Exit::Refused,
            "there is no charter, and without one no order has any effect",
            "`ii guardian charters make NAME` makes one",
        )),
        (Some(_), Some(_), _) => {
            Err(Failure::new(Exit::Usage, "there is more than one charter", "name one with --charter"))
        }
    }
}

async fn register(program: &Program, name: &str, run: &str) -> Result<Exit, Failure> {
    let kept = find(program, Some(name))?;
    let (_, id) = runs::find(program, run).await?;
    let journal = deliver::journal(program).await?;
    let done = deliver::charter(program, &journal, id, &kept).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    done?;
    if program.json {
        print_json(&json!({"run": id, "charter": kept.id, "registered": true}));
    } else {
        eprintln!("ii: run {id} obeys {} from now on", kept.name);
    }
    Ok(Exit::Completed)
}
