//! Finds the events in a body: one object, an array, or one object a line.

use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One event's text and where it stands: the line of an NDJSON body, the
/// element of an array, or 1 for a single object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) text: &'a [u8],
}

/// The events of `body` in order, and no more than one or two beyond
/// `lines_max`: a small body can unfold into millions of lines, each of which
/// takes far more memory than its bytes. An array that breaks off yields the elements
/// before the break and then the rest as one line, which will not parse and so
/// says where it broke.
pub(super) fn split_lines(body: &[u8], lines_max: usize) -> Vec<Line<'_>> {
    let body = body.trim_ascii();
    match body.first() {
        None => Vec::new(),
        Some(b'[') => split_array(body, lines_max),
        Some(_) if is_one_document(body) => vec![Line { number: 1, text: body }],
        Some(_) => split_ndjson(body, lines_max),
    }
}

/// Whether `body` is one JSON document, perhaps over several lines, rather
/// than a document a line. Costs one scan of the first document.
fn is_one_document(body: &[u8]) -> bool {
    if !body.contains(&b'\n') {
        return true;
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => true,
        // Broken. An object that ends on its first line is NDJSON with an
        // error somewhere; one that does not was meant to be a single one.
        Err(_) => {
            let first_line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let first_line = first_line.trim_ascii();
            first_line == b"{" || (first_line.starts_with(b"{") && first_line.ends_with(b","))
        }
    }
}

fn split_ndjson(body: &[u8], lines_max: usize) -> Vec<Line<'_>> {
    (1..)
        .zip(body.split(|byte| *byte == b'\n'))
        .map(|(number, text)| Line { number, text: text.trim_ascii() })
        .filter(|line| !line.text.is_empty())
        .take(lines_max.saturating_add(1))
        .collect()
}

fn split_array(body: &[u8], lines_max: usize) -> Vec<Line<'_>> {
    struct Elements<'a, 'out> {
        found: &'out mut Vec<&'a str>,
        count_max: usize,
    }
    impl<'de> Visitor<'de> for Elements<'de, '_> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array of events")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            while self.found.len() <= self.count_max
                && let Some(element) = elements.next_element::<&RawValue>()?
            {
                self.found.push(element.get());
            }
            Ok(())
        }
    }
    let mut elements = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let whole = deserializer
        .deserialize_seq(Elements { found: &mut elements, count_max: lines_max })
        .and_then(|()| deserializer.end())
        .is_ok();
    let mut lines: Vec<Line<'_>> = (1..)
        .zip(elements.iter())
        .map(|(number, element)| Line { number, text: element.as_bytes() })
        .collect();
    if !whole {
        // The element after the last good one starts where that one ended.
        let number = lines.len() as u64 + 1;
        let end = elements
            .last()
            .map_or(1, |last| last.as_ptr() as usize - body.as_ptr() as usize + last.len());
        let rest = body[end..].trim_ascii();
        let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii();
        lines.push(Line { number, text: if rest.is_empty() { b"[" } else { rest } });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<(u64, String)> {
        split_lines(body.as_bytes(), 100)
            .into_iter()
            .map(|line| (line.number, String::from_utf8_lossy(line.text).into_owned()))
            .collect()
    }

    #[test]
    fn an_object_over_several_lines_is_one_event() {
        assert_eq!(texts("{\n \"a\": 1\n}\n"), [(1, "{\n \"a\": 1\n}".to_owned())]);
    }

    #[test]
    fn blank_lines_count_but_hold_no_event() {
        assert_eq!(texts("{}\r\n\n{}\n"), [(1, "{}".to_owned()), (3, "{}".to_owned())]);
    }

    #[test]
    fn a_broken_first_line_does_not_swallow_the_others() {
        assert_eq!(texts("{\"a\":}\n{}").len(), 2);
    }

    #[test]
    fn of_too_many_lines_only_a_few_more_are_taken() {
        let many = "{}\n".repeat(1_000);
        assert_eq!(split_lines(many.as_bytes(), 100).len(), 101);
        let array = format!("[{}{{}}]", "{},".repeat(999));
        let taken = split_lines(array.as_bytes(), 100).len();
        assert!((101..=102).contains(&taken), "{taken}");
        let exact = format!("[{}{{}}]", "{},".repeat(99));
        assert_eq!(split_lines(exact.as_bytes(), 100).len(), 100);
    }

    #[test]
    fn a_broken_array_keeps_the_elements_before_the_break() {
        assert_eq!(
            texts("[{\"a\":1}, {\"b\":2}, {\"c\""),
            [(1, "{\"a\":1}".to_owned()), (2, "{\"b\":2}".to_owned()), (3, "{\"c\"".to_owned())]
        );
        assert_eq!(texts("[{}] x").len(), 2);
    }
}
