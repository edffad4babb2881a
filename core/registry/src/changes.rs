use std::sync::Arc;

use switchboard_model::{Check, Entry, Lease, Revision, Selector, Stored};

use crate::memo::Memo;
use crate::views::{InstanceView, NodeFacts};

/// What one commit changed, in the order in which it was written.
#[derive(Debug)]
pub struct Changes {
    pub revision: Revision,
    /// Wall-clock time of the commit, for people only.
    pub at_ms: u64,
    pub items: Box<[Change]>,
}

/// One change, with a place for its encodings.
#[derive(Debug)]
pub struct Change {
    pub what: What,
    pub memo: Memo,
}

/// One thing before and after; an absent side means that it was not there. An instance changes when anything
/// that decides about its health changes: itself, a check, its lease or its node.
#[derive(Debug)]
pub enum What {
    Instance { before: Option<Arc<InstanceView>>, after: Option<Arc<InstanceView>> },
    Node { before: Option<Arc<NodeFacts>>, after: Option<Arc<NodeFacts>> },
    Check { before: Option<Arc<Stored<Check>>>, after: Option<Arc<Stored<Check>>> },
    Lease { before: Option<Arc<Stored<Lease>>>, after: Option<Arc<Stored<Lease>>> },
    Entry { before: Option<Arc<Stored<Entry>>>, after: Option<Arc<Stored<Entry>>> },
}

impl From<What> for Change {
    fn from(what: What) -> Change {
        Change { what, memo: Memo::default() }
    }
}

impl What {
    /// The instance's view on the side that exists, the newer one first.
    pub fn instance(&self) -> Option<&Arc<InstanceView>> {
        match self {
            What::Instance { before, after } => after.as_ref().or(before.as_ref()),
            _ => None,
        }
    }

    pub fn is_in(&self, selector: &Selector) -> bool {
        match self {
            What::Instance { .. } => self.instance().is_some_and(|view| selector.has_instance(view.key())),
            What::Node { before, after } => {
                after.as_ref().or(before.as_ref()).is_some_and(|facts| selector.has_node(&facts.key))
            }
            What::Check { before, after } => {
                after.as_ref().or(before.as_ref()).is_some_and(|check| match (selector, &check.key.owner) {
                    (Selector::Everything, _) => true,
                    (Selector::Node(node), switchboard_model::Owner::Node(owner)) => node == owner,
                    (Selector::AnyOf(selectors), _) => selectors.iter().any(|each| self.is_in(each)),
                    _ => false,
                })
            }
            What::Lease { .. } => selector.has_leases(),
            What::Entry { before, after } => {
                after.as_ref().or(before.as_ref()).is_some_and(|entry| selector.has_entry(&entry.key))
            }
        }
    }
}

impl Changes {
    pub fn matching<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Change> + use<'a> {
        self.items.iter().filter(move |item| item.what.is_in(selector))
    }

    pub fn touch(&self, selector: &Selector) -> bool {
        self.items.iter().any(|item| item.what.is_in(selector))
    }
}
