//! Texts that would make trees too deep for a stack. The parser bounds how far
//! parentheses nest, not how long `1 + 1 + 1 + …` or `int[][][]…` goes on, and
//! each link is one level of what it makes.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Most operators in a row: the stacks of SQL's threads have room for many more,
/// but the time to plan them grows with their square.
pub(super) const CHAIN_MAX: usize = 1_000;

/// Whether `text` holds more than `most` operators in a row: not parted by a
/// comma, within the same parentheses. What cannot be read at all is for the
/// parser to say.
pub(crate) fn is_longer_chain(text: &str, most: usize) -> bool {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return false };
    // One for each parenthesis that is open.
    let mut chains = vec![0_usize];
    for token in tokens {
        match token {
            Token::LParen => chains.push(0),
            Token::RParen if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma | Token::SemiColon => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            token if links(&token) => {
                let Some(chain) = chains.last_mut() else { continue };
                *chain += 1;
                if *chain > most {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether a token may join what is before it to what follows.
fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::AT
                | Keyword::COLLATE
                | Keyword::ARRAY
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::EXPLAIN
                | Keyword::DIV
                | Keyword::XOR
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::Whitespace(_)
        | Token::EOF => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
