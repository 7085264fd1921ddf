//! Which runs to merge: a pure function of their sizes and days.
//!
//! Runs are kept apart by buckets of five recorded days, so that old keys
//! expire by deleting files. In the newest bucket runs of one size class are
//! merged once there are four, which leaves at most three of each class; an
//! older bucket, which gets no new runs, is merged into one. 35 days touch
//! eight buckets: with 2.7 million keys a day, which reach four classes, 20
//! runs or fewer, and each ten times as many keys add about three more.

const BUCKET_DAYS: i32 = 5;
/// Runs of one size class in the newest bucket that are merged.
const CLASS_RUNS: usize = 4;
/// A run with fewer rows than this is in the first class; each further class
/// starts at eight times as many. There are enough classes that no bucket fills
/// the last one, where merging again and again would cost the square of it.
const CLASS_ROWS_FIRST: u64 = 1 << 16;
const CLASSES: usize = 8;

/// What the plan looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunShape {
    pub(super) rows: u64,
    /// The last recorded day, days since 1970-01-01.
    pub(super) day_max: i32,
}

/// The indexes of the runs to merge next, ascending; None when all is well.
pub(super) fn runs_to_merge(runs: &[RunShape]) -> Option<Vec<usize>> {
    let newest = runs.iter().map(|run| bucket(run.day_max)).max()?;
    let in_class =
        |class| indexes(runs, |run| bucket(run.day_max) == newest && size_class(run.rows) == class);
    let crowded = (0..CLASSES).map(in_class).find(|found| found.len() >= CLASS_RUNS);
    crowded.or_else(|| {
        let mut old: Vec<i32> =
            runs.iter().map(|run| bucket(run.day_max)).filter(|&day| day < newest).collect();
        old.sort_unstable();
        old.dedup();
        old.into_iter()
            .map(|wanted| indexes(runs, |run| bucket(run.day_max) == wanted))
            .find(|found| found.len() > 1)
    })
}

fn indexes(runs: &[RunShape], is_wanted: impl Fn(&RunShape) -> bool) -> Vec<usize> {
    runs.iter().enumerate().filter(|(_, run)| is_wanted(run)).map(|(index, _)| index).collect()
}

fn bucket(day: i32) -> i32 {
    day.div_euclid(BUCKET_DAYS)
}

fn size_class(rows: u64) -> usize {
    let limits = (0..CLASSES - 1).map(|class| CLASS_ROWS_FIRST << (3 * class));
    limits.take_while(|&limit| rows >= limit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a run a minute, merging whenever the plan says so; returns the
    /// most runs there were and the rows written by merges.
    fn simulate(days: i32, window_days: i32, rows: u64) -> (usize, u64) {
        let (mut runs, mut most, mut merged_rows): (Vec<RunShape>, _, _) = (Vec::new(), 0, 0);
        for minute in 0..days * 1440 {
            let today = minute / 1440;
            runs.retain(|run| run.day_max >= today - window_days);
            runs.push(RunShape { rows, day_max: today });
            while let Some(chosen) = runs_to_merge(&runs) {
                let merged = RunShape {
                    rows: chosen.iter().map(|&index| runs[index].rows).sum(),
                    day_max: chosen.iter().map(|&index| runs[index].day_max).max().unwrap(),
                };
                merged_rows += merged.rows;
                for index in chosen.into_iter().rev() {
                    runs.remove(index);
                }
                runs.push(merged);
            }
            most = most.max(runs.len());
        }
        (most, merged_rows)
    }

    #[test]
    fn a_flush_a_minute_for_45_days_leaves_few_runs_and_writes_a_key_few_times() {
        for (rows, runs_max) in [(1, 20), (1_900, 20), (19_000, 23), (6_000_000, 29)] {
            let (most, merged_rows) = simulate(45, 35, rows);
            let times = merged_rows as f64 / (45 * 1440 * rows) as f64;
            assert!(most <= runs_max, "{most} runs at {rows} rows a minute");
            assert!(rows == 1 || times < 12.0, "{times:.1} times at {rows} rows a minute");
        }
    }

    #[test]
    fn runs_of_different_buckets_are_never_merged() {
        let runs = [9, 10, 11, 12].map(|day_max| RunShape { rows: 1, day_max });
        assert_eq!(runs_to_merge(&runs), None);
        let runs = [8, 9, 10, 11].map(|day_max| RunShape { rows: 1, day_max });
        assert_eq!(runs_to_merge(&runs), Some(vec![0, 1]));
        assert_eq!(runs_to_merge(&[]), None);
    }
}
