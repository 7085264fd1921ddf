//! Whether a text names an id.

/// Whether `text` holds `id` as a whole token: no letter, digit or one of
/// `_.@-` stands directly before or behind it. A dot that ends a sentence does
/// not count.
pub fn mentions(text: &str, id: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find(id).filter(|_| !id.is_empty()) {
        let place = text.len() - rest.len() + start;
        if stands_alone(&text[..place], &text[place + id.len()..]) {
            return true;
        }
        // Another one may begin within this one.
        let next = rest[start..].char_indices().nth(1).map_or(rest.len(), |(at, _)| start + at);
        rest = &rest[next..];
    }
    false
}

/// The same of a text of SQL, which doubles the quotes within a name.
pub fn mentions_in_sql(text: &str, id: &str) -> bool {
    let doubled = |quote: &str| id.contains(quote) && mentions(text, &doubled_quotes(id, quote));
    mentions(text, id) || doubled("'") || doubled("\"")
}

fn doubled_quotes(id: &str, quote: &str) -> String {
    id.replace(quote, &quote.repeat(2))
}

fn stands_alone(before: &str, behind: &str) -> bool {
    let behind = behind.strip_prefix('.').filter(|rest| !begins_token(rest)).unwrap_or(behind);
    !before.chars().next_back().is_some_and(is_of_token) && !begins_token(behind)
}

fn begins_token(text: &str) -> bool {
    text.chars().next().is_some_and(is_of_token)
}

fn is_of_token(one: char) -> bool {
    one.is_alphanumeric() || matches!(one, '_' | '.' | '@' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_token_names_an_id() {
        for text in ["a", "WHERE user_id = 'a'", "(a)", "says a.", "x,a,y", "aa a"] {
            assert!(mentions(text, "a"), "{text}");
        }
        for text in ["", "aa", "a@b", "a-b", "a.b", "_a", "x.a", "ä", "aé", "éa"] {
            assert!(!mentions(text, "a"), "{text}");
        }
        assert!(mentions("ab b b", "b b"), "the second begins within the first");
        assert!(!mentions("anything", ""));
        assert!(mentions("of jürgen müller, too", "jürgen müller"));
    }

    #[test]
    fn sql_doubles_quotes() {
        assert!(mentions_in_sql("SELECT 'o''neil'", "o'neil"));
        assert!(mentions_in_sql("SELECT \"o\"\"n\"", "o\"n"));
        assert!(!mentions_in_sql("SELECT 'o''neils'", "o'neil"));
    }
}
