//! Requests whose answers come piece by piece, as long as somebody takes them.
//!
//! No redirect is followed here; whoever asked sees its status.
//!
//! **Invariant:** when the answer is dropped, its connection closes; the record has it by then, or soon after.

use std::sync::Arc;

use bytes::Bytes;
use common_ground::record::Limit;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Dialler, EgressError, Line, Request, request::outgoing};
use crate::hand::Work;

/// Pieces that wait for somebody to take them.
const WAITING: usize = 4;

/// The head of an answer.
type Head = (StatusCode, HeaderMap);

/// An answer under way.
#[derive(Debug)]
pub(crate) struct Streamed {
    /// With what was answered.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    pieces: mpsc::Receiver<Result<Bytes, EgressError>>,
    _task: Ending,
}

/// A task that ends with whoever waits for it.
#[derive(Debug)]
struct Ending(JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Streamed {
    /// The next piece of the body; none at its end.
    pub async fn piece(&mut self) -> Option<Result<Bytes, EgressError>> {
        self.pieces.recv().await
    }

    /// The whole body.
    ///
    /// # Errors
    /// It does not come whole.
    pub async fn whole(mut self) -> Result<Vec<u8>, EgressError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece?);
        }
        Ok(body)
    }
}

/// Makes a request under the grant and limits of `work`; of its body at most `request.most` bytes are read. `during` is kept
/// until the connection is closed and noted.
///
/// # Errors
/// It may not be made, nobody answers, or a limit is passed.
pub(crate) async fn stream(
    dialler: &Arc<Dialler>,
    work: Arc<Work>,
    request: Request,
    during: impl Send + 'static,
) -> Result<Streamed, EgressError> {
    let (told, head) = oneshot::channel();
    let (giving, pieces) = mpsc::channel(WAITING);
    let host = request.target.host().to_owned();
    let dialler = Arc::clone(dialler);
    let task = tokio::spawn(async move {
        // The last to be dropped.
        let _during = during;
        let line = dialler.line(&work);
        let mut told = Some(told);
        let ended = line.in_time(line.flow(&request, &mut told, &giving)).await;
        drop(line);
        let Err(error) = ended else { return };
        // Who asked may be gone, and then nobody misses it.
        match told {
            Some(told) => drop(told.send(Err(error))),
            None => drop(giving.send(Err(error)).await),
        }
    });
    let task = Ending(task);
    let gone = || EgressError::Body { host, why: "the request was given up".to_owned() };
    let (status, headers) = head.await.map_err(|_dropped| gone())??;
    Ok(Streamed { status, headers, pieces, _task: task })
}

/// Who waits for the head, until it has it.
type Told = Option<oneshot::Sender<Result<Head, EgressError>>>;

impl Line<'_> {
    async fn flow(
        &self,
        request: &Request,
        told: &mut Told,
        pieces: &mpsc::Sender<Result<Bytes, EgressError>>,
    ) -> Result<(), EgressError> {
        let mut going = outgoing(request);
        // A compressed stream would come in pieces of the compressor's choice.
        going.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut exchange = self.exchange(&request.target, going).await?;
        let head = &exchange.head;
        let encoding = head.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let why = "it is encoded in a way that was not asked for".to_owned();
            return Err(EgressError::Body { host: request.target.host().to_owned(), why });
        }
        if told.take().is_none_or(|told| told.send(Ok((head.status, head.headers.clone()))).is_err()) {
            return Ok(());
        }
        let mut left = request.most;
        while let Some(frame) = exchange.next().await {
            let Ok(data) = frame?.into_data() else { continue };
            left = left.checked_sub(data.len()).ok_or(EgressError::Limit(Limit::Net))?;
            if pieces.send(Ok(data)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
