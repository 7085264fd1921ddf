use clap::{CommandFactory, Parser};

use super::{Cli, Verb};

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_and_every_flag_has_a_help_text() {
    for verb in Cli::command().get_subcommands() {
        assert!(verb.get_about().is_some(), "{}", verb.get_name());
        for flag in verb.get_arguments().filter(|flag| !flag.is_hide_set()) {
            assert!(flag.get_help().is_some(), "{} {}", verb.get_name(), flag.get_id());
        }
    }
}

#[test]
fn a_setting_may_stand_after_the_verb() {
    let cli = Cli::try_parse_from(["spendlake", "sql", "SELECT 1", "--data-dir", "x"]);
    let cli = cli.expect("parsed");
    assert_eq!(cli.settings.data_dir.as_deref(), Some(std::path::Path::new("x")));
    assert!(matches!(cli.verb, Verb::Sql(_)));
}

#[test]
fn a_statement_and_a_file_exclude_each_other() {
    assert!(Cli::try_parse_from(["spendlake", "sql", "SELECT 1", "-f", "x.sql"]).is_err());
    assert!(Cli::try_parse_from(["spendlake", "import"]).is_err());
    assert!(Cli::try_parse_from(["spendlake", "import", "a.csv", "--map", "x"]).is_err());
}

/// The example file names every setting, once, with its default.
#[test]
fn the_example_settings_file_shows_every_default() {
    use crate::config::Config;
    let example = include_str!("../../spendlake.example.toml");
    let settings: String = example
        .lines()
        .filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")))
        .map(|line| format!("{line}\n"))
        .collect();
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("spendlake.toml");
    std::fs::write(&file, &settings).expect("write");
    let resolved = Config::resolve(Some(&file), &Default::default()).expect("settings");
    assert_eq!(resolved, Config::default());
    let names = serde_json::to_value(Config::default()).expect("settings");
    for name in names.as_object().expect("object").keys() {
        assert!(settings.contains(&format!("{name} = ")), "{name}");
    }
}
