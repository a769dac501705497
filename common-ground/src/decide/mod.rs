//! Which facts a command makes, or why it is refused.
//!
//! **Invariant:** the same state, command and context give the same answer; the state is only read.

mod authority;
mod judge;
mod lease;
mod order;
mod plan;
mod run;
mod step;
mod word;

use crate::{
    command::{Command, Ctx},
    fact::Fact,
    id::{Epoch, ModuleId},
    module::{Lease, Life, Module},
    refusal::{Refusal, Wanted},
    run::{PauseReason, Phase, Run, State},
};

/// Decides a command. The facts come in the order in which they are to be appended and applied.
pub fn decide(state: &State, command: &Command, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    let run = match (state, command) {
        (State::Unopened, Command::Open { run, task, roster }) => return run::open(*run, task, roster, ctx),
        (State::Unopened, Command::Fork { run, roster, of, place, link }) => {
            return run::fork(*run, roster, of, (*place, *link), ctx);
        }
        (State::Unopened, _) => return Err(Refusal::NotOpen),
        (State::Run(_), Command::Open { .. } | Command::Fork { .. }) => return Err(Refusal::AlreadyOpen),
        (State::Run(run), _) => run,
    };
    authority::check(run, command, ctx)?;
    match command {
        Command::Open { .. } | Command::Fork { .. } => Err(Refusal::AlreadyOpen),
        Command::Propose { plan, modules } => plan::propose(run, plan, modules),
        Command::Claim { module } => lease::claim(run, *module, ctx),
        Command::Renew { module, epoch } => lease::renew(run, *module, *epoch, ctx),
        Command::Reclaim { holder_gone } => lease::reclaim(run, *holder_gone, ctx),
        Command::StartStep { owner, step, call, request, reserve } => step::start(
            run,
            ctx,
            &step::Starting { owner: *owner, step: *step, call, request: *request, reserve: *reserve },
        ),
        Command::FinishStep { owner, step, outcome, response, usage, traced } => step::finish(
            run,
            ctx,
            &step::Finishing {
                owner: *owner,
                step: *step,
                outcome: *outcome,
                response: *response,
                usage: *usage,
                traced: *traced,
            },
        ),
        Command::Compact { owner, step, compaction } => step::compact(run, *owner, *step, *compaction),
        Command::Submit { module, epoch, deliverable } => judge::submit(run, *module, *epoch, *deliverable),
        Command::GiveUp { module, epoch, error } => judge::give_up(run, *module, *epoch, error),
        Command::Ask { module, epoch, approval, question } => {
            let lease = leased(run, *module, *epoch)?;
            if run.approvals.contains_key(approval) {
                return Err(Refusal::AskedBefore { approval: *approval });
            }
            Ok(vec![Fact::ModuleBlocked {
                module: *module,
                attempt: lease.attempt,
                epoch: lease.epoch,
                approval: *approval,
                question: question.clone(),
            }])
        }
        Command::Answer { approval, answer } => run::answer(run, *approval, answer, ctx),
        Command::Judge { module, epoch, deliverable, verdicts } => {
            judge::judge(run, ctx, *module, *epoch, *deliverable, verdicts)
        }
        Command::Accept { module, epoch, receipt } => judge::accept(run, *module, *epoch, *receipt),
        Command::Tell { module, text } => word::tell(run, *module, *text, ctx),
        Command::Hear { owner, step, words } => word::hear(run, *owner, *step, words),
        Command::PauseModule { module, reason } => run::pause_module(run, *module, *reason),
        Command::ResumeModule { module } => run::resume_module(run, *module),
        Command::CancelModule { module } => run::cancel_module(run, *module),
        Command::Pause { reason } => run::pause(run, *reason),
        Command::Resume => run::resume(run),
        Command::Raise { limit, wall_ms } => run::raise(run, *limit, *wall_ms),
        Command::Cancel => run::cancel(run),
        Command::Close { outcome, report } => run::close(run, *outcome, *report),
        Command::Charter { charter } => order::charter(run, charter, ctx),
        Command::Order { order } => Ok(order::order(run, order, ctx)),
        Command::Stand if run.is_drained() => run::pause(run, PauseReason::Guardian),
        Command::Stand => Err(Refusal::NotYet),
    }
}

/// The module, or the refusal that names it.
fn module(run: &Run, id: ModuleId) -> Result<&Module, Refusal> {
    run.modules.get(&id).ok_or(Refusal::NoModule { module: id })
}

/// The lease of a module that is worked on, when `epoch` is the latest.
fn leased(run: &Run, id: ModuleId, epoch: Epoch) -> Result<Lease, Refusal> {
    match &module(run, id)?.life {
        Life::Leased(lease) if lease.epoch == epoch => Ok(*lease),
        Life::Leased(_) => Err(Refusal::Stale { module: id, epoch }),
        Life::Proposed
        | Life::Ready(_)
        | Life::Blocked { .. }
        | Life::Submitted { .. }
        | Life::Judged { .. }
        | Life::Accepted { .. }
        | Life::Paused { .. }
        | Life::Cancelled
        | Life::Failed { .. } => Err(Refusal::NotNow { module: id, wanted: Wanted::Leased }),
    }
}

/// Refuses work while the run stands still or is over.
fn at_work(run: &Run) -> Result<(), Refusal> {
    match run.phase {
        Phase::Open => Ok(()),
        Phase::Paused { .. } | Phase::Closed { .. } => Err(Refusal::NotOpen),
    }
}
