use serde::{Deserialize, Serialize};
use switchboard_model::{Annex, Instance, Rejection};

use super::ORIGIN;
use crate::wire::{DataCenter, PortWord, Status};

/// The check through which a provider says that it is DOWN or UNKNOWN: the model's lifecycle has no such words, and
/// what is down is not taken out by its owner but ill.
pub(crate) const STATUS_CHECK: &str = "eureka:status";

/// What Eureka says about an instance and the model has no noun for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Words {
    /// The status that somebody laid over the provider's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over: Option<Status>,
    /// Of the two words for a critical status check the rarer one: UNKNOWN.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) unknown: bool,
    /// It was last written by a peer, who tells the other peers.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) by_peer: bool,
    /// None: it was registered through another protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) born: Option<Born>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The words of a registration. What is None was not said, unless noted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Born {
    /// None: the instance's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// None: the instance's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<String>,
    pub(crate) port: PortWord,
    pub(crate) secure_port: PortWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_page: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secure_health_check: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secure_vip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<i32>,
    /// None: MyOwn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_center: Option<DataCenter>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) is_coordinating: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asg: Option<String>,
    /// How often it means to renew, and for how long it wants to be kept; the latter is its lease's TTL, too.
    pub(crate) renewal_secs: i64,
    pub(crate) duration_secs: i64,
    /// By the provider's clock, when it last changed its own information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dirty: Option<u64>,
    /// By our clock: when it came, was last written, and last became UP.
    pub(crate) registered: u64,
    pub(crate) updated: u64,
    pub(crate) up_since: u64,
}

impl Words {
    pub(crate) fn of(instance: &Instance) -> Words {
        let kept = instance.annex.get(ORIGIN).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let words: Words = kept.unwrap_or_default();
        match &*instance.origin {
            ORIGIN => words,
            // Another protocol registered it since, with other words: those of the client then are not true any more.
            _ => Words { born: None, by_peer: false, ..words },
        }
    }

    /// The annex `before` with these words, and what other protocols said in it.
    pub(crate) fn annex(&self, before: &Annex) -> Result<Annex, Rejection> {
        // A structure of texts and numbers always has a JSON form.
        let ours = (*self != Words::default()).then(|| serde_json::to_vec(self).unwrap_or_default().into());
        before.with(ORIGIN, ours)
    }
}

/// The little of the words that heartbeats and statuses depend on, read without making all the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Gist {
    pub(crate) over: Option<Status>,
    pub(crate) unknown: bool,
    by_peer: bool,
    born: Option<Clock>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Clock {
    dirty: Option<u64>,
}

impl Gist {
    pub(crate) fn of(instance: &Instance) -> Gist {
        let kept = instance.annex.get(ORIGIN).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let gist: Gist = kept.unwrap_or_default();
        match &*instance.origin {
            ORIGIN => gist,
            _ => Gist { born: None, by_peer: false, ..gist },
        }
    }

    /// A peer wrote it last, who tells the other peers.
    pub(crate) fn is_by_peer(self) -> bool {
        self.by_peer
    }

    /// No Eureka client registered it.
    pub(crate) fn is_foreign(self) -> bool {
        self.born.is_none()
    }

    /// By the provider's clock, when it last changed its own information.
    pub(crate) fn dirty(self) -> Option<u64> {
        self.born.and_then(|born| born.dirty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_of_the_words_is_in_the_words() {
        let born = Born { dirty: Some(17), vip: Some("web".into()), ..Born::default() };
        for words in [
            Words::default(),
            Words { over: Some(Status::OutOfService), unknown: true, ..Words::default() },
            Words { by_peer: true, born: Some(born), ..Words::default() },
        ] {
            let gist: Gist = serde_json::from_slice(&serde_json::to_vec(&words).unwrap()).unwrap();
            let Words { over, unknown, by_peer, born } = words;
            assert_eq!((gist.over, gist.unknown, gist.is_by_peer()), (over, unknown, by_peer));
            assert_eq!((gist.is_foreign(), gist.dirty()), (born.is_none(), born.and_then(|born| born.dirty)));
        }
    }
}
