//! What has been read.

/// Bytes, because a quoted string can hold any.
pub(super) type Bytes = Vec<u8>;

/// A boolean expression over leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression<Leaf> {
    Any(Vec<Expression<Leaf>>),
    All(Vec<Expression<Leaf>>),
    Not(Box<Expression<Leaf>>),
    Leaf(Leaf),
}

/// A selector with an operator, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) selector: Vec<Bytes>,
    pub(super) operator: Operator,
    pub(super) value: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

impl<Leaf> Expression<Leaf> {
    /// The same with other leaves, or the error of the first that has none.
    pub(super) fn bind<To, E>(self, to: &impl Fn(Leaf) -> Result<To, E>) -> Result<Expression<To>, E> {
        let all =
            |terms: Vec<Self>| terms.into_iter().map(|term| term.bind(to)).collect::<Result<Vec<_>, E>>();
        Ok(match self {
            Expression::Any(terms) => Expression::Any(all(terms)?),
            Expression::All(terms) => Expression::All(all(terms)?),
            Expression::Not(term) => Expression::Not(Box::new(term.bind(to)?)),
            Expression::Leaf(leaf) => Expression::Leaf(to(leaf)?),
        })
    }

    pub(super) fn count(&self, which: &impl Fn(&Leaf) -> bool) -> usize {
        match self {
            Expression::Any(terms) | Expression::All(terms) => {
                terms.iter().map(|term| term.count(which)).sum()
            }
            Expression::Not(term) => term.count(which),
            Expression::Leaf(leaf) => usize::from(which(leaf)),
        }
    }

    pub(super) fn holds(&self, leaf: &impl Fn(&Leaf) -> bool) -> bool {
        match self {
            Expression::Any(terms) => terms.iter().any(|term| term.holds(leaf)),
            Expression::All(terms) => terms.iter().all(|term| term.holds(leaf)),
            Expression::Not(term) => !term.holds(leaf),
            Expression::Leaf(it) => leaf(it),
        }
    }
}

impl Operator {
    pub(super) fn takes_pattern(self) -> bool {
        matches!(self, Operator::Matches | Operator::NotMatches)
    }

    /// Its name in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Operator::Equal => "Equal",
            Operator::NotEqual => "Not Equal",
            Operator::In => "In",
            Operator::NotIn => "Not In",
            Operator::IsEmpty => "Is Empty",
            Operator::IsNotEmpty => "Is Not Empty",
            Operator::Matches => "Matches",
            Operator::NotMatches => "Not Matches",
        }
    }
}
