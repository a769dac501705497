//! Faults on request, so that a client can be tried against a ledger that misbehaves.
//!
//! **Invariant:** without `--faults` none of this can be reached, and nothing here ever happens by itself.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use receipts::ledger::rpc::DyingPoint;

/// The faults that are on. Counters and flags of one word each, so there is nothing to lock.
#[derive(Debug, Default)]
pub struct Faults {
    drop_answers: AtomicU64,
    late_answers: AtomicU64,
    late_by_ms: AtomicU64,
    clock_seconds: AtomicI64,
    dying: AtomicU64,
}

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// It is sent.
    None,
    /// It is sent so many milliseconds later.
    Late(u64),
    /// It is not sent.
    Dropped,
}

fn number(point: DyingPoint) -> u64 {
    match point {
        DyingPoint::BeforeCommit => 1,
        DyingPoint::AfterCommit => 2,
        DyingPoint::BeforePublish => 3,
        DyingPoint::AfterPublish => 4,
    }
}

impl Faults {
    /// Drops the next answers.
    pub fn drop_answers(&self, count: u64) {
        self.drop_answers.store(count, Ordering::Relaxed);
    }

    /// Delays the next answers.
    pub fn delay(&self, count: u64, ms: u64) {
        self.late_by_ms.store(ms, Ordering::Relaxed);
        self.late_answers.store(count, Ordering::Relaxed);
    }

    /// Sets the clock off.
    pub fn clock(&self, seconds: i64) {
        self.clock_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Dies at a point.
    pub fn die(&self, point: DyingPoint) {
        self.dying.store(number(point), Ordering::Relaxed);
    }

    /// Takes all back.
    pub fn heal(&self) {
        self.drop_answers(0);
        self.delay(0, 0);
        self.clock(0);
        self.dying.store(0, Ordering::Relaxed);
    }

    /// What happens to the answer at hand.
    pub fn next_answer(&self) -> AnswerFault {
        if take_one(&self.drop_answers) {
            AnswerFault::Dropped
        } else if take_one(&self.late_answers) {
            AnswerFault::Late(self.late_by_ms.load(Ordering::Relaxed))
        } else {
            AnswerFault::None
        }
    }

    /// Milliseconds since the Unix epoch, by the clock as it is set.
    pub fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        ms.saturating_add_signed(self.clock_seconds.load(Ordering::Relaxed).saturating_mul(1000))
    }

    /// Ends the program here, without a word to anyone, where that was asked for.
    pub fn reach(&self, point: DyingPoint) {
        if self.dying.load(Ordering::Relaxed) == number(point) {
            die();
        }
    }
}

fn take_one(counter: &AtomicU64) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
}

/// As `kill -9`: no destructor, no flush, no answer.
fn die() {
    let own = nix::unistd::getpid();
    match nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL) {
        // The signal is on its way; nothing more may happen on this thread.
        Ok(()) => loop {
            std::thread::park();
        },
        Err(_no_signal) => std::process::abort(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AnswerFault, Faults};

    #[test]
    fn faults_are_used_up_and_healed() {
        let faults = Faults::default();
        assert_eq!(faults.next_answer(), AnswerFault::None);
        faults.delay(1, 5);
        faults.drop_answers(2);
        let found: Vec<AnswerFault> = (0..4).map(|_| faults.next_answer()).collect();
        assert_eq!(found, [AnswerFault::Dropped, AnswerFault::Dropped, AnswerFault::Late(5), AnswerFault::None]);
        let before = faults.now_ms();
        faults.clock(86_400);
        assert!(faults.now_ms() >= before + 86_400_000);
        faults.clock(-86_400);
        assert!(faults.now_ms() < before);
        faults.drop_answers(7);
        faults.heal();
        assert_eq!(faults.next_answer(), AnswerFault::None);
        assert!(faults.now_ms() >= before);
    }
}
