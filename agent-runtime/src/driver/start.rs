//! Starting what the core wants done: planning, work, verification.

use common_ground::{
    Action, Command, ModuleId,
    criterion::Criterion,
    module::{AttemptEnd, EndReason, Lease, Life, Owner},
    role::Role,
    wants,
};
use receipts::{Digest, PublicKey};
use tokio::sync::oneshot;

use super::{
    DriveError, Stop,
    desk::{Desk, Room},
    event::Ask,
    flow::Flow,
    tasks::{Key, done, planned},
};
use crate::roles::{associate, principal, verifier};

impl Flow {
    pub(super) fn start_wanted(&mut self) -> Result<(), DriveError> {
        for action in wants(self.book.state()) {
            match action {
                Action::Plan if !self.tasks.knows(Key::Plan) => self.start_plan()?,
                Action::Work { module, lease } if !self.tasks.knows(Key::Work(module, lease.epoch)) => {
                    self.start_work(module, lease)?;
                }
                Action::Verify { module, lease, deliverable }
                    if !self.tasks.knows(Key::Verify(module, lease.epoch)) =>
                {
                    self.start_verify(module, lease, deliverable)?;
                }
                Action::Plan
                | Action::Work { .. }
                | Action::Verify { .. }
                | Action::Claim { .. }
                | Action::Seal { .. }
                | Action::Report
                | Action::WakeAt(_) => {}
            }
        }
        Ok(())
    }

    fn start_plan(&mut self) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let owner = Owner::Role { role: Role::Principal };
        let recorded = run.role_steps.get(&Role::Principal).cloned().unwrap_or_default();
        let desk = Desk::new(self.room.clone(), owner, run.roster.principal, recorded);
        let task = run.task.clone();
        let clock = self.parts.clock.clone();
        self.tasks
            .start(Key::Plan, async move { planned(principal::plan(desk, &task, || module_id(clock.now_ms())).await) });
        Ok(())
    }

    fn start_work(&mut self, id: ModuleId, lease: Lease) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let Some(module) = run.modules.get(&id) else { return Ok(()) };
        let accepted = |input: ModuleId| match run.modules.get(&input).map(|module| (&module.spec, &module.life)) {
            Some((spec, Life::Accepted { deliverable, .. })) => Some((spec.question.clone(), *deliverable)),
            Some(_) | None => None,
        };
        let findings = module.attempts.iter().rev().find_map(|attempt| match &attempt.end {
            AttemptEnd::Ended { reason: EndReason::Rework { findings }, .. } => Some(findings.clone()),
            _not_sent_back => None,
        });
        let job = associate::Job {
            module: id,
            epoch: lease.epoch,
            spec: module.spec.clone(),
            inputs: module.spec.inputs.iter().filter_map(|input| accepted(input.module)).collect(),
            findings: findings.unwrap_or_default(),
            max_passages: run.task.max_passages,
            max_words: run.task.max_words,
        };
        let owner = Owner::Attempt { module: id, attempt: lease.attempt, epoch: lease.epoch };
        let recorded = module.attempt().map(|attempt| attempt.steps.clone()).unwrap_or_default();
        let desk = Desk::new(self.room.clone(), owner, lease.associate, recorded);
        self.tasks.start(Key::Work(id, lease.epoch), async move { done(associate::work(desk, job).await) });
        Ok(())
    }

    fn start_verify(&mut self, id: ModuleId, lease: Lease, deliverable: Digest) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let Some(module) = run.modules.get(&id) else { return Ok(()) };
        let (criteria, by, room) = (module.spec.criteria.clone(), run.roster.verifier, self.room.clone());
        self.tasks.start(Key::Verify(id, lease.epoch), async move {
            done(verify(room, by, id, lease, deliverable, criteria).await)
        });
        Ok(())
    }
}

/// A new id: the time, then randomness (UUIDv7).
fn module_id(now_ms: u64) -> Result<ModuleId, Stop> {
    crate::ids::new_v7(now_ms).map(ModuleId).map_err(Stop::Entropy)
}

/// The Verifier's part: reads the deliverable afresh, finds, and says so.
async fn verify(
    room: Room,
    by: PublicKey,
    module: ModuleId,
    lease: Lease,
    deliverable: Digest,
    criteria: Vec<Criterion>,
) -> Result<(), Stop> {
    let bytes = room.store.blob(deliverable).await?.ok_or(Stop::Content(deliverable))?;
    let read = room.tools.iter().find(|tool| tool.spec().name == "commons_read");
    let examination = verifier::Examination {
        run: room.run,
        module,
        attempt: lease.attempt,
        epoch: lease.epoch,
        criteria,
        deliverable: bytes,
    };
    let verdicts = verifier::examine(&examination, read).await;
    let (answer, answered) = oneshot::channel();
    let commands = vec![Command::Judge { module, epoch: lease.epoch, deliverable, verdicts }];
    let ask = Ask { by, commands, blobs: Vec::new(), answer };
    room.post.send(ask).await.map_err(|_closed| Stop::Gone)?;
    Ok(answered.await.map_err(|_closed| Stop::Gone)??)
}
