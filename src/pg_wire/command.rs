//! What a statement is for: rows, which the engine answers, or the connection
//! itself. The words at its start tell.

use super::fault::{Fault, Outcome};
use super::lex::Token;
use super::words::{Words, syntax};

/// A statement, taken apart as far as this server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Asks the engine for rows.
    Query {
        tag: &'static str,
    },
    /// Sets one setting; no value means the one at the start.
    Set {
        name: String,
        value: Option<String>,
        is_local: bool,
    },
    /// Says how transactions behave; all here read, from one snapshot.
    SetTransaction,
    /// One setting, or all.
    Show(Option<String>),
    /// One setting back to its start, or all.
    Reset(Option<String>),
    /// Forgets what a connection gathered.
    Discard {
        is_all: bool,
    },
    Begin(&'static str),
    Commit(&'static str),
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// Prepares the statement that starts at this byte.
    Prepare {
        name: String,
        types: Vec<String>,
        start: usize,
    },
    Execute {
        name: String,
        arguments: Vec<Option<String>>,
    },
    /// One prepared statement, or all.
    Deallocate(Option<String>),
    /// A cursor over the statement that starts at this byte.
    Declare {
        name: String,
        start: usize,
    },
    /// The next rows of a cursor; `None` for all. A move answers none of them.
    Fetch {
        name: String,
        rows: Option<usize>,
        is_move: bool,
    },
    /// One cursor, or all.
    Close(Option<String>),
    /// Nothing can be listened to, so that this ends nothing.
    Unlisten,
}

/// Takes a statement apart.
pub(super) fn command(text: &str) -> Outcome<Command> {
    let mut words = Words::new(text);
    let Some(first) = words.next() else {
        return Err(Fault::new("42601", "the statement is empty"));
    };
    let Token::Word(first) = first else {
        // A query in parentheses.
        return Ok(Command::Query { tag: "SELECT" });
    };
    match first.as_str() {
        "set" => set(&mut words),
        "show" => show(&mut words),
        "reset" => {
            let name = words.setting()?;
            words.end(Command::Reset((name != "all").then_some(name)))
        }
        "discard" => {
            let what = words.name("what to discard")?;
            match what.as_str() {
                "all" => words.end(Command::Discard { is_all: true }),
                "plans" | "sequences" | "temp" | "temporary" => {
                    words.end(Command::Discard { is_all: false })
                }
                _ => Err(syntax(&what)),
            }
        }
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction(&first, &mut words)
        }
        "prepare" => prepare(text, &mut words),
        "execute" => execute(&mut words),
        "deallocate" => {
            let _ = words.pass("prepare");
            let name = words.name("a prepared statement")?;
            words.end(Command::Deallocate((name != "all").then_some(name)))
        }
        "declare" => declare(text, &mut words),
        "fetch" | "move" => fetch(first == "move", &mut words),
        "close" => {
            let name = words.name("a cursor")?;
            words.end(Command::Close((name != "all").then_some(name)))
        }
        "unlisten" => Ok(Command::Unlisten),
        "explain" => Ok(Command::Query { tag: "EXPLAIN" }),
        other => refusal(other).map_or(Ok(Command::Query { tag: "SELECT" }), Err),
    }
}

/// Why a statement that opens with `word` is not run; `None` where it may ask
/// for rows.
fn refusal(word: &str) -> Option<Fault> {
    let shown = word.to_uppercase();
    match word {
        "copy" => Some(Fault::unsupported(
            "COPY is not supported: read rows with SELECT; events come in over POST /api/events",
        )),
        "listen" | "notify" | "lock" | "load" | "do" | "call" => {
            Some(Fault::unsupported(format!("{shown} is not supported: SQL here only reads")))
        }
        "insert" | "update" | "delete" | "merge" | "truncate" | "create" | "alter" | "drop"
        | "grant" | "revoke" | "comment" | "refresh" | "reindex" | "cluster" | "vacuum"
        | "analyze" | "checkpoint" | "import" | "security" | "reassign" | "replace" | "install"
        | "attach" | "detach" | "unload" => Some(Fault::new(
            "25006",
            format!("cannot execute {shown} in a read-only transaction: SQL here only reads"),
        )),
        _ => None,
    }
}

