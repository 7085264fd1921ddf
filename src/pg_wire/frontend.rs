//! Messages of the client. Each is read within its own bytes: what is shorter
//! than it says is a fault of the protocol and never a look past its end.

use bytes::{Buf, Bytes};

use super::fault::{Fault, Outcome};

/// One message, after the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Statements, answered in the text format.
    Query(String),
    /// Prepares a statement; `types` are OIDs, 0 where the server may choose.
    Parse { name: String, text: String, types: Vec<u32> },
    /// Gives a statement its values.
    Bind(Bind),
    /// Asks for columns (and parameters).
    Describe(Target),
    /// Asks for rows; 0 asks for all.
    Execute { portal: String, rows_max: usize },
    /// Forgets a statement or portal.
    Close(Target),
    /// Asks to be sent what is ready.
    Flush,
    /// Ends what belongs together.
    Sync,
    /// Says good-bye.
    Terminate,
    /// Part of a copy, which this server never begins.
    Copy,
    /// Something between the two while they agree on who the client is.
    Password(Bytes),
}

/// The values of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) parameter_formats: Formats,
    /// `None` is null.
    pub(super) parameters: Vec<Option<Bytes>>,
    pub(super) result_formats: Formats,
}

/// What is described or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// How values are written: for all the same, or for each its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Formats(Vec<bool>);

impl Formats {
    /// Whether value `index` is binary.
    pub(super) fn is_binary(&self, index: usize) -> bool {
        match self.0.as_slice() {
            [] => false,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(false),
        }
    }

    /// Whether these are formats for `values` values.
    pub(super) fn fits(&self, values: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == values
    }
}

/// Reads the message of this type byte.
pub(super) fn message(kind: u8, body: Bytes) -> Outcome<Message> {
    let mut body = Body(body);
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (name, text) = (body.text()?, body.text()?);
            let count = body.count()?;
            let types = (0..count).map(|_| body.int().map(i32::cast_unsigned));
            let types = types.collect::<Outcome<Vec<_>>>()?;
            Message::Parse { name, text, types }
        }
        b'B' => Message::Bind(bind(&mut body)?),
        b'D' => Message::Describe(body.target()?),
        b'E' => {
            let portal = body.text()?;
            // A negative count asks for all rows, as 0 does.
            let rows_max = usize::try_from(body.int()?).unwrap_or(0);
            Message::Execute { portal, rows_max }
        }
        b'C' => Message::Close(body.target()?),
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'd' | b'c' | b'f' => return Ok(Message::Copy),
        b'p' => return Ok(Message::Password(body.0)),
        b'F' => return Err(Fault::fatal("0A000", "function calls by message are not supported")),
        other => return Err(Fault::protocol(format!("unknown message type {other}"))),
    };
    if body.0.has_remaining() {
        return Err(Fault::protocol("a message is longer than what it says"));
    }
    Ok(message)
}

fn bind(body: &mut Body) -> Outcome<Bind> {
    let (portal, statement) = (body.text()?, body.text()?);
    let parameter_formats = body.formats()?;
    let count = body.count()?;
    let mut parameters = Vec::new();
    for _ in 0..count {
        let bytes = body.int()?;
        parameters.push(match usize::try_from(bytes) {
            Ok(bytes) => Some(body.bytes(bytes)?),
            Err(_) => None,
        });
    }
    if !parameter_formats.fits(parameters.len()) {
        return Err(Fault::protocol("there are not as many formats as parameters"));
    }
    let result_formats = body.formats()?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
}

/// The bytes of one message that were not read yet.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    fn short() -> Fault {
        Fault::protocol("a message ends before what it says")
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Outcome<Bytes> {
        if count > self.0.len() {
            return Err(Self::short());
        }
        Ok(self.0.split_to(count))
    }

    fn byte(&mut self) -> Outcome<u8> {
        self.0.try_get_u8().map_err(|_| Self::short())
    }

    /// An integer of four bytes.
    pub(super) fn int(&mut self) -> Outcome<i32> {
        self.0.try_get_i32().map_err(|_| Self::short())
    }

    fn count(&mut self) -> Outcome<u16> {
        self.0.try_get_u16().map_err(|_| Self::short())
    }

    /// A text that a zero byte ends.
    pub(super) fn text(&mut self) -> Outcome<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(Self::short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec())
            .map_err(|_| Fault::fatal("22021", "a text is not UTF-8; client_encoding is UTF8"))
    }

    fn target(&mut self) -> Outcome<Target> {
        match self.byte()? {
            b'S' => Ok(Target::Statement(self.text()?)),
            b'P' => Ok(Target::Portal(self.text()?)),
            other => Err(Fault::protocol(format!("{other} is neither a statement nor a portal"))),
        }
    }

    fn formats(&mut self) -> Outcome<Formats> {
        let count = self.count()?;
        let mut codes = Vec::new();
        for _ in 0..count {
            codes.push(match self.0.try_get_i16().map_err(|_| Self::short())? {
                0 => false,
                1 => true,
                other => return Err(Fault::protocol(format!("unknown format code {other}"))),
            });
        }
        Ok(Formats(codes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, body: &'static [u8]) -> Outcome<Message> {
        message(kind, Bytes::from_static(body))
    }

    #[test]
    fn messages_are_read_as_they_were_sent() {
        assert_eq!(read(b'Q', b"select 1\0"), Ok(Message::Query("select 1".into())));
        let parse = read(b'P', b"s\0select $1\0\0\x01\0\0\0\x17");
        let types = vec![23];
        assert_eq!(parse, Ok(Message::Parse { name: "s".into(), text: "select $1".into(), types }));
        let bind = read(b'B', b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0");
        let Ok(Message::Bind(bind)) = bind else { panic!("{bind:?}") };
        assert_eq!(bind.parameters, [Some(Bytes::from_static(b"x")), None]);
        assert!(bind.parameter_formats.is_binary(1) && !bind.result_formats.is_binary(0));
        let execute = read(b'E', b"\0\xff\xff\xff\xff");
        assert_eq!(execute, Ok(Message::Execute { portal: String::new(), rows_max: 0 }));
    }

    #[test]
    fn a_message_that_is_shorter_or_longer_than_it_says_is_refused() {
        let wrong: [(u8, &[u8]); 9] = [
            (b'Q', b"no end"),
            (b'P', b"s\0t\0\xff\xff\0"),
            (b'P', b"s\0t\0"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffx"),
            (b'B', b"\0\0\xff\xff"),
            (b'D', b"Xs\0"),
            (b'E', b"\0\0"),
            (b'S', b"more"),
            (b'?', b""),
        ];
        for (kind, body) in wrong {
            let fault = read(kind, body).expect_err("refused");
            assert_eq!((fault.code, fault.is_fatal), ("08P01", true), "{kind}");
        }
        assert_eq!(read(b'Q', b"\xff\0").expect_err("refused").code, "22021");
    }
}
