//! Files that bbolt wrote, a page at a time. Nothing in them is believed: each number is looked at before it is followed.

use std::io::{self, Read, Seek, SeekFrom};

use super::node::{self, BRANCH, LEAF};
use super::{MAGIC, VERSION, fnv};

/// No tree of pages is higher.
const HIGHEST: u32 = 64;

#[derive(Debug)]
pub(crate) struct Reader<F> {
    file: F,
    page: u64,
    pages: u64,
    root: u64,
    /// Pages that may still be read, so that no page is the beginning of itself.
    left: u64,
}

/// Hears of a row: whether its value is where a bucket begins, its key, and its value.
type Hears<'a> = dyn FnMut(bool, &[u8], &[u8]) -> io::Result<()> + 'a;

/// Takes a key and its value.
type Takes<'a> = dyn FnMut(&[u8], &[u8]) -> io::Result<()> + 'a;

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

struct Head {
    page: u64,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl Head {
    const BYTES: usize = 64;

    /// None: it is none, or it was not written to its end.
    fn read(bytes: &[u8; Head::BYTES]) -> Option<Head> {
        let (said, sum) = bytes.split_at(56);
        let is_whole = number::<8>(sum, 0)? == fnv(said);
        let is_ours =
            number::<4>(said, 0)? == u64::from(MAGIC) && number::<4>(said, 4)? == u64::from(VERSION);
        (is_whole && is_ours).then_some(Head {
            page: number::<4>(said, 8)?,
            root: number::<8>(said, 16)?,
            pages: number::<8>(said, 40)?,
            transaction: number::<8>(said, 48)?,
        })
    }
}

/// The least byte first.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let digits: &[u8; N] = bytes.get(at..)?.first_chunk()?;
    Some(digits.iter().rev().fold(0, |sum, digit| (sum << 8) | u64::from(*digit)))
}

impl<F: Read + Seek> Reader<F> {
    /// By the newer of its heads that is whole.
    pub(crate) fn open(mut file: F) -> io::Result<Reader<F>> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut head = |at: u64| -> io::Result<Option<Head>> {
            if at.saturating_add(16 + Head::BYTES as u64) > length {
                return Ok(None);
            }
            let mut bytes = [0; Head::BYTES];
            file.seek(SeekFrom::Start(at + 16))?;
            file.read_exact(&mut bytes)?;
            Ok(Head::read(&bytes))
        };
        let first = head(0)?;
        // The second is a page behind it; how long a page is, only a head says.
        let lengths = match &first {
            Some(first) => vec![first.page],
            None => (0..15).map(|power| 1024 << power).collect(),
        };
        let mut newest = first;
        for page in lengths {
            if let Some(second) = head(page)?.filter(|second| second.page == page) {
                let is_newer = newest.as_ref().is_none_or(|first| second.transaction > first.transaction);
                newest = if is_newer { Some(second) } else { newest };
                break;
            }
        }
        let Head { page, root, pages, .. } = newest.ok_or_else(|| broken("it is no file of etcd's"))?;
        let is_sound = page.is_power_of_two() && (1024..=1 << 24).contains(&page);
        if !is_sound || pages.checked_mul(page).is_none_or(|bytes| bytes > length) {
            return Err(broken("it is shorter than it says"));
        }
        Ok(Reader { file, page, pages, root, left: 0 })
    }

    /// Tells the rows of a bucket in their order. False: there is no such bucket.
    pub(crate) fn bucket(&mut self, name: &[u8], rows: &mut Takes<'_>) -> io::Result<bool> {
        let mut found = None;
        self.left = self.pages;
        self.walk(self.root, HIGHEST, &mut |is_bucket, key, value| {
            if is_bucket && key == name {
                found = Some(value.to_vec());
            }
            Ok(())
        })?;
        let Some(begin) = found else { return Ok(false) };
        let mut plain = |is_bucket: bool, key: &[u8], value: &[u8]| {
            if is_bucket { Err(broken("a bucket is within a bucket")) } else { rows(key, value) }
        };
        match number::<8>(&begin, 0).ok_or_else(|| broken("a bucket begins nowhere"))? {
            0 => {
                let inline = begin.get(16..).unwrap_or_default();
                self.elements(inline, HIGHEST, &mut plain)?;
            }
            first => {
                self.left = self.pages;
                self.walk(first, HIGHEST, &mut plain)?;
            }
        }
        Ok(true)
    }

    fn walk(&mut self, id: u64, levels: u32, hears: &mut Hears<'_>) -> io::Result<()> {
        let levels = levels.checked_sub(1).ok_or_else(|| broken("a tree in it has no end"))?;
        self.left = self.left.checked_sub(1).ok_or_else(|| broken("a page in it is there twice"))?;
        let page = self.whole(id)?;
        self.elements(&page, levels, hears)
    }

    /// With the pages that belong to it.
    fn whole(&mut self, id: u64) -> io::Result<Vec<u8>> {
        let outside = || broken("it names a page outside of it");
        if id >= self.pages {
            return Err(outside());
        }
        let mut header = [0; node::HEADER];
        self.file.seek(SeekFrom::Start(id.saturating_mul(self.page)))?;
        self.file.read_exact(&mut header)?;
        let more = number::<4>(&header, 12).ok_or_else(outside)?;
        if number::<8>(&header, 0) != Some(id) || more >= self.pages - id {
            return Err(outside());
        }
        let length = usize::try_from((more + 1).saturating_mul(self.page)).map_err(|_| outside())?;
        let mut page = vec![0; length];
        let (first, rest) = page.split_at_mut(node::HEADER);
        first.copy_from_slice(&header);
        self.file.read_exact(rest)?;
        Ok(page)
    }

    fn elements(&mut self, page: &[u8], levels: u32, hears: &mut Hears<'_>) -> io::Result<()> {
        let short = || broken("a page in it is shorter than it says");
        let kind = number::<2>(page, 8).ok_or_else(short)?;
        let count = number::<2>(page, 10).ok_or_else(short)?;
        for i in 0..usize::try_from(count).unwrap_or(usize::MAX) {
            let at = node::HEADER + i * node::ELEMENT;
            let element = page.get(at..).ok_or_else(short)?;
            let place = |from: usize| -> Option<usize> { number::<4>(element, from)?.try_into().ok() };
            let slice = |from: usize, length: usize| element.get(from..from.checked_add(length)?);
            if kind == u64::from(LEAF) {
                let (flags, from) = (number::<4>(element, 0), place(4));
                let (key, value) = (place(8), place(12));
                let (Some(flags), Some(from), Some(key), Some(value)) = (flags, from, key, value) else {
                    return Err(short());
                };
                let value = from.checked_add(key).and_then(|from| slice(from, value)).ok_or_else(short)?;
                hears(flags & 1 != 0, slice(from, key).ok_or_else(short)?, value)?;
            } else if kind == u64::from(BRANCH) {
                let below = number::<8>(element, 8).ok_or_else(short)?;
                self.walk(below, levels, hears)?;
            } else {
                return Err(broken("it has another kind of page where rows should be"));
            }
        }
        Ok(())
    }
}
