//! Progress on standard error: a bar on a terminal, else a line now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far a load is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    label: String,
    started: Instant,
    line_due: Instant,
    /// Where the bar started: rows done in an earlier run have no rate.
    start: u64,
    done: u64,
    total: Option<u64>,
}

impl Progress {
    /// Starts at `done` of `total` rows; a total that nobody knows is `None`.
    pub(super) fn start(label: &str, done: u64, total: Option<u64>) -> Self {
        // Hidden by indicatif where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() {
            "{prefix} {wide_bar} {human_pos} of {human_len} rows, {msg}, {eta} left"
        } else {
            "{prefix} {spinner} {human_pos} rows, {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        bar.set_position(done);
        bar.reset_eta();
        let now = Instant::now();
        Self {
            bar,
            label: label.to_owned(),
            started: now,
            line_due: now + LINE_EVERY,
            start: done,
            done,
            total,
        }
    }

    /// `rows` more are done.
    pub(super) fn advance(&mut self, rows: u64) {
        self.done += rows;
        self.bar.set_position(self.done);
        self.bar.set_message(self.rate());
        if self.bar.is_hidden() && Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_EVERY;
            let of = self.total.map_or(String::new(), |total| format!(" of {}", grouped(total)));
            eprintln!("{}: {}{of} rows, {}", self.label, grouped(self.done), self.rate());
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Rows per second since the start of this run.
    pub(super) fn rate(&self) -> String {
        let milliseconds = self.started.elapsed().as_millis().max(1);
        let rate = u128::from(self.done - self.start) * 1000 / milliseconds;
        format!("{}/s", grouped(u64::try_from(rate).unwrap_or(u64::MAX)))
    }
}

/// A count with separators: `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn counts_are_grouped_by_three() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
