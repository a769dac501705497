//! What an answer may be, byte by byte: rules made from a schema, and how far an answer has got in them.
//!
//! A state is a set of stacks, as a non-deterministic pushdown automaton has; repetitions and string lengths are counters
//! in the stack's frames, so that a bound of thousands costs no more than one of ten. Each state knows the fewest bytes
//! that still end the answer. A sampler that only takes tokens after which those bytes fit what is left of its budget
//! always ends, whatever the weights are. This is what llama.cpp's own grammars cannot promise, and why they are not used.
//!
//! **Invariant:** pure and total: no input panics, and no state grows with the length of the answer.

use std::rc::Rc;

use super::text::{CharacterPhase, INSIDE};

/// A rule of a [`Grammar`], by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule(u32);

/// Bytes a class accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// With this byte too.
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether it has the byte.
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// Whether it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
}

#[derive(Debug)]
enum Form {
    Literal(Box<[u8]>),
    Sequence(Box<[Rule]>),
    Choice(Box<[Rule]>),
    /// `first`, then `more` up to `most - 1` times.
    List {
        first: Rule,
        more: Rule,
        least: u32,
        most: u32,
    },
    /// Members of an object in any order, each at most once: how it reads first, how after a comma, whether it must be there.
    Members(Box<[Member]>),
    /// A JSON string with its quotes; lengths in characters.
    Text {
        least: u32,
        most: u32,
    },
    /// A run of bytes of a set.
    Class {
        set: ByteSet,
        least: u32,
        most: u32,
    },
    /// A whole number.
    Integer {
        least: i64,
        most: i64,
    },
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// As the first member.
    pub(super) first: Rule,
    /// After another one.
    pub(super) next: Rule,
    /// Whether it must be there.
    pub(super) required: bool,
}

/// Rules with a root.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    forms: Vec<Form>,
    /// Fewest bytes of each rule.
    fewest: Vec<u32>,
    root: Option<Rule>,
}

/// Where an answer stands. Empty: it is over.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    threads: Vec<Thread>,
    complete: bool,
}

/// One way the answer so far can be read: the terminal it is in, and what comes after.
#[derive(Clone, Debug, PartialEq)]
struct Thread {
    rule: Rule,
    at: At,
    below: Option<Rc<Frame>>,
}

/// How far a terminal has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Bytes or repetitions so far.
    Count(u32),
    Text {
        count: u32,
        phase: CharacterPhase,
    },
    Integer(Digits),
}

/// The digits of a whole number so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digits {
    negative: bool,
    /// Digits written; 0 also directly after the sign.
    count: u32,
    magnitude: u64,
}

/// What goes on when the part above has ended.
#[derive(Debug)]
struct Frame {
    rule: Rule,
    /// Parts done of a sequence or list; a bit for each member done.
    done: u64,
    /// Fewest bytes after the part above.
    rest: u32,
    below: Option<Rc<Self>>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule && self.done == other.done && same(self.below.as_ref(), other.below.as_ref())
    }
}

