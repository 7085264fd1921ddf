//! The rest of a statement that steers the connection, word by word.

use super::fault::{Fault, Outcome};
use super::lex::{Lexer, Token};

/// The statement is wrong at this word.
pub(super) fn syntax(near: &str) -> Fault {
    Fault::new("42601", format!("syntax error at or near \"{near}\""))
}

/// What was not read yet.
pub(super) struct Words<'a>(Lexer<'a>);

impl Iterator for Words<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.0.next().filter(|token| *token != Token::End)
    }
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(Lexer::new(text))
    }

    /// As it was sent.
    pub(super) fn rest(&self) -> &'a str {
        self.0.rest()
    }

    /// What comes next.
    pub(super) fn peek(&self) -> Option<Token> {
        Words(self.0.clone()).next()
    }

    /// Goes past the keyword, if it comes next.
    pub(super) fn pass(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.is(keyword));
        if found {
            self.next();
        }
        found
    }

    /// Goes past the sign, if it comes next.
    pub(super) fn sign(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(Token::Sign(sign));
        if found {
            self.next();
        }
        found
    }

    /// Goes past the keyword, which has to come next.
    pub(super) fn expect(&mut self, keyword: &str) -> Outcome<()> {
        if self.pass(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The name that comes next, quoted or not.
    pub(super) fn name(&mut self, what: &str) -> Outcome<String> {
        let next = self.next();
        let name = next.as_ref().and_then(Token::name);
        name.map(str::to_owned).ok_or_else(|| {
            Fault::new("42601", format!("syntax error: the name of {what} is missing"))
        })
    }

    /// A name that may have parts.
    pub(super) fn setting(&mut self) -> Outcome<String> {
        let mut name = self.name("a setting")?;
        while self.sign('.') {
            name = format!("{name}.{}", self.name("a setting")?);
        }
        Ok(name)
    }

    fn unexpected(&self) -> Fault {
        match self.peek() {
            Some(Token::Word(near) | Token::Quoted(near) | Token::Text(near)) => syntax(&near),
            Some(Token::Number(near)) => syntax(&near),
            Some(Token::Sign(near)) => syntax(&near.to_string()),
            _ => Fault::new("42601", "syntax error at end of input"),
        }
    }

    /// `command`, if nothing follows.
    pub(super) fn end<T>(&self, command: T) -> Outcome<T> {
        if self.peek().is_none() { Ok(command) } else { Err(self.unexpected()) }
    }
}
