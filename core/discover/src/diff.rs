use std::cmp::Ordering;
use std::sync::Arc;

use crate::instance::Instance;

/// What became of one instance.
///
/// ```
/// use switchboard_discover::{Difference, Instance, InstanceSet, Revision, diff};
///
/// let set = |ports: &[u16]| {
///     let instance = |port: &u16| Instance::new("users", &port.to_string(), "h", *port).unwrap();
///     InstanceSet::fresh(ports.iter().map(instance), Revision(1)).instances
/// };
/// let found = diff(&set(&[1, 2]), &set(&[2, 3]));
/// assert!(matches!(&found[..], [Difference::Removed(_), Difference::Added(_)]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// It is new.
    Added(Arc<Instance>),
    /// It is somewhere else: connections to it must be made anew.
    Moved(Arc<Instance>),
    /// Its weight, zone, health, tags or metadata are different: connections to it stay.
    Changed(Arc<Instance>),
    /// It is gone.
    Removed(Arc<Instance>),
}

/// What makes the new set out of the old one. Both are sorted by key, as those in an
/// [`InstanceSet`](crate::InstanceSet) are.
///
/// ```
/// use switchboard_discover::{Difference, Instance, InstanceSet, Revision, diff};
///
/// let at = |port| InstanceSet::fresh([Instance::new("users", "a", "h", port).unwrap()], Revision(1)).instances;
/// assert!(diff(&at(1), &at(1)).is_empty());
/// assert!(matches!(&diff(&at(1), &at(2))[..], [Difference::Moved(_)]));
/// ```
pub fn diff(old: &[Arc<Instance>], new: &[Arc<Instance>]) -> Vec<Difference> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.key.cmp(&after.key),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some(before), None) => found.push(Difference::Removed(before.clone())),
            (None, Some(after)) => found.push(Difference::Added(after.clone())),
            (Some(before), Some(after)) if !before.is_at_the_same_place(after) => {
                found.push(Difference::Moved(after.clone()));
            }
            (Some(before), Some(after)) if before != after => found.push(Difference::Changed(after.clone())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::InstanceSet;

    /// Instances as `id:port*weight`.
    fn set(text: &str) -> Arc<[Arc<Instance>]> {
        let instance = |word: &str| {
            let (id, rest) = word.split_once(':').unwrap();
            let (port, weight) = rest.split_once('*').unwrap();
            let instance = Instance::new("users", id, "h", port.parse().unwrap()).unwrap();
            Instance { weight: weight.parse().unwrap(), ..instance }
        };
        InstanceSet::fresh(text.split_whitespace().map(instance), switchboard_model::Revision(1)).instances
    }

    fn check(old: &str, new: &str, expected: &str) {
        let shown: Vec<String> = diff(&set(old), &set(new))
            .into_iter()
            .map(|difference| match difference {
                Difference::Added(it) => format!("+{}", it.key.id),
                Difference::Moved(it) => format!(">{}", it.key.id),
                Difference::Changed(it) => format!("~{}", it.key.id),
                Difference::Removed(it) => format!("-{}", it.key.id),
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn what_became_of_each() {
        check("", "", "");
        check("a:1*1 b:1*1", "b:1*1 a:1*1", "");
        check("a:1*1 b:1*1 c:1*1 d:1*1", "e:1*1 b:2*1 c:1*5 d:1*1", "-a >b ~c +e");
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_new_set(
            old in prop::collection::btree_map("[a-e]", (1_u16..3, 1_u32..3), 0..5),
            new in prop::collection::btree_map("[a-e]", (1_u16..3, 1_u32..3), 0..5),
        ) {
            let text = |map: &std::collections::BTreeMap<String, (u16, u32)>| {
                map.iter().map(|(id, (port, weight))| format!("{id}:{port}*{weight} ")).collect::<String>()
            };
            let (old, new) = (set(&text(&old)), set(&text(&new)));
            let mut applied: std::collections::BTreeMap<_, _> = old.iter().map(|it| (it.key.clone(), it.clone())).collect();
            for difference in diff(&old, &new) {
                match difference {
                    Difference::Added(it) | Difference::Moved(it) | Difference::Changed(it) => {
                        applied.insert(it.key.clone(), it);
                    }
                    Difference::Removed(it) => {
                        applied.remove(&it.key);
                    }
                }
            }
            prop_assert_eq!(applied.into_values().collect::<Vec<_>>(), new.to_vec());
        }
    }
}
