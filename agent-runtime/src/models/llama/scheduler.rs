//! One thread, one context, many answers: each step of the model computes one token for every answer that is being
//! written and, in the room left, the next parts of prompts.
//!
//! Requests are taken in the order they came. What one has in common with what is remembered, of a request that is running
//! or of one that has ended, is copied and not computed; where another is computing just that now, it waits for it. What
//! is remembered of ended requests is forgotten, the longest unused first, when there is no room for a new one.
//!
//! **Invariant:** a request is begun only when there is room for all its tokens, so that one that runs always ends; the
//! first in the queue begins at the latest when nothing runs, for it fits the window and the window fits the room.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
};

use common_ground::port::model::{ModelError, ModelEvent, ModelUsage};
use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch, token::LlamaToken};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    cells::{Cells, common},
    grammar::Grammar,
    memory::STEP,
    reply::{Form, Reader},
    sampler::{Choice, Sampler},
    vocabulary::Vocabulary,
};

/// Fewer tokens in common than these are computed anew.
const LEAST_SHARED: usize = 8;
/// So many more than are remembered must be about to be computed, for a request to wait for them.
const WORTH_WAITING: usize = 32;

/// A request, made ready.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) prompt: Arc<[i32]>,
    /// Most tokens of the answer, and one more than it may have.
    pub(super) most: u64,
    pub(super) temperature: f32,
    pub(super) seed: u64,
    pub(super) grammar: Option<Grammar>,
    pub(super) form: Form,
    pub(super) out: UnboundedSender<Result<ModelEvent, ModelError>>,
}

/// What the thread is given.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) model: String,
    pub(super) parallel: u32,
    pub(super) sequences: u32,
    pub(super) cells: u32,
    pub(super) share_prefixes: bool,
}

/// A request that is being answered.
struct Job {
    work: Work,
    sequence: usize,
    sampler: Sampler,
    reader: Reader,
    shared: usize,
    written: u64,
    thinking: u64,
    /// The token written last, still to be computed.
    next: Option<i32>,
    /// Where in the batch its logits will be.
    place: Option<i32>,
}

impl Job {
    /// Tokens it may still have computed beside those that are.
    fn to_come(&self, cells: &Cells) -> usize {
        let most = usize::try_from(self.work.most).unwrap_or(usize::MAX);
        self.work.prompt.len().saturating_add(most).saturating_sub(cells.tokens(self.sequence).len())
    }
}

/// How a job ended.
enum End {
    Whole,
    Failed(ModelError),
    Cancelled,
}

