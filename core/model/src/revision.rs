use std::fmt;

/// The place of a commit in the one sequence of commits.
///
/// It is Consul's index, etcd's revision, ZooKeeper's zxid and Eureka's delta cursor. It never goes back,
/// also not over a restart. Zero means "before the first commit".
///
/// ```
/// use switchboard_model::Revision;
///
/// assert!(Revision(7) < Revision(8));
/// assert_eq!(Revision::default(), Revision(0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    pub const ZERO: Revision = Revision(0);

    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
