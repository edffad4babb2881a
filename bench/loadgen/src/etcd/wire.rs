//! etcd's messages by their bytes, as far as the rows need them: written, and looked into without being decoded.

use bytes::{BufMut, Bytes, BytesMut};

pub(super) const PUT: &str = "/etcdserverpb.KV/Put";
pub(super) const RANGE: &str = "/etcdserverpb.KV/Range";
pub(super) const TXN: &str = "/etcdserverpb.KV/Txn";
pub(super) const WATCH: &str = "/etcdserverpb.Watch/Watch";
pub(super) const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
pub(super) const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";

/// Fields of a message, one after the other.
#[derive(Default)]
struct Fields(BytesMut);

impl Fields {
    fn number(mut self, field: u64, value: u64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        varint(&mut self.0, (field << 3) | 2);
        varint(&mut self.0, value.len() as u64);
        self.0.put_slice(value);
        self
    }
}

fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// As gRPC frames it: not compressed, and its length.
fn framed(message: &Fields) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.0.len() + 5);
    frame.put_u8(0);
    frame.put_u32(message.0.len() as u32);
    frame.put_slice(&message.0);
    frame.freeze()
}

fn put_fields(key: &[u8], value: &[u8]) -> Fields {
    Fields::default().bytes(1, key).bytes(2, value)
}

pub(super) fn put(key: &[u8], value: &[u8]) -> Bytes {
    framed(&put_fields(key, value))
}

/// Without comparisons: one put.
pub(super) fn txn_put(key: &[u8], value: &[u8]) -> Bytes {
    let operation = Fields::default().bytes(2, &put_fields(key, value).0);
    framed(&Fields::default().bytes(2, &operation.0))
}

pub(super) fn range(key: &[u8], end: &[u8], serializable: bool) -> Bytes {
    framed(&Fields::default().bytes(1, key).bytes(2, end).number(7, u64::from(serializable)))
}

pub(super) fn count(key: &[u8], end: &[u8]) -> Bytes {
    framed(&Fields::default().bytes(1, key).bytes(2, end).number(9, 1))
}

pub(super) fn watch(key: &[u8]) -> Bytes {
    let create = Fields::default().bytes(1, key);
    framed(&Fields::default().bytes(1, &create.0))
}

pub(super) fn grant(ttl: u64) -> Bytes {
    framed(&Fields::default().number(1, ttl))
}

pub(super) fn keep_alive(id: u64) -> Bytes {
    framed(&Fields::default().number(1, id))
}

/// The fields of a message in their order, with what numbers say; ends early where it is broken.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Option<u64>)> {
    std::iter::from_fn(move || {
        let tag = number(&mut message)?;
        let value = match tag & 7 {
            0 => Some(number(&mut message)?),
            2 => {
                let length = usize::try_from(number(&mut message)?).ok()?;
                (_, message) = message.split_at_checked(length)?;
                None
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn number(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// How many there are of a repeated field.
pub(super) fn repeated(message: &[u8], field: u64) -> usize {
    fields(message).filter(|(found, _)| *found == field).count()
}

pub(super) fn number_of(message: &[u8], field: u64) -> u64 {
    fields(message).find_map(|(found, value)| value.filter(|_| found == field)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        let frame = range(b"key", b"end", true);
        assert_eq!(frame.get(..5), Some([0, 0, 0, 0, 12].as_slice()));
        let message = frame.get(5..).unwrap();
        assert_eq!((repeated(message, 1), repeated(message, 3), number_of(message, 7)), (1, 0, 1));
        let id = (1 << 62) + 300;
        assert_eq!(number_of(keep_alive(id).get(5..).unwrap(), 1), id);
        // Ends within a field.
        assert_eq!(repeated(&[0x0a, 5, 1], 1), 0);
    }
}
