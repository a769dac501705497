//! What the program tells the jail's first process, and what that and its children tell back: one frame there, lines of
//! JSON back, over one socket that no command inherits.

use std::{
    io::{self, Read, Write},
    os::{fd::BorrowedFd, unix::net::UnixStream},
};

use common_ground::{
    grant::{Access, Limits},
    record::Limit,
};
use serde::{Deserialize, Serialize};

use crate::gate;

/// Everything a jail is made by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub input: Input,
    /// Where it starts.
    pub cwd: String,
    /// Paths of the host, each at its own place.
    pub binds: Vec<Bind>,
    /// What it may use.
    pub limits: Limits,
    /// As whom it runs where this program is root.
    pub uid: u32,
    /// What it has of a network.
    pub network: Network,
}

/// What of a network a jail has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Network {
    /// Not even loopback is up.
    None,
    /// Loopback, with a gate on it.
    Gate,
}

/// What a command reads on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// This text.
    Text(String),
    /// What the caller sends. Its standard error is a socket, of which it reads the other direction.
    Sent,
}

/// A path of the host in the jail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// Where it is, there and here.
    pub path: String,
    /// What may be done with it.
    pub access: Access,
}

/// What a jail says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A wall stands.
    Held(String),
    /// The gate stands; its listener comes with this line.
    Gate,
    /// A granted path is not there.
    Absent(String),
    /// A wall could not be put up, so nothing was run.
    Broken(String),
    /// What the tree has used so far. The kernel does not count those that end with their init.
    Using {
        /// Processor time in milliseconds.
        cpu_ms: u64,
        /// Memory in bytes now.
        memory_bytes: u64,
    },
    /// The command ended by itself.
    Ended(Ending),
    /// A limit ended it.
    Passed(Limit),
    /// The last word: what was used, after everything has ended.
    Spent(Usage),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// What the whole tree used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time in milliseconds.
    pub cpu_ms: u64,
    /// Most memory in bytes: of the tree where a control group counts, else of its largest process.
    pub memory_bytes: u64,
    /// Processes the kernel ended for want of memory.
    pub out_of_memory: u64,
    /// Processes that were not made because there were too many.
    pub refused_forks: u64,
}

/// The longest plan: text a model wrote, and a grant.
const LONGEST: u64 = 64 << 20;

impl Plan {
    /// As it is sent.
    pub fn frame(&self) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let mut frame = (text.len() as u64).to_be_bytes().to_vec();
        frame.extend(text);
        Ok(frame)
    }

    /// Reads one.
    pub fn read(mut from: impl Read) -> io::Result<Self> {
        let mut length = [0; 8];
        from.read_exact(&mut length)?;
        let mut text = Vec::new();
        from.take(u64::from_be_bytes(length).min(LONGEST)).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// The jail's end of the socket.
#[derive(Debug)]
pub(crate) struct Back(pub UnixStream);

impl Back {
    /// Says one thing.
    pub fn say(&self, report: &Report) -> io::Result<()> {
        (&self.0).write_all(&Self::line(report)?)
    }

    /// Says one thing and hands something over with it.
    pub fn hand_over(&self, report: &Report, handle: BorrowedFd<'_>) -> io::Result<()> {
        gate::send(&self.0, &Self::line(report)?, handle)
    }

    fn line(report: &Report) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use common_ground::grant::Limits;

    use super::{Input, Network, Plan};

    #[test]
    fn a_plan_says_the_same_when_it_is_read() {
        let plan = Plan {
            command: vec!["sh".to_owned()],
            env: Vec::new(),
            input: Input::Text("é\0".to_owned()),
            cwd: "/tmp".to_owned(),
            binds: Vec::new(),
            limits: Limits::USUAL,
            uid: 1,
            network: Network::Gate,
        };
        let mut frame = plan.frame().expect("JSON");
        frame.extend(b"more");
        assert_eq!(Plan::read(frame.as_slice()).expect("a plan").input, plan.input);
        assert!(Plan::read(&frame[..20]).is_err());
    }
}
