//! `ii guardian order`: one act on one run, signed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use agent_runtime::signer::Signatory;
use common_ground::{
    ApprovalId, Millis, ModuleId, RunId,
    grant::Item,
    guardian::{Act, ActKind, Order, OrderRefusal, Says, Suspect},
};
use guardian::order;
use receipts::{Digest, PublicKey};
use serde_json::json;

use super::{
    charters,
    deliver::{self, Became},
};
use crate::{
    cli::{Program, print_json, runs},
    exit::{Exit, Failure},
    failures::{from_journal, from_signer},
    guardians::Kept,
};

/// Seconds that an order is good for where nothing else is said.
const GOOD_FOR: u64 = 600;

/// Subcommands of `ii guardian order`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Let a run, or a module of it, stand still.
    Pause {
        #[command(flatten)]
        to: To,
        /// No longer than this many seconds.
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Let it go on.
    Resume {
        #[command(flatten)]
        to: To,
    },
    /// Give it up.
    Cancel {
        #[command(flatten)]
        to: To,
    },
    /// Let a run begin nothing new, then stand still.
    Drain {
        #[command(flatten)]
        to: To,
    },
    /// Forbid something from now on, whatever was granted.
    Revoke {
        #[command(flatten)]
        to: To,
        /// What, as --allow takes it.
        item: String,
    },
    /// Have a tool, a model or a skill used no more.
    Quarantine {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        what: What,
    },
    /// Answer a question with yes: a permission for its one call, a required verdict for its module.
    Approve {
        #[command(flatten)]
        to: To,
        /// The question's id.
        approval: ApprovalId,
    },
    /// Answer a question with no.
    Deny {
        #[command(flatten)]
        to: To,
        /// The question's id.
        approval: ApprovalId,
    },
    /// Add a signature to an order that others signed.
    Sign {
        /// The order's file, which is written anew.
        file: PathBuf,
        /// Sign with this key file instead of the person's of this home.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Hand an order in that is signed by all whom it names.
    Send {
        /// The order's file.
        file: PathBuf,
    },
}

/// What is set aside.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// The tool's name.
    tool: Option<String>,
    /// A model instead, by its id. A run one of whose roles has it stands still.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// A skill instead, by its name.
    #[arg(long, value_name = "NAME")]
    skill: Option<String>,
}

impl What {
    fn suspect(self) -> Result<Suspect, Failure> {
        let named = self.tool.map(Suspect::Tool).or(self.model.map(Suspect::Model)).or(self.skill.map(Suspect::Skill));
        named.ok_or_else(|| Failure::new(Exit::Usage, "nothing to quarantine", "name a tool, --model or --skill"))
    }
}

/// To what, under which charter, and by whom.
#[derive(Debug, clap::Args)]
pub struct To {
    /// The run's id, or its beginning.
    run: String,
    /// Only this module of it, by its whole id.
    #[arg(long, value_name = "MODULE")]
    module: Option<ModuleId>,
    /// Under this charter; the only one of the home when none is named.
    #[arg(long, value_name = "NAME")]
    charter: Option<String>,
    /// Public keys of others who will sign it too. Can be given more than once.
    #[arg(long, value_name = "KEY")]
    with: Vec<PublicKey>,
    /// How many seconds it is good for.
    #[arg(long, value_name = "SECONDS", default_value_t = GOOD_FOR)]
    valid: u64,
    /// Write it to this file instead of handing it in.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let (to, act) = match args {
        Args::Pause { to, seconds } => {
            (to, Act::Pause { most_ms: seconds.map(|seconds| seconds.saturating_mul(1000)) })
        }
        Args::Resume { to } => (to, Act::Resume),
        Args::Cancel { to } => (to, Act::Cancel),
        Args::Drain { to } => (to, Act::Drain),
        Args::Revoke { to, item } => (to, Act::Revoke { item: read_item(&item)? }),
        Args::Quarantine { to, what } => (to, Act::Quarantine(what.suspect()?)),
        Args::Approve { to, approval } => (to, Act::Answer { approval, says: Says::Yes }),
        Args::Deny { to, approval } => (to, Act::Answer { approval, says: Says::No }),
        Args::Sign { file, key } => return sign(program, &file, key),
        Args::Send { file } => return send(program, read(&file)?).await,
    };
    let kept = charters::find(program, to.charter.as_deref())?;
    let (bytes, missing) = write(program, &to, act, &kept).await?;
    match (&to.out, missing.is_empty()) {
        (Some(file), _) => {
            fs::write(file, &bytes).map_err(|error| {
                Failure::new(Exit::Usage, format!("{}: {error}", file.display()), "name another file with --out")
            })?;
            said(program, &file.display().to_string(), &missing);
            Ok(Exit::Completed)
        }
        (None, false) => {
            let what = "the order names others who have not signed it";
            Err(Failure::new(
                Exit::Usage,
                what,
                "write it with --out, and have them sign it with `ii guardian order sign`",
            ))
        }
        (None, true) => send(program, bytes).await,
    }
}

fn read_item(text: &str) -> Result<Item, Failure> {
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}"), "write it as --allow takes it"))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", file.display()), "name the file of an order"))
}

