//! A connection of the load generator: HTTP/1.1, keep-alive, one request at a time.
//!
//! Written by hand so that the client costs as little as it can: a request is bytes made beforehand, and of an answer
//! only the status and the length of its body are understood.

use std::io;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::target::{Stream, Target};

/// Bytes of a head, of the line before a chunk, of a trailer.
const HEAD_MAX: usize = 64 << 10;
/// Bytes of a body: a list of 100,000 Pods has some 300 MB.
const BODY_MAX: usize = 2 << 30;
const HEADERS_MAX: usize = 64;

/// A connection with what was read of it and not used yet.
pub struct Connection {
    stream: Box<dyn Stream>,
    input: BytesMut,
    /// The body of the last answer.
    body: Vec<u8>,
    open: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    /// Bytes of the head itself.
    length: usize,
}

impl Connection {
    /// A new connection, TLS and all.
    pub async fn open(target: &Target) -> Result<Self> {
        Ok(Self::new(target.connect().await?))
    }

    fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, input: BytesMut::with_capacity(64 << 10), body: Vec::new(), open: true }
    }

    /// Sends one request and reads its answer: the status, and the body in [`Connection::body`].
    ///
    /// # Errors
    /// Where the connection breaks, or the answer is no HTTP/1.1.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        if !self.open {
            bail!("the server closes its connections: the figures would be those of handshakes");
        }
        self.stream.write_all(request).await.context("send")?;
        self.stream.flush().await.context("send")?;
        let head = loop {
            match head(&self.input)? {
                // An interim answer (103, say) comes before the one that counts.
                Some(Head { status: 100..=199, length, .. }) => self.input.advance(length),
                Some(head) => break head,
                None if self.input.len() > HEAD_MAX => bail!("the answer's head has no end"),
                None => self.fill().await?,
            }
        };
        self.input.advance(head.length);
        self.body.clear();
        self.open = head.keep_alive;
        match head.framing {
            Framing::Length(length) => self.take(length).await?,
            Framing::Chunked => self.take_chunks().await?,
            Framing::UntilClose => self.take_rest().await?,
        }
        Ok(head.status)
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    async fn fill(&mut self) -> Result<()> {
        self.input.reserve(16 << 10);
        if self.stream.read_buf(&mut self.input).await.context("receive")? == 0 {
            self.open = false;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).context("receive");
        }
        Ok(())
    }

    /// Moves the next `length` bytes into the body.
    async fn take(&mut self, length: usize) -> Result<()> {
        if self.body.len().saturating_add(length) > BODY_MAX {
            bail!("the answer's body is larger than {BODY_MAX} bytes");
        }
        let mut missing = length;
        loop {
            let here = missing.min(self.input.len());
            self.body.extend_from_slice(&self.input[..here]);
            self.input.advance(here);
            missing -= here;
            if missing == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn take_chunks(&mut self) -> Result<()> {
        loop {
            match httparse::parse_chunk_size(&self.input) {
                Ok(httparse::Status::Complete((line, size))) => {
                    self.input.advance(line);
                    if size == 0 {
                        return self.skip_trailer().await;
                    }
                    self.take(usize::try_from(size).context("a chunk's size")?).await?;
                    while self.input.len() < 2 {
                        self.fill().await?;
                    }
                    if !self.input.starts_with(b"\r\n") {
                        bail!("a chunk is longer than it says");
                    }
                    self.input.advance(2);
                }
                Ok(httparse::Status::Partial) if self.input.len() <= HEAD_MAX => self.fill().await?,
                Ok(httparse::Status::Partial) | Err(_) => bail!("a chunk without a size"),
            }
        }
    }

    /// Header lines after the last chunk, up to an empty one.
    async fn skip_trailer(&mut self) -> Result<()> {
        loop {
            match self.input.windows(2).position(|pair| pair == b"\r\n") {
                Some(0) => {
                    self.input.advance(2);
                    return Ok(());
                }
                Some(end) => self.input.advance(end + 2),
                None if self.input.len() > HEAD_MAX => bail!("the answer's trailer has no end"),
                None => self.fill().await?,
            }
        }
    }

    async fn take_rest(&mut self) -> Result<()> {
        loop {
            let here = self.input.len();
            self.take(here).await?;
            self.input.reserve(16 << 10);
            if self.stream.read_buf(&mut self.input).await.context("receive")? == 0 {
                self.open = false;
                return Ok(());
            }
        }
    }
}

/// The head at the beginning of `input`, where all of it is there.
fn head(input: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(input).context("the answer is no HTTP")? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let mut framing = Framing::UntilClose;
    let mut keep_alive = response.version == Some(1);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let text = std::str::from_utf8(header.value).context("the content's length")?;
            framing = Framing::Length(text.trim().parse().context("the content's length")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding")
            && header.value.to_ascii_lowercase().ends_with(b"chunked")
        {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
        {
            keep_alive = false;
        }
    }
    if matches!(status, 100..=199 | 204 | 304) {
        framing = Framing::Length(0);
    }
    Ok(Some(Head { status, framing, keep_alive: keep_alive && framing != Framing::UntilClose, length }))
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    /// What a connection makes of `answer`, when it comes in pieces of `piece` bytes and then the end.
    async fn read(answer: &[u8], piece: usize) -> Result<(u16, Vec<u8>, bool)> {
        let (client, mut server): (DuplexStream, DuplexStream) = tokio::io::duplex(piece);
        let answer = answer.to_vec();
        let sender = tokio::spawn(async move {
            let mut request = [0; 3];
            server.read_exact(&mut request).await?;
            server.write_all(&answer).await
        });
        let mut connection = Connection::new(Box::new(client));
        let status = connection.exchange(b"GET").await?;
        sender.await??;
        Ok((status, connection.body().to_vec(), connection.open))
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_however_they_come() {
        let cases: &[(&str, u16, &str, bool)] = &[
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", 200, "abc", true),
            ("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, "", true),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\na\r\n0\r\nt: u\r\n\r\n",
                200,
                "a",
                true,
            ),
            (
                "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
                200,
                "a",
                true,
            ),
            (
                "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 1\r\n\r\na",
                429,
                "a",
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false),
        ];
        for (answer, status, body, open) in cases {
            for piece in [1, 2, 7, 4096] {
                let read = read(answer.as_bytes(), piece).await.unwrap();
                assert_eq!(read, (*status, body.as_bytes().to_vec(), *open), "{answer} by {piece}");
            }
        }
    }

    #[tokio::test]
    async fn broken_answers_are_errors() {
        for answer in [
            "",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(read(answer.as_bytes(), 4096).await.is_err(), "{answer}");
        }
    }
}
