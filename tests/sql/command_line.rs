//! `spendlake sql`, with a server and without.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::BREAKS_OFF;
use crate::support::events::{event, lines};
use crate::support::server::{Server, run};

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_files_work_with_a_server_and_without() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    server.client.send(lines(&[event("a"), event("-b")])).await.expect("an answer");
    let file = folder.path().join("answer.parquet");
    let name = file.display().to_string();
    let check = || {
        let query = "SELECT event_id FROM usage_events WHERE event_id = $1 AND usage_date < $2";
        let arguments = ["sql", "--format", "csv", query, "--param", "-b", "--param", "2099-01-01"];
        let output = run(folder.path(), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "event_id\n-b\n", "{errors}");
        let all = "SELECT event_id FROM usage_events ORDER BY 1";
        let output = run(folder.path(), &["sql", all, "--format", "parquet", "--output", &name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        let opened = std::fs::File::open(&file).expect("the file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened).expect("Parquet");
        assert_eq!(reader.metadata().file_metadata().num_rows(), 2);
        std::fs::remove_file(&file).expect("removed");
    };
    check();
    assert!(server.stop().await);
    check();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_says_why_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let file = folder.path().join("answer.csv");
    let name = file.display().to_string();
    for formats in [["--format", "csv"], ["--format", "parquet"]] {
        let mut arguments = vec!["sql", BREAKS_OFF, "--output", &name];
        arguments.extend(formats);
        let output = run(folder.path(), &arguments);
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("ivide by zero"), "{errors}");
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("answer"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    drop(server);
}

#[test]
fn a_parameter_without_a_value_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let output = run(folder.path(), &["sql", "SELECT $1", "--format", "csv"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("$1 has no value"), "{errors}");
}
