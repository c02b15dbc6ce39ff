//! The end of a connection that a client cannot hold open for nothing, and cannot lose an answer by: by saying nothing,
//! by reading nothing, or by not going.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes must have come before a client counts as one that speaks HTTP: the preface of HTTP/2, which hyper
/// waits for however long it takes.
const OPENING_BYTES: usize = 24;
/// How long the rest of what a client sends is taken after the last answer. Closed at once, the connection would be reset,
/// and the reset may overtake the answer.
const LINGER: Duration = Duration::from_millis(500);

/// A stream whose first bytes must come in time, whose client must read on, and whose end waits a little for the
/// client's.
pub struct Stream<S> {
    inner: S,
    opening: Option<Opening>,
    /// How long nothing may be taken of what is written.
    stall: Duration,
    /// When nothing will have been taken for so long.
    stalled: Option<Pin<Box<dyn Sleep>>>,
    ending: Option<Pin<Box<dyn Sleep>>>,
    is_shut: bool,
}

struct Opening {
    missing_bytes: usize,
    deadline: Pin<Box<dyn Sleep>>,
}

impl<S> Stream<S> {
    /// A stream whose client may take `opening` to say what it speaks, and `stall` to read anything of what is written.
    pub fn new(inner: S, opening: Duration, stall: Duration) -> Self {
        let deadline = TokioTimer::new().sleep(opening);
        let opening = Some(Opening { missing_bytes: OPENING_BYTES, deadline });
        Self { inner, opening, stall, stalled: None, ending: None, is_shut: false }
    }

    /// An attempt to write, or the end of the patience with a client that does not read.
    fn progress<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| TokioTimer::new().sleep(stall));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        if let Some(opening) = &mut this.opening {
            opening.missing_bytes = opening.missing_bytes.saturating_sub(buffer.filled().len() - before);
            if opening.missing_bytes == 0 {
                this.opening = None;
            } else if read.is_pending() && opening.deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.progress(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ending = this.ending.get_or_insert_with(|| TokioTimer::new().sleep(LINGER));
        if ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !this.is_shut {
            std::task::ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            this.is_shut = true;
        }
        let mut scratch = [0; 4 << 10];
        // So many at once, so that who sends without end leaves others their turn.
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match std::task::ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // It has ended, too.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
