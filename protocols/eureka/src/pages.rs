//! Whole answers, each encoded once for as long as nothing in it changes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::RwLock;
use switchboard_model::{Name, Revision};
use switchboard_registry::{ServiceView, Snapshot};

use crate::lens::{all_in, app_to_wire, instance_to_wire, services, status_to_wire};
use crate::refusal::Refusal;
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

/// Two answers with the same stamp are the same, and one with a greater stamp is newer.
pub(crate) type Stamp = (Revision, u64);

#[derive(Debug, Default)]
struct Slot {
    kept: RwLock<Option<(Stamp, Bytes)>>,
    /// Held by whoever encodes: everybody else waits for that instead of encoding it again.
    encoding: tokio::sync::Mutex<()>,
}

impl Slot {
    fn at_least(&self, stamp: Stamp) -> Option<(Stamp, Bytes)> {
        self.kept.read().as_ref().filter(|(have, _)| *have >= stamp).cloned()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pages(RwLock<HashMap<Page, Arc<Slot>>>);

impl Pages {
    /// What is kept, if it is at least as new as this.
    pub(crate) fn kept(&self, page: &Page, stamp: Stamp) -> Option<Bytes> {
        self.0.read().get(page)?.at_least(stamp).map(|(_, bytes)| bytes)
    }

    /// What is kept, or else `newest` encoded, on a thread where it keeps nobody waiting who asks for something else.
    pub(crate) async fn get<E>(
        &self,
        page: Page,
        stamp: Stamp,
        newest: impl Future<Output = Result<(Stamp, E), Refusal>>,
    ) -> Result<Bytes, Refusal>
    where
        E: FnOnce() -> Vec<u8> + Send + 'static,
    {
        let slot = self.slot(&page);
        let _alone = slot.encoding.lock().await;
        if let Some((_, bytes)) = slot.at_least(stamp) {
            return Ok(bytes);
        }
        let plain = page.is_packed.then_some(Page { is_packed: false, ..page });
        let plain = plain.and_then(|plain| self.0.read().get(&plain)?.at_least(stamp));
        let (keeps, is_packed) = (slot.clone(), page.is_packed);
        let work: Box<dyn FnOnce() -> (Stamp, Bytes) + Send> = match plain {
            Some((stamp, plain)) => Box::new(move || (stamp, pack(&plain).into())),
            None => {
                let (stamp, encode) = newest.await?;
                Box::new(move || (stamp, if is_packed { pack(&encode()) } else { encode() }.into()))
            }
        };
        let encoding = move || {
            let (stamp, bytes) = work();
            *keeps.kept.write() = Some((stamp, bytes.clone()));
            bytes
        };
        tokio::task::spawn_blocking(encoding).await.map_err(|why| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("it was not encoded: {why}"))
        })
    }

    fn slot(&self, page: &Page) -> Arc<Slot> {
        if let Some(slot) = self.0.read().get(page) {
            return slot.clone();
        }
        let mut slots = self.0.write();
        if slots.len() >= MAX && !slots.contains_key(page) {
            slots.clear();
        }
        slots.entry(page.clone()).or_default().clone()
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
    use crate::wire::unpack;

    use super::*;

    fn page(is_packed: bool) -> Page {
        Page { namespace: Name::default_namespace(), is_delta: false, form: Form::JSON, is_packed }
    }

    /// Counts how often something is encoded, and as of when.
    #[derive(Default)]
    struct Press(Pages, std::sync::atomic::AtomicUsize);

    impl Press {
        async fn get(self: &Arc<Self>, is_packed: bool, wanted: u64, now: u64) -> Bytes {
            let press = self.clone();
            let newest = async move {
                let encode = move || {
                    press.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    now.to_string().into_bytes()
                };
                Ok(((Revision(now), 0), encode))
            };
            self.0.get(page(is_packed), (Revision(wanted), 0), newest).await.unwrap()
        }

        fn count(&self) -> usize {
            self.1.load(std::sync::atomic::Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn however_many_ask_it_is_encoded_once_and_the_same_bytes_go_to_all() {
        let press = Arc::new(Press::default());
        let all = futures_util::future::join_all((0..50).map(|_| press.get(false, 7, 7))).await;
        assert!(all.iter().all(|bytes| bytes == "7" && bytes.as_ptr() == all[0].as_ptr()));
        assert_eq!(press.count(), 1);
        assert_eq!(press.0.kept(&page(false), (Revision(7), 0)).unwrap().as_ptr(), all[0].as_ptr());
        // Packed it is made of the same, not encoded anew.
        let packed = press.get(true, 7, 7).await;
        assert_eq!((unpack(&packed, 100).unwrap().unwrap(), press.count()), (b"7".to_vec(), 1));
    }

    /// Under a stream of changes each of those who waited would want a newer one than the one before encoded.
    #[tokio::test]
    async fn who_asked_before_it_was_encoded_takes_it_also_if_it_is_newer_than_asked_for() {
        let press = Arc::new(Press::default());
        let asked = (1..=20).map(|wanted| press.get(false, wanted, 20));
        assert!(futures_util::future::join_all(asked).await.iter().all(|bytes| bytes == "20"));
        assert_eq!(press.count(), 1);
        assert_eq!(press.get(false, 21, 21).await, "21");
        assert_eq!(press.0.kept(&page(false), (Revision(22), 0)), None);
    }

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
