//! `spendlake completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};
use crate::error::Result;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake completions bash > ~/.local/share/bash-completion/completions/spendlake
  spendlake completions fish > ~/.config/fish/completions/spendlake.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(self) -> Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "spendlake", &mut text);
        print!("{}", String::from_utf8_lossy(&text));
        Ok(Outcome::Done)
    }
}
