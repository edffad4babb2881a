//! Files are read again, and each of their pages is looked at. That etcd's own programs read them is for `etcd/snapshot` to say.

use super::*;

type Row = (Vec<u8>, Vec<u8>);

struct Reader<'a> {
    file: &'a [u8],
    seen: Vec<bool>,
}

impl<'a> Reader<'a> {
    fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
        let mut number = [0; 8];
        number[..N].copy_from_slice(&bytes[at..at + N]);
        u64::from_le_bytes(number)
    }

    /// Kind, elements, and all of its bytes.
    fn page(&mut self, id: u64) -> (u64, usize, &'a [u8]) {
        let from = usize::try_from(id).unwrap();
        let head = &self.file[from * PAGE..];
        assert_eq!(Self::number::<8>(head, 0), id, "it says its number");
        let pages = 1 + usize::try_from(Self::number::<4>(head, 12)).unwrap();
        for seen in &mut self.seen[from..from + pages] {
            assert!(!std::mem::replace(seen, true), "page {id} is there twice");
        }
        let elements = usize::try_from(Self::number::<2>(head, 10)).unwrap();
        (Self::number::<2>(head, 8), elements, &head[..pages * PAGE])
    }

    fn rows(&mut self, id: u64, rows: &mut Vec<(u64, Vec<u8>, Vec<u8>)>) {
        let (kind, elements, page) = self.page(id);
        assert!(elements > 0);
        for i in 0..elements {
            let at = 16 + i * 16;
            let number = |from: usize| usize::try_from(Self::number::<4>(page, at + from)).unwrap();
            match u16::try_from(kind).unwrap() {
                node::LEAF => {
                    let key = at + number(4);
                    let value = key + number(8);
                    let (key, value) = (&page[key..value], &page[value..value + number(12)]);
                    rows.push((Self::number::<4>(page, at), key.to_vec(), value.to_vec()));
                }
                node::BRANCH => {
                    let key = &page[at + number(0)..][..number(4)];
                    let first = rows.len();
                    self.rows(Self::number::<8>(page, at + 8), rows);
                    assert_eq!(rows[first].1, key, "a branch names the first key below it");
                }
                other => panic!("a page of kind {other}"),
            }
        }
    }
}

/// The rows of each bucket.
fn read(file: &[u8]) -> Vec<(String, Vec<Row>)> {
    assert_eq!(file.len() % PAGE, 0);
    let mut reader = Reader { file, seen: vec![false; file.len() / PAGE] };
    let heads = [0, 1].map(|id| {
        let (kind, _, page) = reader.page(id);
        assert_eq!(kind, u64::from(node::HEAD));
        assert_eq!(Reader::number::<8>(page, 16 + 56), fnv(&page[16..16 + 56]), "its sum");
        [32, 48, 56].map(|at| Reader::number::<8>(page, at))
    });
    assert_eq!(heads[0], heads[1]);
    let [root, free, pages] = heads[0];
    assert_eq!(pages, reader.seen.len() as u64);
    let (kind, free, _) = reader.page(free);
    assert_eq!((kind, free), (u64::from(node::FREE), 0));
    let mut buckets = Vec::new();
    reader.rows(root, &mut buckets);
    let found = buckets.into_iter().map(|(flags, name, value)| {
        assert_eq!(flags, 1, "it is a bucket");
        let mut rows = Vec::new();
        match Reader::number::<8>(&value, 0) {
            0 => assert_eq!(value[16..], node::header(0, node::LEAF, 0, 0)),
            first => reader.rows(first, &mut rows),
        }
        let rows = rows.into_iter().map(|(flags, key, value)| {
            assert_eq!(flags, 0);
            (key, value)
        });
        (String::from_utf8(name).unwrap(), rows.collect())
    });
    let found = found.collect();
    assert!(reader.seen.iter().all(|seen| *seen), "no page is lost");
    found
}

fn written(buckets: &[(&'static str, Vec<Row>)]) -> Vec<u8> {
    let tables: Vec<(&'static str, Box<Table<'_>>)> = buckets
        .iter()
        .map(|(name, rows)| {
            let table: Box<Table<'_>> =
                Box::new(move |told| rows.iter().try_for_each(|(key, value)| told(key, value)));
            (*name, table)
        })
        .collect();
    let layout = Layout::of(&tables).unwrap();
    let mut file = Vec::new();
    layout
        .write(&tables, &mut |bytes| {
            file.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    assert_eq!(file.len() as u64, layout.bytes());
    file
}

#[test]
fn what_is_written_is_read_again_however_much_it_is() {
    // With keys of 1,000 bytes a branch holds three, so that trees are high.
    for (count, key, value) in [
        (0, 8, 0),
        (1, 8, 0),
        (1, 8, 10_000),
        (2, 8, 4096),
        (100, 8, 100),
        (255, 8, 0),
        (256, 8, 0),
        (5000, 17, 30),
        (30, 1000, 3000),
        (2000, 1000, 10),
        (9, 2000, 1),
    ] {
        let row = |i: usize| (format!("{i:0key$}").into_bytes(), vec![b'v'; value + i % 7]);
        let rows: Vec<Row> = (0..count).map(row).collect();
        let buckets = [("a", rows.clone()), ("b", Vec::new()), ("c", rows)];
        let wanted: Vec<_> = buckets.iter().map(|(name, rows)| ((*name).to_owned(), rows.clone())).collect();
        assert!(read(&written(&buckets)) == wanted, "{count} of {key} and {value}");
    }
}

#[test]
fn nothing_more_is_made_for_who_has_heard_enough() {
    let rows: Vec<Row> = (0..5000_u32).map(|i| (i.to_be_bytes().to_vec(), vec![0; 100])).collect();
    let table: Box<Table<'_>> = Box::new(|told| rows.iter().try_for_each(|(key, value)| told(key, value)));
    let tables = [("a", table)];
    let mut pages = 0;
    let told = Layout::of(&tables).unwrap().write(&tables, &mut |_| {
        pages += 1;
        if pages < 10 { Ok(()) } else { Err(Stopped) }
    });
    assert!(told.is_err() && pages == 10);
}
