//! Files of bbolt, which etcd keeps its data in and gives as snapshots: written in one go, in order, a page at a time, and
//! read again.
//!
//! A file is pages of 4,096 bytes. The first two say where the tree of buckets begins; a bucket is a tree of its own, of leaves
//! with keys and values and of branches above them; the last page says that none is free. Numbers are as processors have
//! them on which etcd runs: the least byte first. See bbolt's `internal/common`.

mod node;
mod read;
#[cfg(test)]
mod tests;
mod tree;

use self::node::Node;
pub(crate) use self::read::Reader;
use self::tree::Tree;

pub(crate) const PAGE: usize = 4096;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

/// Whoever is told has heard enough.
#[derive(Debug)]
pub(crate) struct Stopped;

pub(crate) type Told = Result<(), Stopped>;

/// Where rows go, in the order of their keys, each once.
pub(crate) type Rows<'a> = dyn FnMut(&[u8], &[u8]) -> Told + 'a;

/// Tells the same rows each time.
pub(crate) type Table<'a> = dyn Fn(&mut Rows<'_>) -> Told + 'a;

/// Named, and in the order of their names.
pub(crate) type Buckets<'a> = [(&'static str, Box<Table<'a>>)];

/// Pages, one after the other.
struct Pages<'a> {
    next: u64,
    out: &'a mut dyn FnMut(&[u8]) -> Told,
}

impl Pages<'_> {
    /// The number of its first page.
    fn put(&mut self, node: &Node) -> Result<u64, Stopped> {
        let id = self.next;
        let bytes = node.encode(id);
        self.next = id.saturating_add(u64::try_from(bytes.len() / PAGE).unwrap_or(u64::MAX));
        (self.out)(&bytes)?;
        Ok(id)
    }
}

/// Where in the file its parts will be.
#[derive(Debug)]
pub(crate) struct Layout {
    root: u64,
    free: u64,
    pages: u64,
}

impl Layout {
    /// Everything is written once, to nowhere: what comes first in a file can only be said when all of it is known.
    pub(crate) fn of(buckets: &Buckets<'_>) -> Result<Layout, Stopped> {
        lay(buckets, &mut |_| Ok(()))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.pages.saturating_mul(PAGE as u64)
    }

    /// The same buckets again.
    pub(crate) fn write(&self, buckets: &Buckets<'_>, out: &mut dyn FnMut(&[u8]) -> Told) -> Told {
        for page in 0..2 {
            out(&head(page, self.root, self.free, self.pages))?;
        }
        lay(buckets, out).map(|_| ())
    }
}

/// The first page, or the second. Both say the same; the one with the higher transaction counts.
pub(crate) fn head(page: u64, root: u64, free: u64, pages: u64) -> Vec<u8> {
    const FLAGS: u32 = 0;
    const SEQUENCE: u64 = 0;
    let mut head = Vec::with_capacity(PAGE);
    for part in [MAGIC, VERSION, PAGE as u32, FLAGS] {
        head.extend_from_slice(&part.to_le_bytes());
    }
    for part in [root, SEQUENCE, free, pages, page] {
        head.extend_from_slice(&part.to_le_bytes());
    }
    let sum = fnv(&head);
    head.extend_from_slice(&sum.to_le_bytes());
    node::page(page, node::HEAD, 0, &head)
}

fn lay(buckets: &Buckets<'_>, out: &mut dyn FnMut(&[u8]) -> Told) -> Result<Layout, Stopped> {
    let mut pages = Pages { next: 2, out };
    let mut root = Node::default();
    for (name, rows) in buckets {
        let mut tree = Tree::new(&mut pages);
        rows(&mut |key, value| tree.add(key, value))?;
        let value = match tree.end()? {
            // Where it begins, and how often it was counted up.
            Some(first) => [first.to_le_bytes(), [0; 8]].concat(),
            // An empty one is within what names it.
            None => [[0; 16].as_slice(), &node::header(0, node::LEAF, 0, 0)].concat(),
        };
        root.add_bucket(name.as_bytes(), &value);
    }
    let root = pages.put(&root)?;
    let free = pages.next;
    (pages.out)(&node::page(free, node::FREE, 0, &[]))?;
    Ok(Layout { root, free, pages: free.saturating_add(1) })
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
