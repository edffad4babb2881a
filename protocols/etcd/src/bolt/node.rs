use super::PAGE;

pub(super) const BRANCH: u16 = 0x01;
pub(super) const LEAF: u16 = 0x02;
pub(super) const HEAD: u16 = 0x04;
pub(super) const FREE: u16 = 0x10;

/// Before the elements of a page, and of each element.
pub(super) const HEADER: usize = 16;
pub(super) const ELEMENT: usize = 16;

/// What a page will hold: elements, and behind them their keys and values.
#[derive(Debug, Default)]
pub(super) struct Node {
    elements: Vec<Element>,
    data: Vec<u8>,
}

#[derive(Debug)]
struct Element {
    at: usize,
    key: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Value(usize),
    Bucket(usize),
    Page(u64),
}

impl Node {
    pub(super) fn add_value(&mut self, key: &[u8], value: &[u8]) {
        self.add(key, value, What::Value(value.len()));
    }

    pub(super) fn add_bucket(&mut self, key: &[u8], value: &[u8]) {
        self.add(key, value, What::Bucket(value.len()));
    }

    pub(super) fn add_page(&mut self, key: &[u8], page: u64) {
        self.add(key, &[], What::Page(page));
    }

    fn add(&mut self, key: &[u8], value: &[u8], what: What) {
        self.elements.push(Element { at: self.data.len(), key: key.len(), what });
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Whether this much more still goes into one page.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        HEADER + (self.elements.len() + 1) * ELEMENT + self.data.len() + bytes <= PAGE
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.elements.first().and_then(|first| self.data.get(..first.key)).unwrap_or_default()
    }

    /// Whole pages, of which the first has this number.
    pub(super) fn encode(&self, id: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.elements.len() * ELEMENT + self.data.len());
        let is_branch = matches!(self.elements.first(), Some(Element { what: What::Page(_), .. }));
        for (i, element) in self.elements.iter().enumerate() {
            // From the element itself.
            let at = short((self.elements.len() - i) * ELEMENT + element.at);
            let key = short(element.key);
            let parts = match element.what {
                What::Value(length) => [0_u32.to_le_bytes(), at, key, short(length)],
                What::Bucket(length) => [1_u32.to_le_bytes(), at, key, short(length)],
                What::Page(page) => {
                    let [a, b, c, d, e, f, g, h] = page.to_le_bytes();
                    [at, key, [a, b, c, d], [e, f, g, h]]
                }
            };
            body.extend_from_slice(parts.as_flattened());
        }
        body.extend_from_slice(&self.data);
        page(id, if is_branch { BRANCH } else { LEAF }, self.elements.len(), &body)
    }
}

/// Nothing that goes into a page is longer than a request.
fn short(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// As many pages as it takes.
pub(super) fn page(id: u64, kind: u16, elements: usize, body: &[u8]) -> Vec<u8> {
    let length = (HEADER + body.len()).next_multiple_of(PAGE);
    let mut page = Vec::with_capacity(length);
    page.extend_from_slice(&header(id, kind, elements, length / PAGE - 1));
    page.extend_from_slice(body);
    page.resize(length, 0);
    page
}

pub(super) fn header(id: u64, kind: u16, elements: usize, more_pages: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let elements = u16::try_from(elements).unwrap_or(u16::MAX);
    let parts = id.to_le_bytes().into_iter().chain(kind.to_le_bytes()).chain(elements.to_le_bytes());
    header.iter_mut().zip(parts.chain(short(more_pages))).for_each(|(byte, part)| *byte = part);
    header
}
