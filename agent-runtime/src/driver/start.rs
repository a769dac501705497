//! Starting what the core wants done: planning, work, verification.

use common_ground::{
    Action, AttemptNumber, Command, ModuleId,
    criterion::Criterion,
    module::{Lease, Owner},
    role::Role,
    wants,
};
use receipts::Digest;

use super::{
    DriveError, Stop,
    desk::{Desk, Room},
    flow::Flow,
    permits::Permits,
    tasks::{Key, done, planned},
    words::Ear,
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
                | Action::Stand
                | Action::WakeAt(_) => {}
            }
        }
        Ok(())
    }

    fn start_plan(&mut self) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let owner = Owner::Role { role: Role::Principal };
        let recorded = run.role_steps.get(&Role::Principal).cloned().unwrap_or_default();
        let desk = Desk::new(self.room.clone(), owner, run.roster.principal, recorded, 0, Permits::default());
        let task = run.task.clone();
        let clock = self.parts.clock.clone();
        self.tasks
            .start(Key::Plan, async move { planned(principal::plan(desk, &task, || module_id(clock.now_ms())).await) });
        Ok(())
    }

    fn start_work(&mut self, id: ModuleId, lease: Lease) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let Some(module) = run.modules.get(&id) else { return Ok(()) };
        let Some(job) = associate::Job::of(run, id, lease.attempt, lease.epoch) else { return Ok(()) };
        let owner = Owner::Attempt { module: id, attempt: lease.attempt, epoch: lease.epoch };
        let recorded = module.attempt().map(|attempt| attempt.steps.clone()).unwrap_or_default();
        let heard = module.attempt().map(|attempt| attempt.heard.clone()).unwrap_or_default();
        let permits = Permits::of(run, id);
        let ear = Ear::new(self.room.said.clone(), id, heard);
        let desk = Desk::new(self.room.clone(), owner, lease.associate, recorded, 0, permits).with(ear);
        let over = Over { room: self.room.clone(), module: id, attempt: lease.attempt, is_over: true };
        self.tasks.start(Key::Work(id, lease.epoch), async move {
            let mut over = over;
            let ended = associate::work(desk, job).await;
            // An answer lets the same attempt go on.
            over.is_over = !matches!(ended, Err(Stop::Waits));
            done(ended)
        });
        Ok(())
    }

    fn start_verify(&mut self, id: ModuleId, lease: Lease, deliverable: Digest) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let Some(module) = run.modules.get(&id) else { return Ok(()) };
        let (criteria, room) = (module.spec.criteria.clone(), self.room.clone());
        let owner = Owner::Verifier { module: id, attempt: lease.attempt, epoch: lease.epoch };
        let attempt = module.attempt();
        let recorded = attempt.map(|attempt| attempt.steps.clone()).unwrap_or_default();
        let first = attempt.and_then(|attempt| attempt.submitted_after).unwrap_or_default();
        let desk = Desk::new(self.room.clone(), owner, run.roster.verifier, recorded, first, Permits::default());
        self.tasks.start(Key::Verify(id, lease.epoch), async move {
            done(verify(room, desk, id, lease, deliverable, criteria).await)
        });
        Ok(())
    }
}

/// Tells the tools when an attempt is over, also where its work is dropped.
struct Over {
    room: Room,
    module: ModuleId,
    attempt: AttemptNumber,
    is_over: bool,
}

impl Drop for Over {
    fn drop(&mut self) {
        if self.is_over {
            self.room.tools.iter().for_each(|tool| tool.over(self.room.run, self.module, self.attempt));
        }
    }
}

/// A new id: the time, then randomness (UUIDv7).
fn module_id(now_ms: u64) -> Result<ModuleId, Stop> {
    crate::ids::new_v7(now_ms).map(ModuleId).map_err(Stop::Entropy)
}

/// The Verifier's part: reads the deliverable afresh, finds, and says so.
async fn verify(
    room: Room,
    mut desk: Desk,
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
    let verdicts = verifier::examine(&examination, read, &mut desk).await?;
    desk.hand_in(Command::Judge { module, epoch: lease.epoch, deliverable, verdicts }, Vec::new()).await
}
