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
/// unfold into all memory.
pub fn decompress(body: Bytes, encoding: Encoding, bytes_max: usize) -> Result<Bytes> {
    let plain = match encoding {
        Encoding::Identity => body,
        Encoding::Gzip => {
            read_within(flate2::read::MultiGzDecoder::new(body.as_ref()), "gzip", bytes_max)?
        }
        Encoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref())
                .map_err(|error| damaged("zstd", &error))?;
            read_within(decoder, "zstd", bytes_max)?
        }
    };
    if plain.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(plain) }
}

fn read_within(decoder: impl Read, name: &str, bytes_max: usize) -> Result<Bytes> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    decoder.take(limit).read_to_end(&mut plain).map_err(|error| damaged(name, &error))?;
    Ok(plain.into())
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
