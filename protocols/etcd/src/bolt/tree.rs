use super::node::Node;
use super::{Pages, Stopped, Told};

/// A tree that grows from its leaves while its rows come: of each level one page is open, and full ones are written.
pub(super) struct Tree<'a, 'b> {
    pages: &'a mut Pages<'b>,
    leaf: Node,
    /// The lowest first.
    branches: Vec<Node>,
}

impl<'a, 'b> Tree<'a, 'b> {
    pub(super) fn new(pages: &'a mut Pages<'b>) -> Tree<'a, 'b> {
        Tree { pages, leaf: Node::default(), branches: Vec::new() }
    }

    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Told {
        if !self.leaf.is_empty() && !self.leaf.has_room(key.len() + value.len()) {
            let full = std::mem::take(&mut self.leaf);
            self.put(0, &full)?;
        }
        self.leaf.add_value(key, value);
        Ok(())
    }

    /// Writes a page, and has the level above know of it.
    fn put(&mut self, mut level: usize, page: &Node) -> Told {
        let mut id = self.pages.put(page)?;
        let mut key = page.first_key().to_vec();
        loop {
            let Some(branch) = self.branches.get_mut(level) else {
                let mut branch = Node::default();
                branch.add_page(&key, id);
                self.branches.push(branch);
                return Ok(());
            };
            if branch.has_room(key.len()) {
                branch.add_page(&key, id);
                return Ok(());
            }
            let full = std::mem::take(branch);
            branch.add_page(&key, id);
            id = self.pages.put(&full)?;
            key = full.first_key().to_vec();
            level += 1;
        }
    }

    /// The page that it begins with. None: there were no rows.
    pub(super) fn end(mut self) -> Result<Option<u64>, Stopped> {
        if self.leaf.is_empty() {
            return Ok(None);
        }
        if self.branches.is_empty() {
            return self.pages.put(&self.leaf).map(Some);
        }
        let leaf = std::mem::take(&mut self.leaf);
        self.put(0, &leaf)?;
        let mut level = 0;
        // Each that is closed may open another above it.
        while level + 1 < self.branches.len() {
            let Some(branch) = self.branches.get_mut(level) else { break };
            let branch = std::mem::take(branch);
            self.put(level + 1, &branch)?;
            level += 1;
        }
        self.branches.last().map(|top| self.pages.put(top)).transpose()
    }
}