fn set(words: &mut Words<'_>) -> Outcome<Command> {
    let is_local = words.pass("local");
    let is_session = !is_local && words.pass("session");
    if words.pass("transaction") {
        return Ok(Command::SetTransaction);
    }
    if is_session && words.pass("characteristics") {
        return Ok(Command::SetTransaction);
    }
    if words.pass("time") {
        words.expect("zone")?;
        return assign("TimeZone".to_owned(), is_local, words);
    }
    if words.pass("names") {
        return assign("client_encoding".to_owned(), is_local, words);
    }
    if words.pass("role") || words.peek().is_some_and(|next| next.is("authorization")) {
        let target = words.by_ref().last();
        let is_own = target.is_some_and(|one| one.is("none") || one.is("default"));
        return if is_own {
            Ok(Command::SetTransaction)
        } else {
            Err(Fault::new("42501", "a connection acts for the token that it logged in with"))
        };
    }
    let name = words.setting()?;
    if !words.pass("to") && words.next() != Some(Token::Sign('=')) {
        return Err(syntax("the end of the statement"));
    }
    assign(name, is_local, words)
}

fn assign(name: String, is_local: bool, words: &mut Words<'_>) -> Outcome<Command> {
    let mut parts = Vec::new();
    let mut is_default = false;
    loop {
        let minus = words.sign('-');
        let part = match words.next() {
            Some(Token::Word(word)) => {
                is_default |= word == "default";
                word
            }
            Some(Token::Quoted(part) | Token::Text(part) | Token::Number(part)) => part,
            _ => return Err(syntax("a missing value")),
        };
        parts.push(if minus { format!("-{part}") } else { part });
        if !words.sign(',') {
            break;
        }
    }
    let value = (!is_default).then(|| parts.join(", "));
    words.end(Command::Set { name, value, is_local })
}

fn show(words: &mut Words<'_>) -> Outcome<Command> {
    const ROWS: [&str; 7] =
        ["tables", "columns", "functions", "create", "databases", "schemas", "fields"];
    if words.peek().is_some_and(|next| ROWS.iter().any(|word| next.is(word))) {
        return Ok(Command::Query { tag: "SHOW" });
    }
    if words.pass("time") {
        words.expect("zone")?;
        return words.end(Command::Show(Some("TimeZone".to_owned())));
    }
    if words.pass("transaction") {
        words.expect("isolation")?;
        words.expect("level")?;
        return words.end(Command::Show(Some("transaction_isolation".to_owned())));
    }
    if words.pass("session") {
        words.expect("authorization")?;
        return words.end(Command::Show(Some("session_authorization".to_owned())));
    }
    let name = words.setting()?;
    words.end(Command::Show((name != "all").then_some(name)))
}

fn transaction(first: &str, words: &mut Words<'_>) -> Outcome<Command> {
    match first {
        "begin" => Ok(Command::Begin("BEGIN")),
        "start" => {
            words.expect("transaction")?;
            Ok(Command::Begin("START TRANSACTION"))
        }
        "savepoint" => {
            let name = words.name("a savepoint")?;
            words.end(Command::Savepoint(name))
        }
        "release" => {
            let _ = words.pass("savepoint");
            let name = words.name("a savepoint")?;
            words.end(Command::Release(name))
        }
        _ => {
            let _ = words.pass("work") || words.pass("transaction");
            if words.pass("prepared") || words.peek().is_some_and(|next| next.is("prepared")) {
                return Err(Fault::unsupported("two-phase commit is not supported"));
            }
            if first == "rollback" && words.pass("to") {
                let _ = words.pass("savepoint");
                let name = words.name("a savepoint")?;
                return words.end(Command::RollbackTo(name));
            }
            if words.pass("and") && !words.pass("no") {
                return Err(Fault::unsupported("AND CHAIN is not supported: BEGIN again"));
            }
            Ok(if ["commit", "end"].contains(&first) {
                Command::Commit("COMMIT")
            } else {
                Command::Rollback
            })
        }
    }
}

