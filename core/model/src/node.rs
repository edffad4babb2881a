use crate::instance::validate_address;
use crate::{Annex, Metadata, NodeKey, Rejection};

/// A machine that instances live on. Its checks count for every instance on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub key: NodeKey,
    pub address: Box<str>,
    pub metadata: Metadata,
    pub annex: Annex,
}

impl Node {
    pub fn validate(&self) -> Result<(), Rejection> {
        validate_address("address", &self.address)
    }
}
