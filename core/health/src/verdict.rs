//! From single answers to a status, with thresholds. Pure: no clock, no registry.

use switchboard_model::{Status, Thresholds};

/// What one probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Pass,
    /// It answers, with a remark.
    Warn,
    Fail,
    /// The probe was not made, because the policy forbids its target. Counts as a failure.
    Refused,
}

/// A check's status and how far it is on its way to another one.
///
/// `unhealthy` failures in a row make it critical. `healthy` answers in a row, passing or warning, make it what the
/// newest of them says: a warning is an answer, so it ends a row of failures and does not begin one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    status: Status,
    row: Row,
}

/// The newest answers that agree on whether there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Nothing,
    Answers(u32),
    Failures(u32),
}

impl Verdict {
    pub(crate) fn new(status: Status) -> Verdict {
        Verdict { status, row: Row::Nothing }
    }

    /// The status as it was committed. It differs from ours when someone else reported on the check, or when our
    /// newest word was not kept; what was counted stands, so that the next answer settles it.
    pub(crate) fn adopt(&mut self, status: Status) {
        self.status = status;
    }

    pub(crate) fn observe(&mut self, answer: Answer, thresholds: Thresholds) -> Status {
        match answer {
            Answer::Pass | Answer::Warn => {
                let answers = self.row.answers().saturating_add(1);
                self.row = Row::Answers(answers);
                if answers >= thresholds.healthy {
                    self.status = if answer == Answer::Pass { Status::Passing } else { Status::Warning };
                }
            }
            Answer::Fail | Answer::Refused => {
                let failures = self.row.failures().saturating_add(1);
                self.row = Row::Failures(failures);
                if failures >= thresholds.unhealthy {
                    self.status = Status::Critical;
                }
            }
        }
        self.status
    }

    /// How far the newest answers are from changing the status, for people. None: nothing is pending.
    pub(crate) fn pending(&self, thresholds: Thresholds) -> Option<String> {
        match (self.row, self.status) {
            (Row::Failures(count), Status::Passing | Status::Warning) => {
                Some(format!("failure {count} of {}", thresholds.unhealthy))
            }
            (Row::Answers(count), _) if count < thresholds.healthy => {
                Some(format!("answer {count} of {}", thresholds.healthy))
            }
            _ => None,
        }
    }
}

impl Row {
    fn answers(self) -> u32 {
        if let Row::Answers(count) = self { count } else { 0 }
    }

    fn failures(self) -> u32 {
        if let Row::Failures(count) = self { count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds answers, one letter each (p, w, f), and reads the statuses off in the same letters (c: critical).
    #[track_caller]
    fn check(from: Status, unhealthy: u32, healthy: u32, answers: &str, statuses: &str) {
        let mut verdict = Verdict::new(from);
        let seen: String = answers
            .chars()
            .map(|letter| match letter {
                'p' => Answer::Pass,
                'w' => Answer::Warn,
                _ => Answer::Fail,
            })
            .map(|answer| letter(verdict.observe(answer, Thresholds { unhealthy, healthy })))
            .collect();
        assert_eq!(seen, statuses);
    }

    fn letter(status: Status) -> char {
        match status {
            Status::Passing => 'p',
            Status::Warning => 'w',
            Status::Critical => 'c',
        }
    }

    #[test]
    fn three_failures_take_it_out_and_one_answer_brings_it_back() {
        check(Status::Passing, 3, 1, "ffffp", "ppccp");
    }

    #[test]
    fn a_success_in_between_starts_the_count_afresh() {
        check(Status::Passing, 3, 1, "ffpffpfff", "ppppppppc");
        check(Status::Critical, 1, 3, "ppfppp", "cccccp");
    }

    #[test]
    fn a_new_check_stays_critical_until_it_answered_often_enough() {
        check(Status::Critical, 3, 2, "fpp", "ccp");
    }

    #[test]
    fn a_warning_is_an_answer() {
        check(Status::Passing, 2, 1, "wfwfp", "wwwwp");
        check(Status::Critical, 1, 2, "pw", "cw");
    }

    #[test]
    fn what_someone_else_reported_is_settled_by_the_next_answer() {
        let thresholds = Thresholds { unhealthy: 3, healthy: 2 };
        let mut verdict = Verdict::new(Status::Passing);
        for _ in 0..5 {
            verdict.observe(Answer::Pass, thresholds);
        }
        verdict.adopt(Status::Critical);
        assert_eq!(verdict.observe(Answer::Pass, thresholds), Status::Passing);
    }

    proptest! {
        /// The definition, said the slow way: look back over all answers so far.
        #[test]
        fn a_status_follows_from_the_newest_answers(
            from in prop_oneof![Just(Status::Passing), Just(Status::Warning), Just(Status::Critical)],
            unhealthy in 1u32..5,
            healthy in 1u32..5,
            answers in prop::collection::vec(
                prop_oneof![Just(Answer::Pass), Just(Answer::Warn), Just(Answer::Fail), Just(Answer::Refused)], 0..60),
        ) {
            let failed = |answer: &Answer| matches!(answer, Answer::Fail | Answer::Refused);
            let mut verdict = Verdict::new(from);
            let mut expected = from;
            for (i, answer) in answers.iter().enumerate() {
                let row = answers[..=i].iter().rev().take_while(|a| failed(a) == failed(answer)).count() as u32;
                match answer {
                    Answer::Fail | Answer::Refused if row >= unhealthy => expected = Status::Critical,
                    Answer::Pass if row >= healthy => expected = Status::Passing,
                    Answer::Warn if row >= healthy => expected = Status::Warning,
                    _ => {}
                }
                let thresholds = Thresholds { unhealthy, healthy };
                prop_assert_eq!(verdict.observe(*answer, thresholds), expected);
                let settled = matches!(answer, Answer::Pass if expected == Status::Passing)
                    || (failed(answer) && expected == Status::Critical);
                prop_assert!(!settled || row < healthy.max(unhealthy) || verdict.pending(thresholds).is_none());
            }
        }
    }
}
