//! What reaches the view, and what it asks for: the two channels by which these eyes are joined to the program.

use common_ground::{
    ApprovalId, Digest, Fact, Millis, ModuleId, RunId, approval::Answer, citation::Citation, guardian::Act,
    report::Report,
};

use crate::{brief::Brief, heard::Spoken, keys::Chord};

/// A fact that is on record, with its place and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Place in the run, from 1.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// What happened.
    pub fact: Fact,
    /// The report, with the fact that closes a run.
    pub report: Option<Box<Report>>,
}

/// Something that happened: to the terminal, to a run, or in answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A key was pressed.
    Key(Chord),
    /// A text was pasted.
    Pasted(String),
    /// A line was given where there are no keys: in linear mode.
    Line(String),
    /// The terminal has another size.
    Resized(Size),
    /// Whether the person looks.
    Looking(Looking),
    /// The clock, as often as something on the screen depends on it.
    Clock(Millis),
    /// The program is ready, or its settings changed.
    Ready(Box<Setup>),
    /// A fact of a run that goes on here.
    Fact {
        /// Which run.
        run: RunId,
        /// What happened.
        placed: Box<Placed>,
    },
    /// A model said something: it waits in [`crate::Heard`].
    Heard,
    /// What models said since the last time.
    Spoken(Vec<Spoken>),
    /// A run on record, from its first fact to its last. Nothing of it is done again.
    Opened {
        /// Which run.
        run: RunId,
        /// Its facts.
        facts: Vec<Placed>,
        /// Whether a program works on it.
        worked_on: Work,
    },
    /// Facts on record of a run. Those that are known are passed over; where another run is in view, all are.
    Recorded {
        /// Which run.
        run: RunId,
        /// Its facts, from the first.
        facts: Vec<Placed>,
    },
    /// How far the preparation of a run is, in words.
    Preparing(String),
    /// How far a folder that is taken in is, in words; none when that is over.
    Adding(Option<String>),
    /// The drive of a run ended: it is closed, or stands still for the reason that its facts tell.
    Rested {
        /// What stood in the way, or what to do next; empty where the facts say it all.
        detail: String,
    },
    /// A question could not become a run; the person gets it back.
    NotAsked {
        /// The question.
        question: String,
        /// What stands in the way, with the fix.
        why: String,
    },
    /// Something to tell the person, in lines.
    Told(Told),
    /// The runs there are, newest first.
    Runs(Vec<RunLine>),
    /// What guardians found so far, oldest first, of every run.
    Briefs(Vec<Brief>),
    /// A content on record.
    Content {
        /// Its digest.
        digest: Digest,
        /// Its text, or why it cannot be shown.
        text: Result<String, String>,
    },
    /// What a search found.
    Found {
        /// For what.
        query: String,
        /// Passages, best first, or why there are none.
        hits: Result<Vec<Hit>, String>,
    },
    /// A cited passage, opened.
    Passage {
        /// Which.
        citation: Box<Citation>,
        /// The text around it, or why it cannot be opened.
        text: Result<Around, String>,
    },
    /// Text for what is being written: the mark of a picture.
    Write(String),
    /// Names that `@` finds.
    Names(Vec<String>),
    /// Where a receipt is on its way.
    Receipt {
        /// The receipt.
        receipt: Digest,
        /// Where it is.
        state: ReceiptState,
    },
    /// The program is told to end, or the terminal is gone.
    End,
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Whether the person looks at the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looking {
    /// At it, as far as it says.
    #[default]
    Here,
    /// Elsewhere.
    Away,
}

/// Whether a program works on a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// None does.
    #[default]
    Rests,
    /// One does.
    GoesOn,
}

/// What the program is set to, as the person is shown it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The model of each role: Principal, Associate, Verifier; one where they are the same.
    pub models: Vec<String>,
    /// Where answers come from; none where nothing is named yet.
    pub source: Option<String>,
    /// What the person may do next, a line each: steps that this machine offers.
    pub offers: Vec<String>,
    /// Each setting with its value and where that came from.
    pub settings: Vec<SettingLine>,
    /// Whether a plan waits for the person before work begins.
    pub plan: Plans,
}

/// A setting, without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingLine {
    /// Its dotted name.
    pub name: String,
    /// Its value in one line.
    pub value: String,
    /// Where that came from: `flag`, `environment NAME`, a file with its line, `default`; empty where only the start says.
    pub from: String,
    /// What it is.
    pub about: String,
    /// How it is changed, a way a line.
    pub change: Vec<String>,
}

