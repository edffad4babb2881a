use std::cmp::Ordering;

use crate::lens::keys::{Item, Keys};
use crate::lens::range::KeyRange;
use crate::wire::etcdserverpb::Compare;
use crate::wire::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

/// Whether all comparisons hold. None at all hold.
pub(crate) fn holds(keys: Keys<'_>, compares: &[Compare]) -> bool {
    compares.iter().all(|compare| {
        let range = KeyRange::from_wire(&compare.key, &compare.range_end);
        let mut items = keys.range(&range).peekable();
        if items.peek().is_none() {
            // A value that is not there is like no value; everything else about it is zero.
            return compare.target() != CompareTarget::Value && one(compare, None);
        }
        items.all(|item| one(compare, Some(&item)))
    })
}

fn one(compare: &Compare, item: Option<&Item<'_>>) -> bool {
    // What is compared with is zero unless it is given in the target's own kind.
    let want = compare.target_union.as_ref();
    let number = match (compare.target(), want) {
        (CompareTarget::Version, Some(TargetUnion::Version(number)))
        | (CompareTarget::Create, Some(TargetUnion::CreateRevision(number)))
        | (CompareTarget::Mod, Some(TargetUnion::ModRevision(number)))
        | (CompareTarget::Lease, Some(TargetUnion::Lease(number))) => *number,
        _ => 0,
    };
    let order = match compare.target() {
        CompareTarget::Version => item.map_or(0, Item::version).cmp(&number),
        CompareTarget::Create => item.map_or(0, Item::created).cmp(&number),
        CompareTarget::Mod => item.map_or(0, Item::modified).cmp(&number),
        CompareTarget::Lease => item.map_or(0, Item::lease).cmp(&number),
        CompareTarget::Value => {
            let want: &[u8] = match want {
                Some(TargetUnion::Value(value)) => value,
                _ => &[],
            };
            item.map(Item::value).unwrap_or_default().as_ref().cmp(want)
        }
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => order == Ordering::Equal,
        Ok(CompareResult::NotEqual) => order != Ordering::Equal,
        Ok(CompareResult::Greater) => order == Ordering::Greater,
        Ok(CompareResult::Less) => order == Ordering::Less,
        // As etcd does: a comparison it does not know stands in nobody's way.
        Err(_) => true,
    }
}