/// The thread's whole state.
pub(super) struct Scheduler<'a> {
    context: LlamaContext<'a>,
    vocabulary: &'a Vocabulary,
    limits: Limits,
    cells: Cells,
    queue: VecDeque<Work>,
    jobs: Vec<Job>,
    /// When each sequence was last used, in steps.
    used: Vec<u64>,
    step: u64,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(context: LlamaContext<'a>, vocabulary: &'a Vocabulary, limits: Limits) -> Self {
        let cells = Cells::new(limits.cells, limits.sequences);
        let used = vec![0; limits.sequences as usize];
        Self { context, vocabulary, limits, cells, queue: VecDeque::new(), jobs: Vec::new(), used, step: 0 }
    }

    /// Answers until nobody can ask any more.
    pub(super) fn run(mut self, requests: &mpsc::Receiver<Work>) {
        let mut batch = LlamaBatch::new(STEP as usize, 1);
        loop {
            if self.jobs.is_empty() && self.queue.is_empty() {
                match requests.recv() {
                    Ok(work) => self.queue.push_back(work),
                    Err(mpsc::RecvError) => return,
                }
            }
            self.queue.extend(requests.try_iter());
            self.queue.retain(|work| !work.out.is_closed());
            self.end_where(|job| job.work.out.is_closed().then_some(End::Cancelled));
            while self.begin_next() {}
            if !self.jobs.is_empty() {
                self.compute(&mut batch);
            }
        }
    }

    /// Begins the first request of the queue if it can be; whether another one may be tried.
    fn begin_next(&mut self) -> bool {
        let Some(work) = self.queue.front() else { return false };
        if self.jobs.len() >= self.limits.parallel as usize {
            return false;
        }
        let prompt = Arc::clone(&work.prompt);
        let most = usize::try_from(work.most).unwrap_or(usize::MAX);
        let donor = self.donor(&prompt);
        let shared = donor.map_or(0, |(_, shared)| shared);
        if self.limits.share_prefixes && self.is_being_computed(&prompt, shared) {
            return false;
        }
        let need = prompt.len().saturating_add(most) - shared;
        let Some(sequence) = self.make_room(donor, need) else { return false };
        if let Some((from, shared)) = donor {
            if from == sequence {
                self.forget(sequence, shared);
            } else {
                self.copy(from, sequence, shared);
            }
        }
        let Some(work) = self.queue.pop_front() else { return false };
        let mut work = work;
        let sampler = Sampler::new(work.temperature, chance(work.seed, &prompt), work.grammar.take());
        let reader = Reader::new(work.form.clone());
        self.jobs.push(Job {
            work,
            sequence,
            sampler,
            reader,
            shared,
            written: 0,
            thinking: 0,
            next: None,
            place: None,
        });
        true
    }

    /// The sequence with the most tokens in common with a prompt, and how many. The last token is always computed: its
    /// logits are what the answer begins with.
    fn donor(&self, prompt: &[i32]) -> Option<(usize, usize)> {
        if !self.limits.share_prefixes {
            return None;
        }
        let all =
            (0..self.used.len()).map(|sequence| (sequence, self.cells.common(sequence, prompt).min(prompt.len() - 1)));
        all.max_by_key(|(_, shared)| *shared).filter(|(_, shared)| *shared >= LEAST_SHARED)
    }

    /// Whether a running request is on its way to remember much more of this prompt.
    fn is_being_computed(&self, prompt: &[i32], shared: usize) -> bool {
        self.jobs.iter().any(|job| {
            let have = self.cells.tokens(job.sequence).len();
            let will = common(&job.work.prompt, prompt).min(prompt.len() - 1);
            have < will && will >= shared + WORTH_WAITING
        })
    }

    /// A sequence for a new request with room for so many tokens; `None` while there is none.
    fn make_room(&mut self, donor: Option<(usize, usize)>, need: usize) -> Option<usize> {
        let donor_sequence = donor.map(|(sequence, _)| sequence);
        let promised: usize = self.jobs.iter().map(|job| job.to_come(&self.cells)).sum();
        let fits = |cells: &Cells| cells.used().saturating_add(promised).saturating_add(need) <= cells.room();
        loop {
            // The longest unused first; those that remember nothing before all others.
            let mut idle: Vec<usize> =
                (0..self.used.len()).filter(|at| !self.jobs.iter().any(|job| job.sequence == *at)).collect();
            idle.sort_by_key(|at| (!self.cells.tokens(*at).is_empty(), self.used[*at]));
            let other = idle.iter().copied().find(|at| Some(*at) != donor_sequence);
            match other {
                Some(sequence) if fits(&self.cells) => {
                    self.forget(sequence, 0);
                    return Some(sequence);
                }
                _no_room => {}
            }
            let evict =
                idle.iter().copied().find(|at| Some(*at) != donor_sequence && !self.cells.tokens(*at).is_empty());
            match (evict, donor) {
                (Some(sequence), _) => self.forget(sequence, 0),
                // All else is forgotten: the new request goes on where the ended one stands.
                (None, Some((sequence, shared))) if idle.contains(&sequence) => {
                    self.forget(sequence, shared);
                    return fits(&self.cells).then_some(sequence);
                }
                (None, Some(_) | None) => return None,
            }
        }
    }

    /// Forgets all of a sequence but its first tokens.
    fn forget(&mut self, sequence: usize, keep: usize) {
        if self.cells.tokens(sequence).len() <= keep {
            return;
        }
        let (number, from) = (number(sequence), number(keep));
        // Removing a part fails where a model remembers no single tokens, and then no prefix is ever kept in part.
        if !matches!(self.context.clear_kv_cache_seq(Some(number), Some(from), None), Ok(true)) && keep > 0 {
            return self.forget(sequence, 0);
        }
        self.cells.truncate(sequence, keep);
    }

    fn copy(&mut self, from: usize, to: usize, count: usize) {
        let copied = self.context.copy_kv_cache_seq(signed(from), signed(to), Some(0), Some(number(count)));
        if copied.is_ok() {
            self.cells.share(from, to, count);
        }
    }

    /// One step of the model for all.
    fn compute(&mut self, batch: &mut LlamaBatch<'_>) {
        self.step += 1;
        batch.clear();
        let mut added: Vec<(usize, i32)> = Vec::new();
        for job in &mut self.jobs {
            job.place = None;
            self.used[job.sequence] = self.step;
            if let Some(token) = job.next {
                let at = self.cells.tokens(job.sequence).len();
                job.place = Some(batch.n_tokens());
                if batch.add(LlamaToken(token), signed(at), &[signed(job.sequence)], true).is_err() {
                    job.place = None;
                    continue;
                }
                added.push((job.sequence, token));
            }
        }
        for job in &mut self.jobs {
            let have = self.cells.tokens(job.sequence).len();
            let prompt = &job.work.prompt;
            if job.next.is_some() {
                continue;
            }
            for (at, token) in prompt.iter().enumerate().skip(have) {
                let is_last = at + 1 == prompt.len();
                let place = batch.n_tokens();
                if batch.add(LlamaToken(*token), signed(at), &[signed(job.sequence)], is_last).is_err() {
                    break;
                }
                added.push((job.sequence, *token));
                job.place = is_last.then_some(place);
            }
        }
        if let Err(error) = self.context.decode(batch) {
            return self.fail(&error.to_string());
        }
        for (sequence, token) in added {
            self.cells.push(sequence, token);
        }
        self.write();
    }

    /// Chooses a token for each request whose logits are there.
    fn write(&mut self) {
        let mut ends: Vec<Option<End>> = Vec::new();
        for job in &mut self.jobs {
            let Some(place) = job.place.take() else {
                ends.push(None);
                continue;
            };
            let logits = self.context.get_logits_ith(place);
            ends.push(write_one(job, self.vocabulary, logits, &self.limits.model));
        }
        let mut ends = ends.into_iter();
        self.end_where(|_| ends.next().flatten());
    }

    /// After a failed step nothing that is remembered can be trusted.
    fn fail(&mut self, reason: &str) {
        tracing::warn!(model = self.limits.model, reason, "llama.cpp failed to compute");
        let error =
            ModelError::Broken { model: self.limits.model.clone(), reason: format!("llama.cpp failed: {reason}") };
        self.end_where(|_| Some(End::Failed(error.clone())));
        self.context.clear_kv_cache();
        for sequence in 0..self.used.len() {
            self.cells.truncate(sequence, 0);
        }
    }

    /// Ends the jobs for which there is an end; what they computed stays remembered.
    fn end_where(&mut self, mut end: impl FnMut(&Job) -> Option<End>) {
        let mut stay = Vec::new();
        for job in std::mem::take(&mut self.jobs) {
            match end(&job) {
                None => stay.push(job),
                Some(end) => {
                    if !self.limits.share_prefixes {
                        self.forget(job.sequence, 0);
                    }
                    hand_in(job, end, &self.limits.model);
                }
            }
        }
        self.jobs = stay;
    }
}

