use super::*;

fn code(text: &str) -> &'static str {
    command(text).expect_err(text).code
}

fn set(name: &str, value: Option<&str>, is_local: bool) -> Outcome<Command> {
    let (name, value) = (name.to_owned(), value.map(str::to_owned));
    Ok(Command::Set { name, value, is_local })
}

#[test]
fn what_asks_for_rows_goes_to_the_engine() {
    for text in ["SELECT 1", "with a as (select 1) table a", "(select 1)", "VALUES (1)", "table t"]
    {
        assert_eq!(command(text), Ok(Command::Query { tag: "SELECT" }), "{text}");
    }
    assert_eq!(command("explain analyze select 1"), Ok(Command::Query { tag: "EXPLAIN" }));
    assert_eq!(command("show tables"), Ok(Command::Query { tag: "SHOW" }));
    // What is no SQL at all is for the engine to say.
    assert_eq!(command("selct 1"), Ok(Command::Query { tag: "SELECT" }));
}

#[test]
fn what_writes_is_refused_before_the_engine_sees_it() {
    for text in [
        "insert into usage_events values (1)",
        "/* select */ DELETE FROM usage_events",
        "create external table t stored as parquet location '/etc'",
        "drop table usage_events",
        "truncate usage_events",
        "vacuum",
        "grant all on usage_events to public",
    ] {
        assert_eq!(code(text), "25006", "{text}");
    }
    for text in ["copy usage_events to '/tmp/x'", "copy t from stdin", "do $$ begin end $$"] {
        assert_eq!(code(text), "0A000", "{text}");
    }
}

#[test]
fn settings_are_read_in_every_spelling_that_clients_use() {
    assert_eq!(command("SET extra_float_digits = 3"), set("extra_float_digits", Some("3"), false));
    assert_eq!(command("set local x to -1"), set("x", Some("-1"), true));
    assert_eq!(command("SET SESSION x TO DEFAULT"), set("x", None, false));
    let path = set("search_path", Some("public, Other"), false);
    assert_eq!(command("SET search_path TO public, \"Other\""), path);
    assert_eq!(command("SET TIME ZONE 'Asia/Tokyo'"), set("TimeZone", Some("Asia/Tokyo"), false));
    assert_eq!(command("SET NAMES 'UTF8'"), set("client_encoding", Some("UTF8"), false));
    let characteristics = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    assert_eq!(command(characteristics), Ok(Command::SetTransaction));
    assert_eq!(command("SHOW TIME ZONE"), Ok(Command::Show(Some("TimeZone".to_owned()))));
    assert_eq!(command("show all"), Ok(Command::Show(None)));
    assert_eq!(command("RESET ALL"), Ok(Command::Reset(None)));
    assert_eq!(command("DISCARD ALL"), Ok(Command::Discard { is_all: true }));
}

#[test]
fn nobody_becomes_somebody_else() {
    assert_eq!(code("SET ROLE admin"), "42501");
    assert_eq!(code("SET SESSION AUTHORIZATION 'other'"), "42501");
    assert_eq!(command("SET ROLE NONE"), Ok(Command::SetTransaction));
    assert_eq!(command("SET SESSION AUTHORIZATION DEFAULT"), Ok(Command::SetTransaction));
}

#[test]
fn transactions_are_read_in_every_spelling() {
    assert_eq!(command("BEGIN ISOLATION LEVEL SERIALIZABLE"), Ok(Command::Begin("BEGIN")));
    assert_eq!(command("START TRANSACTION READ ONLY"), Ok(Command::Begin("START TRANSACTION")));
    assert_eq!(command("END"), Ok(Command::Commit("COMMIT")));
    assert_eq!(command("COMMIT AND NO CHAIN"), Ok(Command::Commit("COMMIT")));
    assert_eq!(command("ABORT WORK"), Ok(Command::Rollback));
    let back = Command::RollbackTo("a".to_owned());
    assert_eq!(command("ROLLBACK TO SAVEPOINT a"), Ok(back));
    assert_eq!(code("COMMIT PREPARED 'x'"), "0A000");
    assert_eq!(code("PREPARE TRANSACTION 'x'"), "0A000");
}

#[test]
fn prepared_statements_and_cursors_say_where_their_statement_starts() {
    let text = "PREPARE p (int, double precision) AS SELECT $1";
    let Ok(Command::Prepare { name, types, start }) = command(text) else { panic!("{text}") };
    assert_eq!((name.as_str(), types.join("|").as_str()), ("p", "int|double precision"));
    assert_eq!(text[start..].trim(), "SELECT $1");
    let arguments = [Some("1"), None, Some("it's"), Some("-2.5")];
    let arguments = arguments.map(|one| one.map(str::to_owned)).to_vec();
    let execute = Command::Execute { name: "p".to_owned(), arguments };
    assert_eq!(command("EXECUTE p (1, NULL, 'it''s'::text, -2.5)"), Ok(execute));
    assert_eq!(code("EXECUTE p ((select 1))"), "0A000");
    let text = "DECLARE \"c 1\" NO SCROLL CURSOR WITHOUT HOLD FOR SELECT 1";
    let Ok(Command::Declare { name, start }) = command(text) else { panic!("{text}") };
    assert_eq!((name.as_str(), text[start..].trim()), ("c 1", "SELECT 1"));
    let fetch = |rows, is_move| Ok(Command::Fetch { name: "c".to_owned(), rows, is_move });
    assert_eq!(command("FETCH FORWARD 100 FROM c"), fetch(Some(100), false));
    assert_eq!(command("FETCH ALL IN c"), fetch(None, false));
    assert_eq!(command("fetch c"), fetch(Some(1), false));
    assert_eq!(command("MOVE 3 FROM c"), fetch(Some(3), true));
    assert_eq!(code("FETCH PRIOR FROM c"), "55000");
}

#[test]
fn what_follows_a_whole_command_is_a_syntax_error() {
    for text in ["RESET ALL now", "SHOW a b", "SET a = 1 2", "DISCARD", "SET a", "CLOSE", "SET = 1"]
    {
        assert_eq!(code(text), "42601", "{text}");
    }
}
