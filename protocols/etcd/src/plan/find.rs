//! Ranges: which of the found keys are told, and in which order.

use std::cmp::Reverse;

use crate::lens::keys::Item;
use crate::wire::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::wire::etcdserverpb::{RangeRequest, RangeResponse};
use crate::wire::mvccpb::KeyValue;

/// `found` is everything in the range, in the order of the keys. The header is left to the caller.
pub(crate) fn find<'a>(request: &RangeRequest, found: impl Iterator<Item = Item<'a>>) -> RangeResponse {
    if request.count_only {
        return RangeResponse { count: count(found.count()), ..RangeResponse::default() };
    }
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let filtered = has_filters(request);
    let order = request.sort_order();
    // Without an order the limit cuts in the order of the keys, whatever is sorted by afterwards.
    let cut_first = order == SortOrder::None && !filtered;
    let enough = limit.filter(|_| cut_first).map_or(usize::MAX, |limit| limit.saturating_add(1));
    let (mut items, mut all) = (Vec::new(), 0);
    for item in found {
        all += 1;
        if items.len() < enough && (!filtered || passes(request, &item)) {
            items.push(item);
        }
    }
    sort(request, order, &mut items);
    let more = limit.is_some_and(|limit| items.len() > limit);
    items.truncate(limit.unwrap_or(usize::MAX));
    let kvs = match (request.keys_only, request.sort_target()) {
        (false, _) => items.iter().map(Item::to_wire).collect(),
        // Whoever sorts by values has read the whole record.
        (true, SortTarget::Value) => {
            items.iter().map(|item| KeyValue { lease: item.lease(), ..item.key_only() }).collect()
        }
        (true, _) => items.iter().map(Item::key_only).collect(),
    };
    RangeResponse { kvs, more, count: count(all), header: None }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn has_filters(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, item: &Item<'_>) -> bool {
    let within = |at: i64, min: i64, max: i64| (min == 0 || at >= min) && (max == 0 || at <= max);
    within(item.modified(), request.min_mod_revision, request.max_mod_revision)
        && within(item.created(), request.min_create_revision, request.max_create_revision)
}

/// Equals stay in the order of their keys, whichever way the others go.
fn sort(request: &RangeRequest, order: SortOrder, items: &mut [Item<'_>]) {
    let descends = order == SortOrder::Descend;
    let by = |items: &mut [Item<'_>], what: fn(&Item<'_>) -> i64| match descends {
        true => items.sort_by_key(|item| Reverse(what(item))),
        false => items.sort_by_key(what),
    };
    match request.sort_target() {
        SortTarget::Key if descends => items.reverse(),
        // They are in this order already.
        SortTarget::Key => {}
        SortTarget::Version => by(items, |item| item.version()),
        SortTarget::Create => by(items, |item| item.created()),
        SortTarget::Mod => by(items, |item| item.modified()),
        SortTarget::Value if descends => items.sort_by_cached_key(|item| Reverse(item.value())),
        SortTarget::Value => items.sort_by_cached_key(Item::value),
    }
}