/// The next token of one answer; its end, if it has one now.
fn write_one(job: &mut Job, vocabulary: &Vocabulary, logits: &[f32], model: &str) -> Option<End> {
    // An answer that reaches its limit has failed, so the last token it may have is one below.
    let Some(left) = job.work.most.checked_sub(job.written + 2) else {
        return Some(End::Failed(ModelError::Cut { model: model.to_owned(), limit: job.work.most }));
    };
    if job.written == 0 && job.sampler.fewest_left() > left + 1 {
        return Some(End::Failed(ModelError::Cut { model: model.to_owned(), limit: job.work.most }));
    }
    let (token, end) = match job.sampler.choose(vocabulary, logits, left) {
        Choice::Token(token) => (token, None),
        Choice::Last(token) => (token, Some(End::Whole)),
        Choice::End => return Some(End::Whole),
        Choice::Stuck => {
            let reason = "its vocabulary cannot spell what the schema asks for".to_owned();
            return Some(End::Failed(ModelError::Broken { model: model.to_owned(), reason }));
        }
    };
    job.written += 1;
    let event = job.reader.push(vocabulary.piece(token));
    if job.reader.is_thinking() || matches!(event, Some(ModelEvent::Thinking(_))) {
        job.thinking += 1;
    }
    if let Some(event) = event
        && job.work.out.send(Ok(event)).is_err()
    {
        return Some(End::Cancelled);
    }
    job.next = Some(token);
    end
}

/// Sends what is left to say. Whoever asked may be gone; then nobody misses it.
fn hand_in(job: Job, end: End, model: &str) {
    let out = job.work.out;
    let used = ModelUsage {
        tokens_in: job.work.prompt.len() as u64,
        tokens_cached: job.shared as u64,
        tokens_out: job.written,
        tokens_thinking: job.thinking,
    };
    let last = match end {
        End::Cancelled => return,
        End::Failed(error) => Err(error),
        End::Whole => match job.reader.finish() {
            Err(reason) => Err(ModelError::Broken { model: model.to_owned(), reason }),
            Ok(events) => {
                if events.into_iter().any(|event| out.send(Ok(event)).is_err()) {
                    return;
                }
                Ok(ModelEvent::Done(used))
            }
        },
    };
    drop(out.send(last));
}

/// Where chance begins for a prompt (FNV-1a): another request has another chance, the same one the same.
fn chance(seed: u64, prompt: &[i32]) -> u64 {
    let bytes = prompt.iter().flat_map(|token| token.to_le_bytes());
    bytes.fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Sequences and positions as llama.cpp counts them; both are far below its limits.
fn signed(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
