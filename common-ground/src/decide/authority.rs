//! Who may ask what. Authority is by key; the table below is the whole of it.

use crate::{
    command::{Command, Ctx},
    id::ModuleId,
    module::{Life, Owner},
    refusal::Refusal,
    role::Role,
    run::{PauseReason, Run},
};

/// Refuses a command from a key that does not hold the role it needs.
pub(super) fn check(run: &Run, command: &Command, ctx: &Ctx) -> Result<(), Refusal> {
    match command {
        Command::Open { .. } | Command::Close { .. } => needs(run, ctx, Role::Partner),
        Command::Propose { .. } | Command::Accept { .. } => needs(run, ctx, Role::Principal),
        Command::Claim { .. } => needs(run, ctx, Role::Associate),
        Command::Renew { .. } | Command::Reclaim { .. } => needs(run, ctx, Role::Node),
        Command::Judge { module, .. } => verifier(run, ctx, *module),
        Command::StartStep { owner, .. }
        | Command::FinishStep { owner, .. }
        | Command::Compact { owner, .. }
        | Command::Hear { owner, .. } => match owner {
            Owner::Role { role } => planner(run, ctx, *role),
            Owner::Attempt { module, .. } => worker(run, ctx, *module),
            Owner::Verifier { module, .. } => verifier(run, ctx, *module),
        },
        Command::Submit { module, .. } | Command::GiveUp { module, .. } | Command::Ask { module, .. } => {
            worker(run, ctx, *module)
        }
        Command::Pause { reason: PauseReason::Budget | PauseReason::Model } | Command::Stand => {
            needs(run, ctx, Role::Node)
        }
        // Their authority is in their signatures.
        Command::Charter { .. } | Command::Order { .. } => Ok(()),
        // A pause that was ordered for a time ends when that is over, without anybody's word.
        Command::Resume if run.held_until.is_some_and(|until| until <= ctx.at) => {
            needs(run, ctx, Role::Node).or_else(|_other| needs(run, ctx, Role::Person))
        }
        Command::Fork { .. }
        | Command::Tell { .. }
        | Command::Pause { .. }
        | Command::Resume
        | Command::Raise { .. }
        | Command::Cancel
        | Command::Answer { .. }
        | Command::PauseModule { .. }
        | Command::ResumeModule { .. }
        | Command::CancelModule { .. } => needs(run, ctx, Role::Person),
    }
}

fn needs(run: &Run, ctx: &Ctx, role: Role) -> Result<(), Refusal> {
    if run.roster.holds(ctx.by, role) { Ok(()) } else { Err(Refusal::NotAllowed { role }) }
}

/// Only the Partner and the Principal, one key, call at the level of the run. Everybody else's calls are an attempt's, and
/// count against its module's limit.
fn planner(run: &Run, ctx: &Ctx, role: Role) -> Result<(), Refusal> {
    match role {
        Role::Partner | Role::Principal => needs(run, ctx, role),
        Role::Person | Role::Associate | Role::Verifier | Role::Node => {
            Err(Refusal::NotAllowed { role: Role::Principal })
        }
    }
}

/// The Associate that holds the module's lease, and no other.
fn worker(run: &Run, ctx: &Ctx, module: ModuleId) -> Result<(), Refusal> {
    needs(run, ctx, Role::Associate)?;
    match &super::module(run, module)?.life {
        Life::Leased(lease) if lease.associate != ctx.by => Err(Refusal::NotAllowed { role: Role::Associate }),
        _state_is_checked_by_the_command => Ok(()),
    }
}

/// The Verifier, when it is not the one who made the deliverable.
fn verifier(run: &Run, ctx: &Ctx, module: ModuleId) -> Result<(), Refusal> {
    needs(run, ctx, Role::Verifier)?;
    let made_by = super::module(run, module)?.attempt().map(|attempt| attempt.lease.associate);
    if made_by == Some(ctx.by) { Err(Refusal::NotAllowed { role: Role::Verifier }) } else { Ok(()) }
}