/// The order, signed by this home's person; who else has to sign it.
async fn write(program: &Program, to: &To, act: Act, kept: &Kept) -> Result<(Vec<u8>, Vec<PublicKey>), Failure> {
    let (_, run) = runs::find(program, &to.run).await?;
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(Failure::internal)?;
    let now = program.wiring.clock.now_ms();
    let order = Order {
        charter: kept.id,
        act,
        run,
        module: to.module,
        rule: None,
        not_before: Millis(now),
        not_after: Millis(now.saturating_add(to.valid.saturating_mul(1000))),
        nonce: Digest(nonce),
    };
    let person = Signatory::Person.public(&program.home).map_err(|error| from_signer(&error))?;
    let signers: BTreeSet<PublicKey> = to.with.iter().copied().chain([person]).collect();
    let payload = order::payload(&order, &signers)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string(), "name fewer people, or a shorter time"))?;
    let bytes = Signatory::Person.sign(&program.home, payload).map_err(|error| from_signer(&error))?;
    let missing = order::missing(&bytes).unwrap_or_default();
    Ok((bytes, missing))
}

fn no_order() -> Failure {
    Failure::new(Exit::Usage, "it is no order", "name a file that `ii guardian order … --out FILE` wrote")
}

fn sign(program: &Program, file: &Path, key: Option<PathBuf>) -> Result<Exit, Failure> {
    let bytes = read(file)?;
    let payload = order::unsigned(&bytes).ok_or_else(no_order)?;
    let who = key.as_deref().map_or(Signatory::Person, Signatory::File);
    let public = who.public(&program.home).map_err(|error| from_signer(&error))?;
    if !order::missing(&bytes).unwrap_or_default().contains(&public) {
        let what = format!("the order does not wait for a signature of {public}");
        return Err(Failure::new(Exit::Usage, what, "those who are to sign are named when it is written"));
    }
    let own = who.sign(&program.home, payload).map_err(|error| from_signer(&error))?;
    let joined = order::join(&bytes, &own).ok_or_else(no_order)?;
    fs::write(file, &joined)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", file.display()), "make it writable"))?;
    said(program, &file.display().to_string(), &order::missing(&joined).unwrap_or_default());
    Ok(Exit::Completed)
}

/// Says where an order is and who has not signed it.
fn said(program: &Program, file: &str, missing: &[PublicKey]) {
    if program.json {
        print_json(&json!({"file": file, "missing": missing}));
    } else if missing.is_empty() {
        eprintln!("ii: {file} is signed by all; `ii guardian order send {file}` hands it in");
    } else {
        let keys: Vec<String> = missing.iter().map(PublicKey::to_string).collect();
        eprintln!("ii: {file} waits for signatures of {}", keys.join(", "));
    }
}

/// Hands an order in and says what became of it.
async fn send(program: &Program, bytes: Vec<u8>) -> Result<Exit, Failure> {
    let (presented, became) = hand_in(program, bytes).await?;
    let run = presented.run;
    match became {
        Became::Executed => {
            if program.json {
                print_json(&json!({"order": presented.id, "run": run, "executed": true}));
            } else {
                eprintln!("ii: {} of run {run} is done", presented.act.name());
            }
            Ok(Exit::Completed)
        }
        Became::Refused(why) => {
            if program.json {
                print_json(&json!({"order": presented.id, "run": run, "executed": false, "refusal": why}));
            }
            Err(refused(why))
        }
    }
}

fn refused(why: OrderRefusal) -> Failure {
    let what = format!("the order was refused: {why}");
    Failure::new(Exit::Refused, what, "`ii guardian charters list` shows who may order what")
}

/// Signs an order with the key of this home's person, under the only charter of the home, and has it carried out.
///
/// # Errors
/// No charter or several, an act that wants the signatures of others too, and every refusal of the run's core.
pub(in crate::cli) async fn give(
    program: &Program,
    run: RunId,
    module: Option<ModuleId>,
    act: Act,
) -> Result<(), Failure> {
    let kept = charters::find(program, None)?;
    let to = To { run: run.to_string(), module, charter: None, with: Vec::new(), valid: GOOD_FOR, out: None };
    let (bytes, _missing) = write(program, &to, act, &kept).await?;
    match hand_in(program, bytes).await?.1 {
        Became::Executed => Ok(()),
        Became::Refused(why) => Err(refused(why)),
    }
}

/// What was handed in.
struct Handed {
    id: Digest,
    run: RunId,
    act: ActKind,
}

/// Hands an order in, its charter first where the run does not have it yet. Its journal is its own, so that a run which this
/// very program works on is asked like any other and not taken over.
async fn hand_in(program: &Program, bytes: Vec<u8>) -> Result<(Handed, Became), Failure> {
    let presented = order::open(&bytes);
    let file = String::from_utf8(bytes).map_err(|_binary| no_order())?;
    let signed = presented.said.map_err(|defect| {
        let missing = order::missing(file.as_bytes()).unwrap_or_default();
        let what = match defect {
            common_ground::guardian::Defect::Malformed => "it is no order".to_owned(),
            common_ground::guardian::Defect::BadSignature => {
                format!("a signature on the order does not verify, or {} are missing", missing.len())
            }
        };
        Failure::new(Exit::Refused, what, "have all sign it whom it names")
    })?;
    let run = signed.terms.run;
    let handed = Handed { id: presented.id, run, act: signed.terms.act.kind() };
    let journal = deliver::journal(program).await?;
    let done = async {
        let (charters, _) = crate::guardians::charters(&program.home)?;
        if let Some(kept) = charters.iter().find(|kept| kept.id == signed.terms.charter) {
            deliver::charter(program, &journal, run, kept).await?;
        }
        deliver::order(program, &journal, run, file).await
    };
    let done = done.await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    Ok((handed, done?))
}
