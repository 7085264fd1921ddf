use std::path::Path;

use serde_json::{Value, json};

use super::super::rows::Chunks;
use super::*;
use crate::cli::feed::Chunk;

fn now() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn mapping() -> Mapping {
    let set = ["organization_id=0190a3c2-7b1e-7c00-8000-000000000001", "user_id=ada"];
    let set: Vec<_> = set.iter().map(|one| one.parse().expect("an assignment")).collect();
    Mapping::new(&[], &set).expect("a mapping")
}

/// A line of a streamed message.
fn line(message: &str, session: &str, output: u64, time: &str) -> String {
    let line = json!({"cwd": "/home/ada/web", "sessionId": session, "type": "assistant",
        "requestId": format!("req_{message}"), "timestamp": time,
        "message": {"id": message, "model": "claude-sonnet-4-5", "content": [{"text": "secret"}],
            "usage": {"input_tokens": 3, "output_tokens": output}}});
    format!("{line}\n")
}

fn write(folder: &Path, name: &str, text: &str, age_seconds: u64) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    std::fs::write(&path, text).expect("written");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000 - age_seconds);
    std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("file")
        .set_modified(time)
        .expect("time");
}

fn scan(folder: &Path) -> Arc<Transcripts> {
    Arc::new(Transcripts::scan(&[folder.to_owned()], &mapping(), now()).expect("scanned"))
}

fn chunks(found: &Arc<Transcripts>, path: &Path) -> Vec<Chunk> {
    let rows = found.rows(path, &mapping()).expect("rows");
    Chunks::of(rows, 0).expect("chunks").map(|chunk| chunk.expect("a chunk")).collect()
}

/// Message, output tokens and session of every event, over all files.
fn events(folder: &Path) -> Vec<(String, u64, String)> {
    let found = scan(folder);
    let chunks = found.files().iter().flat_map(|path| chunks(&found, path));
    let bodies = chunks.map(|chunk| String::from_utf8(chunk.body).expect("text"));
    let lines: Vec<Value> = bodies
        .flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).expect("JSON"))
        .collect();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    lines
        .iter()
        .map(|event| {
            assert_eq!(event["user_id"], "ada");
            (
                text(&event["event_id"]),
                event["output_tokens"].as_u64().expect("a count"),
                text(&event["conversation_id"]),
            )
        })
        .collect()
}

const MORNING: &str = "2026-11-24T09:00:00Z";

#[test]
fn a_streamed_message_is_one_event_with_its_complete_usage() {
    let folder = tempfile::tempdir().expect("folder");
    let text = line("m1", "s1", 1, MORNING)
        + "{\"type\":\"user\"}\n"
        + &line("m1", "s1", 80, MORNING)
        + &line("m1", "s1", 80, "2026-11-24T09:00:05Z")
        + &line("m2", "s1", 5, MORNING);
    write(folder.path(), "p/a.jsonl", &text, 0);
    let found = scan(folder.path());
    let chunks = chunks(&found, &folder.path().join("p/a.jsonl"));
    assert_eq!(chunks[0].rows, [3, 5]);
    let body = String::from_utf8(chunks[0].body.clone()).expect("text");
    assert!(body.contains("\"output_tokens\":80") && !body.contains("secret"), "{body}");
}

#[test]
fn a_resumed_session_repeats_no_call_of_the_older_file() {
    let folder = tempfile::tempdir().expect("folder");
    let old = line("m1", "s1", 10, MORNING) + &line("m2", "s1", 20, MORNING);
    let resumed = old.replace("\"s1\"", "\"s2\"") + &line("m3", "s2", 30, MORNING);
    write(folder.path(), "p/b.jsonl", &old, 500);
    write(folder.path(), "p/a.jsonl", &resumed, 0);
    write(folder.path(), "p/notes.txt", "not a transcript", 0);
    let call = |message: &str, output, session: &str| {
        (format!("{message}:req_{message}"), output, session.to_owned())
    };
    assert_eq!(
        events(folder.path()),
        [call("m1", 10, "s1"), call("m2", 20, "s1"), call("m3", 30, "s2")]
    );
}

#[test]
fn a_message_that_may_still_grow_waits_for_the_next_import() {
    let folder = tempfile::tempdir().expect("folder");
    let text = line("m1", "s1", 10, MORNING) + &line("m2", "s1", 2, "2026-11-24T11:59:00Z");
    write(folder.path(), "a.jsonl", &text, 0);
    let path = folder.path().join("a.jsonl");
    let found = scan(folder.path());
    assert!(found.is_unsettled(&path));
    assert_eq!(
        (chunks(&found, &path)[0].rows.as_slice(), chunks(&found, &path)[0].position),
        (&[1][..], 1)
    );
    let later = now() + TimeDelta::hours(1);
    let settled =
        Transcripts::scan(&[folder.path().to_owned()], &mapping(), later).expect("scanned");
    let settled = Arc::new(settled);
    assert!(!settled.is_unsettled(&path));
    let rows = settled.rows(&path, &mapping()).expect("rows");
    let rest: Vec<_> =
        Chunks::of(rows, 1).expect("chunks").map(|chunk| chunk.expect("chunk").rows).collect();
    assert_eq!(rest, [[2]]);
}

#[test]
fn a_torn_line_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().expect("folder");
    let torn = &line("m2", "s1", 5, MORNING)[..150];
    let text =
        line("m1", "s1", 10, MORNING) + torn + " \"usage\"\n" + &line("m3", "s1", 1, MORNING);
    write(folder.path(), "a.jsonl", &text, 0);
    let found = scan(folder.path());
    let chunks = chunks(&found, &folder.path().join("a.jsonl"));
    assert_eq!((chunks[0].rows.as_slice(), chunks[0].unreadable[0].0), (&[1, 3][..], 2));
    assert!(!chunks[0].unreadable[0].1.contains("secret"));
}

#[test]
fn without_an_organization_or_a_transcript_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let none = Transcripts::scan(&[folder.path().to_owned()], &Mapping::default(), now());
    assert!(none.expect_err("refused").to_string().contains("--organization ID"));
    let empty = Transcripts::scan(&[folder.path().to_owned()], &mapping(), now());
    assert!(empty.expect_err("refused").to_string().contains("no *.jsonl below"));
}
