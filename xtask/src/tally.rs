//! Adding up what ran, what failed, and what did not run and why.

use std::fmt;

/// The outcome of some part of a run. Nothing leaves it unsaid: whatever did not run has a reason in `not_run`.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Tests that exist and say themselves that they do not run here (`#[ignore]`).
    pub(crate) ignored: usize,
    /// What this machine lacks the means to run, each with the reason.
    pub(crate) not_run: Vec<String>,
}

/// The plain numbers of the closing line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.not_run.extend(other.not_run);
    }

    pub(crate) fn record(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// With `require_all`, what could not run counts as failed: where everything must be there, its absence is a defect.
    pub(crate) fn totals(&self, require_all: bool) -> Totals {
        let lacking = self.not_run.len();
        let (lost, skipped) = if require_all { (lacking, 0) } else { (0, lacking) };
        Totals { passed: self.passed, failed: self.failed + lost, skipped: self.ignored + skipped }
    }

    pub(crate) fn print_not_run(&self, require_all: bool) {
        if self.not_run.is_empty() {
            return;
        }
        let verdict = if require_all { ", counted as failed" } else { "" };
        println!("not run: {} ({}){verdict}", self.not_run.len(), self.not_run.join("; "));
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking_go() -> Tally {
        Tally { passed: 3, failed: 0, ignored: 1, not_run: vec!["native/go: go is not installed".into()] }
    }

    #[test]
    fn what_did_not_run_is_skipped() {
        assert_eq!(lacking_go().totals(false).to_string(), "3 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn what_did_not_run_fails_where_all_is_required() {
        assert_eq!(lacking_go().totals(true).to_string(), "3 passed, 1 failed, 1 skipped");
    }
}