fn same(one: Option<&Rc<Frame>>, other: Option<&Rc<Frame>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Rc::ptr_eq(one, other) || one == other,
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn rest(below: Option<&Rc<Frame>>) -> u32 {
    below.map_or(0, |frame| frame.rest)
}

/// Most members of an object; each has a bit.
pub(super) const MOST_MEMBERS: usize = 64;

impl Grammar {
    fn add(&mut self, form: Form, fewest: u32) -> Rule {
        let rule = Rule(u32::try_from(self.forms.len()).unwrap_or(u32::MAX));
        self.forms.push(form);
        self.fewest.push(fewest);
        rule
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.forms.len()
    }

    fn fewest(&self, rule: Rule) -> u32 {
        self.fewest[rule.0 as usize]
    }

    fn form(&self, rule: Rule) -> &Form {
        &self.forms[rule.0 as usize]
    }

    /// These bytes.
    pub(super) fn literal(&mut self, bytes: &[u8]) -> Rule {
        self.add(Form::Literal(bytes.into()), count(bytes.len()))
    }

    /// These rules in this order; none is the empty text.
    pub(super) fn sequence(&mut self, rules: &[Rule]) -> Rule {
        let fewest = rules.iter().fold(0, |sum: u32, rule| sum.saturating_add(self.fewest(*rule)));
        self.add(Form::Sequence(rules.into()), fewest)
    }

    /// One of these rules; of none nothing fits.
    pub(super) fn choice(&mut self, rules: &[Rule]) -> Rule {
        let fewest = rules.iter().map(|rule| self.fewest(*rule)).min().unwrap_or(u32::MAX);
        self.add(Form::Choice(rules.into()), fewest)
    }

    /// Between `least` and `most` items with separators between.
    pub(super) fn list(&mut self, item: Rule, separator: Rule, least: u32, most: u32) -> Rule {
        let more = self.sequence(&[separator, item]);
        let fewest = match least {
            0 => 0,
            least => self.fewest(item).saturating_add(self.fewest(more).saturating_mul(least - 1)),
        };
        self.add(Form::List { first: item, more, least, most }, fewest)
    }

    /// The members of an object, the first [`MOST_MEMBERS`] of them.
    pub(super) fn members(&mut self, members: &[Member]) -> Rule {
        let members = &members[..members.len().min(MOST_MEMBERS)];
        let mut fewest = 0_u32;
        for member in members.iter().filter(|member| member.required) {
            fewest = fewest.saturating_add(self.fewest(if fewest == 0 { member.first } else { member.next }));
        }
        self.add(Form::Members(members.into()), fewest)
    }

    /// A JSON string of between `least` and `most` characters.
    pub(super) fn text(&mut self, least: u32, most: u32) -> Rule {
        self.add(Form::Text { least, most }, least.saturating_add(2))
    }

    /// Between `least` and `most` bytes of a set.
    pub(super) fn class(&mut self, set: ByteSet, least: u32, most: u32) -> Rule {
        self.add(Form::Class { set, least, most }, least)
    }

    /// A whole number in this range.
    pub(super) fn integer(&mut self, least: i64, most: i64) -> Rule {
        let plus = fewest_more(Digits { negative: false, count: 0, magnitude: 0 }, least, most);
        let minus = fewest_more(Digits { negative: true, count: 0, magnitude: 0 }, least, most);
        let fewest = plus.unwrap_or(u32::MAX).min(minus.map_or(u32::MAX, |digits| digits + 1));
        self.add(Form::Integer { least, most }, fewest)
    }

    /// Names the rule that a whole answer fits.
    pub(super) fn set_root(&mut self, root: Rule) {
        self.root = Some(root);
    }

    /// Before the first byte. Without a root nothing fits.
    pub(super) fn start(&self) -> State {
        let mut state = State::default();
        if let Some(root) = self.root {
            self.expand(root, None, &mut state);
        }
        state
    }

    /// After one more byte, into `next`, whose room is used again. Whether any reading is left.
    pub(super) fn step(&self, state: &State, byte: u8, next: &mut State) -> bool {
        next.threads.clear();
        next.complete = false;
        for thread in &state.threads {
            self.advance(thread, byte, next);
        }
        next.complete || !next.threads.is_empty()
    }

    /// Fewest bytes that end the answer.
    pub(super) fn fewest_left(&self, state: &State) -> u32 {
        if state.complete {
            return 0;
        }
        state.threads.iter().map(|thread| self.left(thread)).min().unwrap_or(u32::MAX)
    }

    fn left(&self, thread: &Thread) -> u32 {
        let own = match (self.form(thread.rule), thread.at) {
            (Form::Literal(bytes), At::Count(done)) => count(bytes.len()).saturating_sub(done),
            (Form::Class { least, .. }, At::Count(done)) => least.saturating_sub(done).max(1),
            (Form::Text { least, .. }, At::Text { count, phase }) => phase.left() + least.saturating_sub(count),
            (Form::Integer { .. }, At::Integer(Digits { count: 0, negative: false, .. })) => self.fewest(thread.rule),
            // A number that could end here has a reading without it; this one writes at least one more digit.
            (Form::Integer { least, most }, At::Integer(digits)) => {
                fewest_more(digits, *least, *most).unwrap_or(u32::MAX).max(1)
            }
            _no_terminal => u32::MAX,
        };
        own.saturating_add(rest(thread.below.as_ref()))
    }

    fn expand(&self, rule: Rule, below: Option<Rc<Frame>>, out: &mut State) {
        match self.form(rule) {
            Form::Literal(bytes) if bytes.is_empty() => self.resume(below, out),
            Form::Literal(_) => out.push(Thread { rule, at: At::Count(0), below }),
            Form::Sequence(_) => self.resume_at(rule, 0, below, out),
            Form::Choice(rules) => rules.iter().for_each(|rule| self.expand(*rule, below.clone(), out)),
            Form::List { .. } | Form::Members(_) => self.resume_at(rule, 0, below, out),
            Form::Text { .. } => {
                out.push(Thread { rule, at: At::Text { count: 0, phase: CharacterPhase::Open }, below });
            }
            Form::Class { least, most, .. } => {
                if *least == 0 {
                    self.resume(below.clone(), out);
                }
                if *most > 0 {
                    out.push(Thread { rule, at: At::Count(0), below });
                }
            }
            Form::Integer { .. } => {
                let digits = Digits { negative: false, count: 0, magnitude: 0 };
                out.push(Thread { rule, at: At::Integer(digits), below });
            }
        }
    }

    fn resume(&self, below: Option<Rc<Frame>>, out: &mut State) {
        match below {
            None => out.complete = true,
            Some(frame) => self.resume_at(frame.rule, frame.done, frame.below.clone(), out),
        }
    }

    /// Goes on with a rule of which this much is done.
    fn resume_at(&self, rule: Rule, done: u64, below: Option<Rc<Frame>>, out: &mut State) {
        let after = |part: Rule, done: u64, own: u32, below: &Option<Rc<Frame>>, out: &mut State| {
            let rest = own.saturating_add(rest(below.as_ref()));
            self.expand(part, Some(Rc::new(Frame { rule, done, rest, below: below.clone() })), out);
        };
        match self.form(rule) {
            Form::Sequence(parts) => {
                let Some((part, later)) =
                    parts.get(count(parts.len()).min(low(done)) as usize..).and_then(<[_]>::split_first)
                else {
                    return self.resume(below, out);
                };
                if later.is_empty() {
                    return self.expand(*part, below, out);
                }
                let own = later.iter().fold(0, |sum: u32, rule| sum.saturating_add(self.fewest(*rule)));
                after(*part, done + 1, own, &below, out);
            }
            Form::List { first, more, least, most } => {
                let items = low(done);
                if items >= *least {
                    self.resume(below.clone(), out);
                }
                if items < *most {
                    let own = self.fewest(*more).saturating_mul(least.saturating_sub(items + 1));
                    after(if items == 0 { *first } else { *more }, done + 1, own, &below, out);
                }
            }
            Form::Members(members) => {
                let waiting = |done: u64| {
                    let missing =
                        members.iter().enumerate().filter(move |(at, member)| member.required && done >> at & 1 == 0);
                    missing.fold(0, |sum: u32, (_, member)| sum.saturating_add(self.fewest(member.next)))
                };
                if waiting(done) == 0 {
                    self.resume(below.clone(), out);
                }
                for (at, member) in members.iter().enumerate().filter(|(at, _)| done >> at & 1 == 0) {
                    let done_with = done | 1 << at;
                    let part = if done == 0 { member.first } else { member.next };
                    after(part, done_with, waiting(done_with), &below, out);
                }
            }
            Form::Literal(_) | Form::Choice(_) | Form::Text { .. } | Form::Class { .. } | Form::Integer { .. } => {}
        }
    }

    fn advance(&self, thread: &Thread, byte: u8, out: &mut State) {
        let below = || thread.below.clone();
        let stay = |at: At| Thread { rule: thread.rule, at, below: below() };
        match (self.form(thread.rule), thread.at) {
            (Form::Literal(bytes), At::Count(done)) if bytes.get(done as usize) == Some(&byte) => {
                if done as usize + 1 == bytes.len() {
                    self.resume(below(), out);
                } else {
                    out.push(stay(At::Count(done + 1)));
                }
            }
            (Form::Class { set, least, most }, At::Count(done)) if set.contains(byte) => {
                let done = done + 1;
                if done >= *least {
                    self.resume(below(), out);
                }
                if done < *most {
                    out.push(stay(At::Count(done)));
                }
            }
            (Form::Text { least, most }, At::Text { count, phase }) => match phase.after(byte) {
                None => {}
                Some(CharacterPhase::Closed) if count >= *least => self.resume(below(), out),
                Some(CharacterPhase::Closed) => {}
                // A character counts from its first byte.
                Some(_) if phase == INSIDE && count >= *most => {}
                Some(next) => {
                    let count = count + u32::from(phase == INSIDE);
                    out.push(stay(At::Text { count, phase: next }));
                }
            },
            (Form::Integer { least, most }, At::Integer(digits)) => {
                let Some(digits) = digits.after(byte) else { return };
                match fewest_more(digits, *least, *most) {
                    None => {}
                    Some(more) => {
                        if more == 0 && digits.count > 0 {
                            self.resume(below(), out);
                        }
                        if fewest_after(digits, *least, *most).is_some() {
                            out.push(stay(At::Integer(digits)));
                        }
                    }
                }
            }
            _does_not_fit => {}
        }
    }
}

impl State {
    fn push(&mut self, thread: Thread) {
        // Two readings that are alike from here on are one; without this, ambiguous schemas would double them again and again.
        if !self.threads.contains(&thread) {
            self.threads.push(thread);
        }
    }

    /// Whether the answer may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether no more byte fits.
    pub(super) fn is_over(&self) -> bool {
        self.threads.is_empty()
    }
}

impl Digits {
    fn after(self, byte: u8) -> Option<Self> {
        match byte {
            b'-' if self.count == 0 && !self.negative => Some(Self { negative: true, ..self }),
            // No digit comes after a leading zero.
            b'0'..=b'9' if self.count == 0 || self.magnitude > 0 => {
                let magnitude = self.magnitude.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
                Some(Self { count: self.count + 1, magnitude, ..self })
            }
            _no_digit => None,
        }
    }

    /// The magnitudes its sign may have in a range, 0 only without a sign.
    fn range(self, least: i64, most: i64) -> Option<(u64, u64)> {
        if self.negative {
            (least < 0).then(|| (if most < 0 { most.unsigned_abs() } else { 1 }, least.unsigned_abs()))
        } else {
            let most = u64::try_from(most).ok()?;
            Some((u64::try_from(least).unwrap_or(0), most))
        }
    }
}

/// Fewest digits more that bring a number into its range; `None` if none do.
fn fewest_more(digits: Digits, least: i64, most: i64) -> Option<u32> {
    let (low, high) = digits.range(least, most)?;
    if digits.count > 0 && (low..=high).contains(&digits.magnitude) {
        return Some(0);
    }
    fewest_after(digits, least, most)
}

/// The same with one digit at least.
fn fewest_after(digits: Digits, least: i64, most: i64) -> Option<u32> {
    let (low, high) = digits.range(least, most)?;
    if low > high || digits.count > 0 && digits.magnitude == 0 {
        return None;
    }
    let (mut from, mut to) = (u128::from(digits.magnitude), u128::from(digits.magnitude));
    for more in 1..=20 {
        from *= 10;
        to = to * 10 + 9;
        // The first digit is no zero unless it is the only one.
        if digits.count == 0 && more > 1 {
            from = from.max(10_u128.pow(more - 1));
        }
        if from > u128::from(high) {
            return None;
        }
        if to >= u128::from(low) {
            return Some(more);
        }
    }
    None
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn low(done: u64) -> u32 {
    u32::try_from(done).unwrap_or(u32::MAX)
}
