//! Protobuf's wire format: numbers of seven bits a byte, fields by number, nothing trusted.

/// What is wrong with a message, in the words of Go's generated code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing was sent.
    #[error("empty data")]
    Nothing,
    /// The envelope's first bytes are others.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoPrefix,
    /// There is nothing after the envelope's first bytes.
    #[error("empty body")]
    Empty,
    /// It ends too early.
    #[error("unexpected EOF")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A length does not fit in memory's numbers.
    #[error("proto: negative length found during unmarshaling")]
    Length,
    /// A group ends that has not begun.
    #[error("proto: unexpected end of group")]
    EndOfGroup,
    /// A wire type that there is not.
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    /// A known field with another wire type than it has.
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongWireType {
        /// What came.
        wire: u8,
        /// The Go name of the field.
        field: String,
    },
    /// A number that no field can have.
    #[error("proto: {message}: illegal tag {number} (wire type {wire})")]
    Tag {
        /// The type that was being read.
        message: String,
        /// The number.
        number: i32,
        /// The wire type.
        wire: u8,
    },
    /// More messages in one another than are read.
    #[error("proto: message is nested deeper than {0}")]
    Depth(usize),
    /// A value that its type cannot have.
    #[error("{0}")]
    Value(String),
}

/// A field as it stands on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireField<'a> {
    pub number: u32,
    pub payload: Payload<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Group,
    Fixed32,
}

impl Payload<'_> {
    /// The wire type.
    pub fn wire(self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Group => 3,
            Self::Fixed32 => 5,
        }
    }
}

/// The bytes of a payload; an error that names the field where it is none.
pub(super) fn expect<'a>(payload: Payload<'a>, field: &str) -> Result<&'a [u8], Malformed> {
    match payload {
        Payload::Bytes(bytes) => Ok(bytes),
        other => Err(wrong(other, field)),
    }
}

/// The error of a field that came with another wire type than it has.
pub(super) fn wrong(payload: Payload<'_>, field: &str) -> Malformed {
    Malformed::WrongWireType { wire: payload.wire(), field: field.to_owned() }
}

/// Reads the fields of a message, one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    message: &'a str,
}

impl<'a> Reader<'a> {
    /// A reader of the fields of a message of that type.
    pub fn new(bytes: &'a [u8], message: &'a str) -> Self {
        Self { rest: bytes, message }
    }

    /// The next field; `None` at the end.
    pub fn next(&mut self) -> Result<Option<WireField<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire) = self.tag()?;
        let payload = match wire {
            3 => {
                self.skip_group()?;
                Payload::Group
            }
            4 => return Err(Malformed::EndOfGroup),
            _ => self.payload(wire)?,
        };
        Ok(Some(WireField { number, payload }))
    }

    /// A number of a list that is packed.
    pub fn next_packed(&mut self, wire: u8) -> Result<Option<Payload<'a>>, Malformed> {
        if self.rest.is_empty() { Ok(None) } else { self.payload(wire).map(Some) }
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = self.varint()?;
        let wire = (tag & 7) as u8;
        // Go keeps 32 bits of the number, with their sign.
        let number = (tag >> 3) as i32;
        match u32::try_from(number) {
            Ok(positive @ 1..) => Ok((positive, wire)),
            _ => Err(Malformed::Tag { message: self.message.to_owned(), number, wire }),
        }
    }

    fn payload(&mut self, wire: u8) -> Result<Payload<'a>, Malformed> {
        match wire {
            0 => self.varint().map(Payload::Varint),
            1 => {
                let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(Malformed::Truncated)?;
                self.rest = rest;
                Ok(Payload::Fixed64(u64::from_le_bytes(*bytes)))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).ok().filter(|length| isize::try_from(*length).is_ok());
                let length = length.ok_or(Malformed::Length)?;
                self.take(length).map(Payload::Bytes)
            }
            5 => self.take(4).map(|_| Payload::Fixed32),
            _ => Err(Malformed::WireType(wire)),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Overflow)
    }

    /// Groups are of no use to Kubernetes, but an unknown field may be one, with others in it.
    fn skip_group(&mut self) -> Result<(), Malformed> {
        let mut open = 1_usize;
        while open > 0 {
            let (_, wire) = self.tag()?;
            match wire {
                3 => open += 1,
                4 => open -= 1,
                _ => {
                    self.payload(wire)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes a message from its end to its beginning, so that the length of what is in it is known when it is due.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// What was written, the right way round.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.reverse();
        self.0
    }

    pub fn varint(&mut self, number: u32, value: u64) {
        self.number(value);
        self.tag(number, 0);
    }

    pub fn fixed64(&mut self, number: u32, value: u64) {
        self.0.extend(value.to_be_bytes());
        self.tag(number, 1);
    }

    pub fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.nested(number, |writer| writer.raw(bytes));
    }

    /// A field whose bytes `write` writes.
    pub fn nested(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        write(self);
        let length = self.0.len() - before;
        self.number(length as u64);
        self.tag(number, 2);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().rev());
    }

    fn tag(&mut self, number: u32, wire: u64) {
        self.number(u64::from(number) << 3 | wire);
    }

    fn number(&mut self, mut value: u64) {
        let start = self.0.len();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(byte);
                break;
            }
            self.0.push(byte | 0x80);
        }
        self.0[start..].reverse();
    }
}
