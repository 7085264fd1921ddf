//! The words of SQL, as far as is needed to tell statements apart and to read
//! those that steer the connection. What asks for rows goes to the engine as
//! it was sent.

use super::fault::{Fault, Outcome};
use crate::engine::is_longer_chain;

/// Longest text with statements, bytes: as long as the engine takes one.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Refuses a text before anything reads it that is too long for the engine.
pub(super) fn check_length(text: &str) -> Outcome<()> {
    let bytes = text.len();
    if bytes <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the SQL text has {bytes} bytes; {TEXT_BYTES_MAX} are allowed");
    Err(Fault::new("54000", message))
}

/// Most operators in a row in a text that is looked at here, where stacks are
/// small. A longer one is asked as it is.
const CHAIN_MAX: usize = 200;

/// Whether looking at `text` would take more of the stack than there is.
pub(super) fn is_too_deep(text: &str) -> bool {
    is_longer_chain(text, CHAIN_MAX)
}

/// A word or sign of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or keyword without quotes, in lower case.
    Word(String),
    /// A name in double quotes, without them.
    Quoted(String),
    /// A text in single or dollar quotes, without them.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `$1`, `$2`, …
    Parameter(usize),
    /// `;`
    End,
    /// Any other sign.
    Sign(char),
}

impl Token {
    /// The name that it is, quoted or not.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word == keyword)
    }
}

/// Walks over a text; spaces and comments are skipped.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// What follows.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// The byte at which the next token starts, or the text ends.
    fn skip_blank(&mut self) -> usize {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.position += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                self.position += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                self.position += comment_bytes(trimmed);
            } else {
                return self.position;
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let start = self.position;
        self.position = (start + bytes).min(self.text.len());
        self.text.get(start..self.position).unwrap_or_default()
    }

    /// A quoted run that `quote` ends; a doubled quote stands for one.
    fn quoted(&mut self, quote: char, escapes: bool) -> String {
        let mut content = String::new();
        let mut signs = self.rest().char_indices().peekable();
        signs.next();
        while let Some((at, sign)) = signs.next() {
            if sign == quote {
                if signs.next_if(|(_, next)| *next == quote).is_none() {
                    self.position += at + quote.len_utf8();
                    return content;
                }
            } else if escapes && sign == '\\' {
                content.extend(signs.next().map(|(_, escaped)| escaped));
                continue;
            }
            content.push(sign);
        }
        self.position = self.text.len();
        content
    }

    /// `$tag$ … $tag$`, or `None` where no such text starts here.
    fn dollar_quoted(&mut self) -> Option<String> {
        let rest = self.rest();
        let close = 1 + rest.get(1..)?.find('$')?;
        let tag = rest.get(..=close)?;
        let inner = &tag[1..close];
        let is_tag = inner.chars().all(|sign| sign.is_alphanumeric() || sign == '_')
            && !inner.starts_with(|sign: char| sign.is_ascii_digit());
        if !is_tag {
            return None;
        }
        let body = rest.get(close + 1..)?;
        let end = body.find(tag).unwrap_or(body.len());
        self.take(close + 1 + end + tag.len());
        Some(body[..end].to_owned())
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let rest = self.rest();
        let first = rest.chars().next()?;
        Some(match first {
            ';' => {
                self.take(1);
                Token::End
            }
            '\'' => Token::Text(self.quoted('\'', false)),
            '"' => Token::Quoted(self.quoted('"', false)),
            'e' | 'E' if rest[1..].starts_with('\'') => {
                self.take(1);
                Token::Text(self.quoted('\'', true))
            }
            '$' => match self.dollar_quoted() {
                Some(text) => Token::Text(text),
                None => {
                    let digits = run(&rest[1..], |sign| sign.is_ascii_digit());
                    let number = self.take(1 + digits)[1..].parse().unwrap_or_default();
                    Token::Parameter(number)
                }
            },
            sign if sign.is_alphabetic() || sign == '_' => {
                let bytes = run(rest, |sign| sign.is_alphanumeric() || sign == '_' || sign == '$');
                Token::Word(self.take(bytes).to_lowercase())
            }
            sign if sign.is_ascii_digit() => {
                let bytes = run(rest, |sign| sign.is_ascii_alphanumeric() || sign == '.');
                Token::Number(self.take(bytes).to_owned())
            }
            sign => {
                self.take(sign.len_utf8());
                Token::Sign(sign)
            }
        })
    }
}

/// Bytes of the signs at the start of `text` that fit.
fn run(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|sign| !fits(sign)).unwrap_or(text.len())
}

/// Bytes of the comment that `text` starts with; comments nest.
fn comment_bytes(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The statements of a text, without the semicolons between them.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lexer = Lexer::new(text);
    loop {
        let start = lexer.skip_blank();
        let mut is_empty = true;
        let mut last = start;
        let end = loop {
            match lexer.next() {
                Some(Token::End) | None => break last,
                Some(_) => {
                    is_empty = false;
                    last = lexer.position;
                }
            }
        };
        if !is_empty {
            found.extend(text.get(start..end));
        }
        if lexer.rest().is_empty() {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Token> {
        Lexer::new(text).collect()
    }

    #[test]
    fn a_text_longer_than_the_engine_takes_is_refused() {
        assert_eq!(check_length(&" ".repeat(TEXT_BYTES_MAX)), Ok(()));
        let refused = check_length(&" ".repeat(TEXT_BYTES_MAX + 1)).expect_err("refused");
        assert_eq!(refused.code, "54000");
        assert!(refused.message.contains("1048577 bytes; 1048576 are allowed"), "{refused}");
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        let text = "select ';' -- ;\n, \";\"; /* ; /* ; */ ; */ select $a$;$a$, e'\\';' ;; ";
        assert_eq!(statements(text), ["select ';' -- ;\n, \";\"", "select $a$;$a$, e'\\';'"]);
        assert!(statements(" ;; -- nothing\n").is_empty());
        assert_eq!(statements("select 1"), ["select 1"]);
    }

    #[test]
    fn a_token_is_read_without_its_quotes() {
        assert_eq!(
            words("SeT \"A\"\"b\""),
            [Token::Word("set".into()), Token::Quoted("A\"b".into())]
        );
        assert_eq!(words("'it''s'"), [Token::Text("it's".into())]);
        assert_eq!(
            words("$1, $tag$x$tag$"),
            [Token::Parameter(1), Token::Sign(','), Token::Text("x".into())]
        );
    }

    #[test]
    fn what_is_never_closed_runs_to_the_end() {
        for text in ["'open", "\"open", "$$open", "/* open", "-- open", "$", "e'\\", "é'"] {
            let _ = words(text);
            let _ = statements(text);
        }
        assert_eq!(statements("select 'a; b"), ["select 'a; b"]);
    }
}
