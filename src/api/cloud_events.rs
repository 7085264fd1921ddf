//! Which mode of CloudEvents a request is in: the HTTP protocol binding of
//! CloudEvents 1.0.2, section 3.

use axum::http::{HeaderMap, header};

use super::problem::Problem;
use crate::ingest::SourceFormat;

/// Headers of attributes start so.
const PREFIX: &str = "ce-";

/// The header that every event in binary mode has.
const SPEC_VERSION: &str = "ce-specversion";

/// The format of a request to `/api/events`, and in binary mode the event's
/// attributes. A media type decides before headers do, as the binding wants.
pub(super) fn format_of(
    headers: &HeaderMap,
) -> Result<(SourceFormat, Vec<(String, String)>), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/cloudevents+json" | "application/cloudevents-batch+json" => {
            Ok((SourceFormat::CloudEvents, Vec::new()))
        }
        other if other.starts_with("application/cloudevents") => Err(Problem::media_type(format!(
            "the content type is {other}; CloudEvents are read as application/cloudevents+json, \
             application/cloudevents-batch+json, or in binary mode"
        ))),
        _ if headers.contains_key(SPEC_VERSION) => {
            let mut attributes = attributes(headers);
            // In binary mode the content type is the data's.
            if !media_type.is_empty() {
                attributes.push(("datacontenttype".to_owned(), media_type));
            }
            Ok((SourceFormat::CloudEventBinary, attributes))
        }
        _ => Ok((SourceFormat::Native, Vec::new())),
    }
}

fn attributes(headers: &HeaderMap) -> Vec<(String, String)> {
    let named = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(PREFIX)?;
        Some((name.to_owned(), percent_decoded(value.to_str().ok()?)))
    });
    named.collect()
}

/// Undoes the percent-encoding of a header's value. What is no encoding stays
/// as it is.
fn percent_decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| {
                *first == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn the_media_type_decides_before_the_headers_do() {
        let format = |pairs: &[(&'static str, &'static str)]| {
            format_of(&headers(pairs)).map(|(format, _)| format).ok()
        };
        let batch = ("content-type", "Application/CloudEvents-Batch+JSON; charset=utf-8");
        assert_eq!(format(&[batch, ("ce-specversion", "1.0")]), Some(SourceFormat::CloudEvents));
        let json = ("content-type", "application/json");
        let binary = Some(SourceFormat::CloudEventBinary);
        assert_eq!(format(&[json, ("ce-specversion", "1.0")]), binary);
        assert_eq!(format(&[json]), Some(SourceFormat::Native));
        assert_eq!(format(&[("content-type", "application/cloudevents+xml")]), None);
    }

    #[test]
    fn attributes_are_percent_decoded() {
        let headers = headers(&[("ce-specversion", "1.0"), ("ce-id", "a%20%E2%82%AC 100%")]);
        let (_, attributes) = format_of(&headers).expect("binary mode");
        assert!(attributes.contains(&("id".to_owned(), "a € 100%".to_owned())), "{attributes:?}");
    }
}
