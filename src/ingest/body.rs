//! Undoes the compression of a request body, within a limit.

use std::io::Read;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header; absent means identity.
    pub fn from_header(value: Option<&str>) -> Result<Self> {
        match value.map(str::trim) {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => Err(Error::invalid(format!(
                "Content-Encoding is {other:?}; send gzip, zstd or no compression"
            ))),
        }
    }
}

/// The plain bytes of `body`: at most `bytes_max`, so that a small body cannot
/// unfold into all memory. `room` is told how many there are before they are
/// kept, and may refuse.
pub fn decompress(
    body: Bytes,
    encoding: Encoding,
    bytes_max: usize,
    room: impl FnMut(usize) -> Result<()>,
) -> Result<Bytes> {
    match encoding {
        Encoding::Identity if body.len() > bytes_max => Err(too_large(bytes_max)),
        Encoding::Identity => Ok(body),
        Encoding::Gzip => {
            let decoder = flate2::read::MultiGzDecoder::new(body.as_ref());
            read_within(decoder, "gzip", bytes_max, room)
        }
        Encoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref())
                .and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                })
                .map_err(|error| damaged("zstd", &error))?;
            read_within(decoder, "zstd", bytes_max, room)
        }
    }
}

/// The largest window that a zstd frame may ask for, as a power of two: what
/// RFC 8878 recommends decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes decompressed at a time.
const PIECE_BYTES: usize = 64 << 10;

fn read_within(
    mut decoder: impl Read,
    name: &str,
    bytes_max: usize,
    mut room: impl FnMut(usize) -> Result<()>,
) -> Result<Bytes> {
    let mut plain = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = decoder.read(&mut piece).map_err(|error| damaged(name, &error))?;
        if read == 0 {
            return Ok(plain.into());
        }
        let bytes = plain.len() + read;
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        room(bytes)?;
        plain.extend_from_slice(&piece[..read]);
    }
}

fn damaged(name: &str, error: &std::io::Error) -> Error {
    Error::invalid(format!(
        "the body is not complete {name} data ({error}); nothing of it was stored: send it again"
    ))
}

fn too_large(bytes_max: usize) -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "the body unfolds to more than {bytes_max} bytes (body_bytes_max); send less at once"
        ),
    )
}
