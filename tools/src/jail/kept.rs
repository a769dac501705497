//! A command that goes on between calls, spoken to over its standard streams, in the same jail as any other.
//!
//! **Invariant:** when its [`Life`] is dropped, the jail ends with all that is in it, whatever it is doing.

use std::{
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    pin::pin,
    process::Stdio,
    sync::Arc,
};

use common_ground::record::{Exit, Limit};
use tokio::{
    io::AsyncWriteExt,
    net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
    sync::oneshot,
    task::JoinHandle,
};

use super::{
    plan::{Ending, Input, Network},
    run::{Jail, Story, Task, Unran, listen},
};
use crate::{
    growth::{self, Growth},
    hand::Work,
};

/// A command under way.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What it reads. Dropped, it has read all.
    pub input: OwnedWriteHalf,
    /// What it puts out.
    pub output: pipe::Receiver,
    /// What it says of itself, which nobody has to believe.
    pub errors: OwnedReadHalf,
    /// What holds it.
    pub life: Life,
}

/// What holds a command that goes on. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Life {
    // The keeper reads the end of its orders as the order to end everything.
    _orders: OwnedWriteHalf,
    told: JoinHandle<io::Result<Story>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, or by a limit.
    Exit(Exit),
    /// It was never run: a wall could not be put up.
    Broken(String),
}

impl Jail {
    /// Starts a command that goes on until it ends by itself, passes the limits of `work`, or is dropped; `env` is what it has
    /// beside the variables of its grant. The walls that stand are noted on `work`.
    pub(crate) async fn keep(
        &self,
        work: &Arc<Work>,
        command: Vec<String>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Kept, Unran> {
        let mut plan = self.plan(work, Task { command, stdin: None, cwd: None }, Network::None)?;
        plan.input = Input::Sent;
        for (key, value) in env {
            plan.env.retain(|(known, _)| *known != key);
            plan.env.push((key, value));
        }
        let frame = plan.frame().map_err(|error| Unran::Broken(error.to_string()))?;
        let growth = Growth::begin(work).await?;
        let (output, out) = io::pipe()?;
        // One socket for input and errors, and another description for output: whoever makes one of them wait for nothing
        // does not lose what goes out.
        let (ours, theirs) = UnixStream::pair()?;
        let (mut child, control) = self.start(out.into(), Stdio::from(OwnedFd::from(theirs)))?;
        ours.set_nonblocking(true)?;
        let (errors, input) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let output = pipe::Receiver::from_owned_fd(output.into())?;
        let (reports, mut orders) = control.into_split();
        orders.write_all(&frame).await?;
        let ending = UnixStream::from(orders.as_ref().as_fd().try_clone_to_owned()?);
        let noting = Arc::clone(work);
        let told = tokio::spawn(async move {
            // It has no network, so that no gate comes.
            let (give, _no_gate) = oneshot::channel();
            let mut listening = pin!(listen(reports, &noting, give));
            let story = tokio::select! {
                story = &mut listening => story,
                by = growth::outgrown(growth.as_ref()) => {
                    noting.refused(growth::WHAT, by);
                    ending.shutdown(Shutdown::Write)?;
                    listening.await.map(|mut story| {
                        story.passed = Some(Limit::Written);
                        story
                    })
                }
            };
            child.wait().await?;
            story
        });
        Ok(Kept { input, output, errors, life: Life { _orders: orders, told } })
    }
}

impl Life {
    /// Waits until nothing of it is left, and says how it ended.
    pub(crate) async fn ended(&mut self) -> End {
        let story = match (&mut self.told).await {
            Ok(Ok(story)) => story,
            Ok(Err(error)) => return End::Broken(error.to_string()),
            Err(error) => return End::Broken(error.to_string()),
        };
        match (story.broken, story.passed, story.ended) {
            (Some(why), _, _) => End::Broken(why),
            (None, Some(limit), _) => End::Exit(Exit::Limit { limit }),
            (None, None, _) if story.usage.is_some_and(|usage| usage.out_of_memory > 0) => {
                End::Exit(Exit::Limit { limit: Limit::Memory })
            }
            (None, None, Some(Ending::Code(0))) => End::Exit(Exit::Done),
            (None, None, Some(Ending::Code(code))) => End::Exit(Exit::Code { code }),
            (None, None, Some(Ending::Signal(signal))) => End::Exit(Exit::Signal { signal }),
            (None, None, None) => End::Broken("its keeper ended too early".to_owned()),
        }
    }
}