/// Whether a plan waits for the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plans {
    /// Work begins at once.
    #[default]
    GoOn,
    /// The plan is shown and waits.
    Wait,
}

/// Something told, with how it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How.
    pub tone: TellTone,
    /// The lines.
    pub lines: Vec<String>,
}

/// How something told is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TellTone {
    /// By the way.
    Note,
    /// It holds.
    Good,
    /// It failed.
    Bad,
    /// What a command of the person's own put out.
    Output,
}

/// A run in the picker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLine {
    /// Its id.
    pub run: RunId,
    /// Where it is, in a word.
    pub state: String,
    /// What was asked.
    pub question: String,
    /// When it was opened.
    pub opened: Millis,
}

/// A passage found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands.
    pub citation: Citation,
    /// The document's title.
    pub title: String,
}

/// A quote with the text about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// What stands before it.
    pub before: String,
    /// The quote as the document has it.
    pub quote: String,
    /// What follows.
    pub after: String,
}

/// How far a receipt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptState {
    /// Signed, and kept here.
    #[default]
    Sealed,
    /// A ledger has it in its log.
    Logged,
    /// The ledger has credited it.
    Credited,
}

impl ReceiptState {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Logged => "logged",
            Self::Credited => "credited",
        }
    }
}

/// What the person wants of the program. Each goes the way that the command of the same name goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A run on this question.
    Run {
        /// The question.
        question: String,
    },
    /// That the run at work here stands still.
    Interrupt,
    /// That a run that another program works on stands still.
    Pause {
        /// Which.
        run: RunId,
    },
    /// That a run goes on.
    Resume {
        /// Which.
        run: RunId,
    },
    /// That a run is given up.
    Cancel {
        /// Which.
        run: RunId,
    },
    /// That one module is held, let go on, or given up, while the others go on.
    Steer {
        /// The run.
        run: RunId,
        /// The module.
        module: ModuleId,
        /// What becomes of it.
        to: Steer,
    },
    /// A run begun from this one, as it was after a fact of it, or as it is. It is opened and stands still.
    Fork {
        /// Which run.
        run: RunId,
        /// The last fact that counts, from 1; its last one where none is named.
        place: Option<u64>,
    },
    /// Something said to one module, which it hears before its next step.
    Tell {
        /// The run.
        run: RunId,
        /// The module.
        module: ModuleId,
        /// What is said.
        text: String,
    },
    /// What guardians found so far.
    Briefs,
    /// One thing done by an order that the person signs.
    Order {
        /// To which run.
        run: RunId,
        /// To which module of it; to all of it where none is named.
        module: Option<ModuleId>,
        /// What.
        act: Act,
    },
    /// An answer to a question that waits.
    Answer {
        /// The run that asks.
        run: RunId,
        /// The question.
        approval: ApprovalId,
        /// What is said.
        answer: Answer,
    },
    /// To see a run on record.
    Open {
        /// Which.
        run: RunId,
    },
    /// The runs there are.
    Runs,
    /// A content on record.
    Content(Digest),
    /// A cited passage in its document.
    Passage {
        /// The run that cites it.
        run: RunId,
        /// Where it stands.
        citation: Box<Citation>,
    },
    /// Passages.
    Search {
        /// Plain words.
        query: String,
    },
    /// A folder taken into the commons.
    Add {
        /// Which.
        folder: String,
    },
    /// That the folder being taken in is left as far as it is.
    StopAdding,
    /// Another source of answers: a folder, or a collection by its name.
    Source(Source),
    /// Another model for all roles.
    Model(String),
    /// Whether plans wait from now on.
    Plan(Plans),
    /// What models there are.
    Models,
    /// The receipts of a run checked.
    Verify {
        /// Which.
        run: RunId,
    },
    /// The conversation as a file.
    Export {
        /// Where to; a name is made where none is given.
        path: Option<String>,
        /// What it says.
        markdown: String,
    },
    /// The picture that the clipboard holds, named where the cursor is.
    Clipboard,
    /// A command of the person's own.
    Shell(String),
    /// Names for `@`.
    Names,
    /// The end.
    Quit,
}

/// What becomes of one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// It is held.
    Hold,
    /// It goes on.
    Free,
    /// It is given up, and all that need it.
    GiveUp,
}

/// Where answers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of documents.
    Folder(String),
    /// A collection as it is.
    Collection(String),
}
