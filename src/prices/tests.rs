use chrono::TimeDelta;

use super::*;
use crate::clock::ManualClock;
use crate::config::Config;
use crate::directory::SharedDirectory;
use crate::model::TokenCounts;
use crate::pricing::PriceQuestion;

const OURS: &str = "provider,model,input_usd_per_mtok,output_usd_per_mtok\nopenai,m,2,8\n";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("time")
}

fn open(data_dir: &Path) -> Result<Arc<Prices>> {
    open_at(data_dir, &Arc::new(ManualClock::new(time("2026-11-24T12:00:00Z"))))
}

fn open_at(data_dir: &Path, clock: &Arc<ManualClock>) -> Result<Arc<Prices>> {
    let config = Config { data_dir: data_dir.to_owned(), ..Config::default() };
    let directory = SharedDirectory::default();
    let engine = Arc::new(Engine::new(&config, directory.clone()).expect("engine"));
    let queries = Arc::new(Queries::new(Arc::clone(&engine), directory).expect("queries"));
    let clock = Arc::clone(clock);
    Prices::open(data_dir, PriceParts { engine, queries, clock })
}

fn active(prices: &Prices) -> String {
    prices.active().book().version().to_owned()
}

#[test]
fn the_built_in_list_is_active_and_kept_on_disk() {
    let folder = tempfile::tempdir().expect("folder");
    let prices = open(folder.path()).expect("prices");
    let shipped = PriceBook::shipped();
    assert_eq!(active(&prices), shipped.version());
    let path = folder.path().join("prices").join(format!("{}.csv", shipped.version()));
    assert_eq!(std::fs::read_to_string(path).expect("a file"), shipped.csv_text());
    let [version] = &*prices.versions() else { panic!("one version") };
    assert!(version.is_active && version.is_built_in && version.rows == 1_190);
}

#[test]
fn an_imported_list_is_exported_byte_for_byte_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let text = "model,provider,discount_percent\r\n\"m\",openai,07.500\r\n*,\"o,p\",1\n";
    let prices = open(folder.path()).expect("prices");
    assert_eq!(prices.import("2026-ours_1", text).expect("import"), Imported::Stored);
    drop(prices);
    let prices = open(folder.path()).expect("prices");
    let book = prices.book(Some("2026-ours_1")).expect("book");
    assert_eq!((book.csv_text(), book.rows()), (text, 2));
    assert_ne!(active(&prices), "2026-ours_1", "importing activates nothing");
}

#[test]
fn a_version_never_changes() {
    let folder = tempfile::tempdir().expect("folder");
    let prices = open(folder.path()).expect("prices");
    prices.import("ours", OURS).expect("import");
    assert_eq!(prices.import("ours", OURS).expect("again"), Imported::AlreadyThere);
    let spelled = OURS.replace("2,8", "2.0,8.00");
    assert_eq!(prices.import("ours", &spelled).expect("same"), Imported::AlreadyThere);
    let other = OURS.replace("2,8", "2,9");
    let Imported::Differs(difference) = prices.import("ours", &other).expect("judged") else {
        panic!("other content");
    };
    let change = "provider openai, model m: output_usd_per_mtok 8 → 9";
    assert_eq!(difference.changed, [change]);
    assert_eq!(prices.book(Some("ours")).expect("book").csv_text(), OURS);
}

#[test]
fn an_activation_shows_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let clock = Arc::new(ManualClock::new(time("2026-11-24T12:00:00Z")));
    let prices = open_at(folder.path(), &clock).expect("prices");
    let handle = prices.active();
    prices.import("ours", OURS).expect("import");
    clock.advance(TimeDelta::hours(1));
    assert!(prices.activate("ours").expect("active"));
    let tokens = TokenCounts { input: 1_000_000, ..TokenCounts::default() };
    let book = handle.book();
    let question = PriceQuestion::new("openai", "m", time("2026-01-01T00:00:00Z"), &tokens);
    assert_eq!(book.price(&question).price_version, Some("ours"));
    assert!(!prices.activate("ours").expect("active already"));
    drop(prices);
    let prices = open_at(folder.path(), &clock).expect("prices");
    assert_eq!(active(&prices), "ours");
    let versions = prices.versions();
    let ours = versions.iter().find(|version| version.is_active).expect("an active one");
    assert_eq!(ours.activated_at, [time("2026-11-24T13:00:00Z"); 2]);
}

#[test]
fn names_that_are_no_file_and_lists_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let prices = open(folder.path()).expect("prices");
    for name in ["", "../x", ".hidden", "a b", "ä", &"x".repeat(65)] {
        let error = prices.import(name, OURS).expect_err(name);
        assert!(error.to_string().contains("the price version is"), "{error}");
    }
    for error in [
        prices.activate("other").expect_err("unknown"),
        prices.book(Some("other")).expect_err("unknown"),
        prices.difference("other", "2026-11-23").expect_err("unknown"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("there are: 2026-11-23"), "{error}");
    }
    let error = prices.import("bad", "provider,model\n,\n").expect_err("refused");
    assert!(error.to_string().starts_with("line 2 of the price list: provider"), "{error}");
    assert_eq!(prices.versions().len(), 1);
}

#[test]
fn a_list_that_is_damaged_or_lost_stops_the_start_and_a_draft_does_not() {
    let folder = tempfile::tempdir().expect("folder");
    let prices = open(folder.path()).expect("prices");
    prices.import("ours", OURS).expect("import");
    prices.activate("ours").expect("active");
    drop(prices);
    let file = folder.path().join("prices").join("ours.csv");
    std::fs::write(folder.path().join("prices").join("next.csv.tmp"), "half").expect("a draft");
    open(folder.path()).expect("a draft is not a list");
    std::fs::write(&file, "provider,model\nhalf").expect("damage");
    let error = open(folder.path()).expect_err("damaged");
    assert!(error.to_string().contains("ours.csv is damaged"), "{error}");
    std::fs::remove_file(&file).expect("lost");
    let error = open(folder.path()).expect_err("lost");
    assert!(error.to_string().contains("names \"ours\" as the active price list"), "{error}");
}

#[test]
fn two_lists_are_compared_row_by_row() {
    let folder = tempfile::tempdir().expect("folder");
    let prices = open(folder.path()).expect("prices");
    let old = "provider,model,valid_to,input_usd_per_mtok,discount_percent\n\
        openai,m,,2,\nopenai,gone,,1,\n";
    let new = "provider,model,valid_to,input_usd_per_mtok,discount_percent\n\
        openai,m,2026-12-01,2,10\nopenai,fresh,,1,\n";
    prices.import("old", old).expect("old");
    prices.import("new", new).expect("new");
    let difference = prices.difference("old", "new").expect("difference");
    assert_eq!(
        difference.to_string(),
        "- provider openai, model gone: input_usd_per_mtok 1\n\
         ~ provider openai, model m: discount_percent nothing → 10, valid_to nothing → 2026-12-01\n\
         + provider openai, model fresh: input_usd_per_mtok 1\n"
    );
    assert!(prices.difference("new", "new").expect("difference").is_empty());
}
