//! Whole answers, each encoded once for as long as nothing in it changes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use switchboard_model::{Name, Revision};
use switchboard_registry::{ServiceView, Snapshot};

use crate::lens::{all_in, app_to_wire, instance_to_wire, services, status_to_wire};
use crate::wire::{Form, Status, pack};

/// Answers that are kept: a handful of forms for a handful of namespaces.
const MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Page {
    pub(crate) namespace: Name,
    pub(crate) is_delta: bool,
    pub(crate) form: Form,
    pub(crate) is_packed: bool,
}

/// Two answers with the same stamp are the same.
pub(crate) type Stamp = (Revision, u64);

type Slot = Arc<Mutex<Option<(Stamp, Bytes)>>>;

#[derive(Debug, Default)]
pub(crate) struct Pages(Mutex<HashMap<Page, Slot>>);

impl Pages {
    pub(crate) fn get(&self, page: Page, stamp: Stamp, make: impl FnOnce() -> Vec<u8>) -> Bytes {
        let is_packed = page.is_packed;
        let slot = {
            let mut slots = self.0.lock();
            if slots.len() >= MAX && !slots.contains_key(&page) {
                slots.clear();
            }
            slots.entry(page).or_default().clone()
        };
        // Whoever comes while it is being encoded waits for that instead of encoding it again.
        let mut kept = slot.lock();
        if let Some((have, bytes)) = &*kept
            && *have == stamp
        {
            return bytes.clone();
        }
        let plain = make();
        let bytes: Bytes = if is_packed { pack(&plain).into() } else { plain.into() };
        *kept = Some((stamp, bytes.clone()));
        bytes
    }
}

/// Until when nothing that an answer shows has changed.
pub(crate) fn stamp(at: &Snapshot) -> Revision {
    let touched = at.touched();
    touched.instances.max(touched.checks).max(touched.leases).max(touched.nodes)
}

/// Everything in a namespace.
pub(crate) fn full(at: &Snapshot, namespace: &Name, form: Form) -> Vec<u8> {
    let bare: Vec<Bytes> = services(at, namespace.as_str()).map(|service| bare(service, form)).collect();
    form.applications(1, &hash(at, namespace), &bare)
}

/// An application as part of a longer answer; encoded once until it changes.
pub(crate) fn bare(service: &ServiceView, form: Form) -> Bytes {
    service.memo.get_or_encode(("eureka", form.bits()), || {
        let name = app_to_wire(service.key.service.as_str());
        let instances = all_in(service).map(|view| std::borrow::Cow::Owned(instance_to_wire(view)));
        form.bare_application(&name, instances).into()
    })
}

/// How many instances have each status: clients compare it with their own count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts([u32; 5]);

impl Counts {
    pub(crate) fn add(&mut self, status: Status) {
        if let Some(count) = self.0.get_mut(status.index()) {
            *count = count.saturating_add(1);
        }
    }

    fn of(service: &ServiceView) -> Counts {
        let bytes = service.memo.get_or_encode(("eureka", 0), || {
            let mut counts = Counts::default();
            all_in(service).for_each(|view| counts.add(status_to_wire(view)));
            counts.0.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<u8>>().into()
        });
        let mut counts = Counts::default();
        for (count, chunk) in counts.0.iter_mut().zip(bytes.chunks_exact(4)) {
            *count = chunk.try_into().map_or(0, u32::from_le_bytes);
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut some = Status::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0);
        some.try_for_each(|(status, count)| write!(f, "{}_{count}_", status.as_str()))
    }
}

pub(crate) fn hash(at: &Snapshot, namespace: &Name) -> String {
    let mut sum = Counts::default();
    for service in services(at, namespace.as_str()) {
        for (sum, count) in sum.0.iter_mut().zip(Counts::of(service).0) {
            *sum = sum.saturating_add(count);
        }
    }
    sum.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_statuses_in_order_with_their_counts() {
        let mut counts = Counts::default();
        assert_eq!(counts.to_string(), "");
        for status in [Status::Up, Status::Down, Status::Up, Status::OutOfService] {
            counts.add(status);
        }
        assert_eq!(counts.to_string(), "DOWN_1_OUT_OF_SERVICE_1_UP_2_");
    }
}
