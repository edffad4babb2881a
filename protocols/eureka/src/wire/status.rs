use serde::{Deserialize, Serialize};

/// The five words that a client knows. One more would break those that read strictly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    // In the order of their spelling: the hash of the registry sorts them so.
    Down,
    OutOfService,
    Starting,
    Unknown,
    Up,
}

impl Status {
    pub(crate) const ALL: [Status; 5] =
        [Status::Down, Status::OutOfService, Status::Starting, Status::Unknown, Status::Up];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Up => "UP",
            Status::Down => "DOWN",
            Status::Starting => "STARTING",
            Status::OutOfService => "OUT_OF_SERVICE",
            Status::Unknown => "UNKNOWN",
        }
    }

    /// None: it is none of the five.
    pub(crate) fn parse(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// A word of an instance, where anything unknown means UNKNOWN.
    pub(crate) fn read(word: &str) -> Status {
        let word = word.trim();
        Status::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
            .unwrap_or(Status::Unknown)
    }

    /// What version 1 of the API says for it.
    pub(crate) fn narrowed(self) -> Status {
        match self {
            Status::Up | Status::Starting => self,
            Status::Down | Status::OutOfService | Status::Unknown => Status::Down,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_the_order_of_their_spelling() {
        let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        assert!(words.is_sorted());
        for (i, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!((status.index(), Status::parse(status.as_str())), (i, Some(status)));
        }
        assert_eq!(Status::parse("up"), None);
        assert_eq!(Status::read("up"), Status::Up);
        assert_eq!(Status::read("MAYBE"), Status::Unknown);
    }
}
