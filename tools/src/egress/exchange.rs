//! One request made by this program, its own or a component's: its body is passed on as it comes, and so is the answer's.
//! Redirects are answers like others; whoever asked may follow them with a request of its own.

use std::pin::Pin;

use bytes::Bytes;
use common_ground::grant::Scheme;
use futures_util::future::{Either, select};
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{EgressError, Line, Target};

type Driven<'b> = Pin<Box<dyn Future<Output = ()> + Send + 'b>>;

/// An answer whose body is still to come.
pub(crate) struct Exchange<'b> {
    /// Its head.
    pub head: http::response::Parts,
    body: Incoming,
    /// Does the work of the connection for as long as it is polled; none once it has ended.
    driven: Option<Driven<'b>>,
    host: String,
}

impl Line<'_> {
    /// Makes a request and waits for the head of its answer. Where it goes is `target`, whatever its URI says.
    ///
    /// # Errors
    /// It may not be made, nobody answers, or a limit is passed.
    #[cfg(feature = "wasm")]
    pub(crate) async fn exchange_with<B>(
        &self,
        target: &Target,
        request: Request<B>,
    ) -> Result<Exchange<'_>, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.in_time(self.exchange(target, request)).await
    }

    /// The same for whoever watches the time.
    pub(super) async fn exchange<B>(&self, target: &Target, request: Request<B>) -> Result<Exchange<'_>, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() == http::Method::CONNECT {
            return Err(self.refuse(target.origin(), "CONNECT is for proxies"));
        }
        let connection = self.connect(target, &[request.method().as_str()]).await?;
        let private = Self::is_private(target, &connection);
        let request = self.outgoing(target, request, private)?;
        match target.scheme() {
            Scheme::Http => begin(target, request, connection).await,
            Scheme::Https => begin(target, request, self.secure(target, connection).await?).await,
        }
    }

    /// The request as its host wants it.
    fn outgoing<B>(&self, target: &Target, request: Request<B>, private: bool) -> Result<Request<B>, EgressError> {
        let (mut head, body) = request.into_parts();
        let wrong = |why: String| self.refuse(target.origin(), why);
        let url = target.url();
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        head.uri = path.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        head.version = http::Version::HTTP_11;
        head.headers = self.with_secrets(target, &head.headers, private)?;
        let host = HeaderValue::from_str(&target.authority()).map_err(|error| wrong(error.to_string()))?;
        head.headers.insert(header::HOST, host);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(Request::from_parts(head, body))
    }
}

async fn begin<'b, B>(
    target: &Target,
    request: Request<B>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'b,
) -> Result<Exchange<'b>, EgressError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let host = target.host().to_owned();
    let http = |source| EgressError::Http { host: host.clone(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let driven: Driven<'b> = Box::pin(async move { connection.await.unwrap_or_default() });
    let sending = Box::pin(sender.send_request(request));
    let (response, driven): (hyper::Result<Response<Incoming>>, _) = match select(sending, driven).await {
        Either::Left((response, driven)) => (response, Some(driven)),
        Either::Right(((), sending)) => (sending.await, None),
    };
    let (head, body) = response.map_err(http)?.into_parts();
    Ok(Exchange { head, body, driven, host })
}

impl Exchange<'_> {
    /// The next piece of the body; none at its end.
    pub async fn next(&mut self) -> Option<Result<Frame<Bytes>, EgressError>> {
        let frame = match self.driven.take() {
            None => self.body.frame().await,
            Some(driven) => match select(Box::pin(self.body.frame()), driven).await {
                Either::Left((frame, driven)) => {
                    self.driven = Some(driven);
                    frame
                }
                Either::Right(((), frame)) => frame.await,
            },
        };
        Some(frame?.map_err(|source| EgressError::Http { host: self.host.clone(), source }))
    }
}