fn prepare(text: &str, words: &mut Words<'_>) -> Outcome<Command> {
    let name = words.name("a prepared statement")?;
    if name == "transaction" {
        return Err(Fault::unsupported("two-phase commit is not supported"));
    }
    let mut types = Vec::new();
    if words.sign('(') {
        loop {
            let mut kind = words.name("a type")?;
            while let Some(Token::Word(more)) = words.peek() {
                kind = format!("{kind} {more}");
                words.next();
            }
            if words.sign('[') && words.sign(']') {
                kind.push_str("[]");
            }
            types.push(kind);
            if !words.sign(',') {
                break;
            }
        }
        if !words.sign(')') {
            return Err(syntax("an open list of types"));
        }
    }
    words.expect("as")?;
    Ok(Command::Prepare { name, types, start: text.len() - words.rest().len() })
}

fn execute(words: &mut Words<'_>) -> Outcome<Command> {
    let name = words.name("a prepared statement")?;
    let mut arguments = Vec::new();
    if words.sign('(') && !words.sign(')') {
        loop {
            arguments.push(argument(words)?);
            if words.sign(')') {
                break;
            }
            if !words.sign(',') {
                return Err(Fault::unsupported("arguments of EXECUTE are literals here"));
            }
        }
    }
    words.end(Command::Execute { name, arguments })
}

fn argument(words: &mut Words<'_>) -> Outcome<Option<String>> {
    let minus = words.sign('-');
    let value = match words.next() {
        Some(Token::Number(number)) if minus => Some(format!("-{number}")),
        Some(Token::Number(value) | Token::Text(value)) if !minus => Some(value),
        Some(Token::Word(word)) if word == "null" => None,
        Some(Token::Word(word)) if word == "true" || word == "false" => Some(word),
        _ => return Err(Fault::unsupported("arguments of EXECUTE are literals here")),
    };
    // The type was said when the statement was prepared.
    if words.sign(':') && words.sign(':') {
        words.name("a type")?;
    }
    Ok(value)
}

fn declare(text: &str, words: &mut Words<'_>) -> Outcome<Command> {
    let name = words.name("a cursor")?;
    let mut options = 0;
    loop {
        match words.next() {
            Some(token) if token.is("cursor") => break,
            Some(token) if token.is("scroll") && options > 0 => {}
            Some(token)
                if ["binary", "insensitive", "asensitive", "no", "scroll"]
                    .iter()
                    .any(|word| token.is(word)) => {}
            _ => return Err(syntax("something that is no cursor")),
        }
        options += 1;
    }
    if words.pass("with") {
        words.expect("hold")?;
        return Err(Fault::unsupported("WITH HOLD is not supported: fetch within the transaction"));
    }
    if words.pass("without") {
        words.expect("hold")?;
    }
    words.expect("for")?;
    Ok(Command::Declare { name, start: text.len() - words.rest().len() })
}

fn fetch(is_move: bool, words: &mut Words<'_>) -> Outcome<Command> {
    let backward = ["prior", "first", "last", "absolute", "relative", "backward"];
    if words.peek().is_some_and(|next| backward.iter().any(|word| next.is(word))) {
        return Err(Fault::new("55000", "cursor can only scan forward"));
    }
    let is_next = words.pass("next");
    let _ = !is_next && words.pass("forward");
    let rows = match words.peek() {
        Some(Token::Number(number)) if !is_next => {
            let rows = number.parse().map_err(|_| syntax(&number))?;
            words.next();
            Some(rows)
        }
        Some(Token::Word(word)) if word == "all" && !is_next => {
            words.next();
            None
        }
        Some(Token::Sign('-')) => return Err(Fault::new("55000", "cursor can only scan forward")),
        _ => Some(1),
    };
    let _ = words.pass("from") || words.pass("in");
    let name = words.name("a cursor")?;
    words.end(Command::Fetch { name, rows, is_move })
}

#[cfg(test)]
mod tests;
