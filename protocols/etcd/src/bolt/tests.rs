//! Files are read again, and each of their pages is looked at. That etcd's own programs read them is for `etcd/snapshot` to say.

use super::*;

type Row = (Vec<u8>, Vec<u8>);

struct Looked<'a> {
    file: &'a [u8],
    seen: Vec<bool>,
}

impl<'a> Looked<'a> {
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
    let mut reader = Looked { file, seen: vec![false; file.len() / PAGE] };
    let heads = [0, 1].map(|id| {
        let (kind, _, page) = reader.page(id);
        assert_eq!(kind, u64::from(node::HEAD));
        assert_eq!(Looked::number::<8>(page, 16 + 56), fnv(&page[16..16 + 56]), "its sum");
        [32, 48, 56].map(|at| Looked::number::<8>(page, at))
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
        match Looked::number::<8>(&value, 0) {
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
        let file = written(&buckets);
        assert!(read(&file) == wanted, "{count} of {key} and {value}");
        let mut reader = super::Reader::open(std::io::Cursor::new(&file)).unwrap();
        for (name, rows) in &wanted {
            let mut found = Vec::new();
            let mut hear = |key: &[u8], value: &[u8]| {
                found.push((key.to_vec(), value.to_vec()));
                Ok(())
            };
            assert!(reader.bucket(name.as_bytes(), &mut hear).unwrap());
            assert!(found == *rows, "{count} of {key} and {value}");
        }
        assert!(!reader.bucket(b"none", &mut |_, _| Ok(())).unwrap());
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

/// A head that was not written to its end, a page that is its own beginning, and numbers of pages that are not there.
#[test]
fn what_is_broken_is_refused_and_said_so() {
    let rows: Vec<Row> = (0..600_u32).map(|i| (i.to_be_bytes().to_vec(), vec![0; 100])).collect();
    let file = written(&[("a", rows)]);
    let whole = |file: &[u8]| {
        let mut count = 0;
        let mut reader = super::Reader::open(std::io::Cursor::new(file))?;
        reader.bucket(b"a", &mut |_, _| {
            count += 1;
            Ok(())
        })?;
        Ok::<usize, std::io::Error>(count)
    };
    assert_eq!(whole(&file).unwrap(), 600);
    for broken in [&[20][..], &[PAGE + 20], &[20, PAGE + 20]] {
        let mut file = file.clone();
        broken.iter().for_each(|at| file[*at] ^= 1);
        assert_eq!(whole(&file).ok(), (broken.len() < 2).then_some(600), "one head is enough");
    }
    assert!(whole(&file[..file.len() - PAGE]).is_err());
    assert!(whole(b"").is_err() && whole(&[0; 100_000]).is_err());
    // Wherever one bit is another, it is read or refused, and never without end.
    for at in (2 * PAGE..file.len()).step_by(61) {
        let mut file = file.clone();
        file[at] ^= 0x10;
        let _ = whole(&file);
    }
}
