use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Status;

/// An instance in Eureka's words. What is None was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InstanceInfo {
    pub(crate) instance_id: Option<String>,
    pub(crate) host_name: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) app_group: Option<String>,
    pub(crate) ip_addr: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) port: Option<PortWord>,
    pub(crate) secure_port: Option<PortWord>,
    pub(crate) home_page_url: Option<String>,
    pub(crate) status_page_url: Option<String>,
    pub(crate) health_check_url: Option<String>,
    pub(crate) secure_health_check_url: Option<String>,
    pub(crate) vip: Option<String>,
    pub(crate) secure_vip: Option<String>,
    pub(crate) country: Option<i32>,
    pub(crate) data_center: Option<DataCenter>,
    pub(crate) status: Option<Status>,
    pub(crate) overridden: Option<Status>,
    pub(crate) lease: Option<LeaseInfo>,
    pub(crate) is_coordinating: Option<bool>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) last_updated: Option<u64>,
    pub(crate) last_dirty: Option<u64>,
    pub(crate) action: Option<ActionType>,
    pub(crate) asg: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortWord {
    pub(crate) number: i32,
    pub(crate) enabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataCenter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

impl DataCenter {
    const CLASS: &'static str = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo";

    /// Clients look at the class to learn how to read the rest.
    pub(crate) fn class(&self) -> &str {
        match (&self.class, self.name.as_deref()) {
            (Some(class), _) => class,
            (None, Some("Amazon")) => "com.netflix.appinfo.AmazonInfo",
            (None, _) => DataCenter::CLASS,
        }
    }

    /// A Java client that reads that it is in Amazon's takes it for granted that there is more to read.
    pub(crate) fn shows_metadata(&self) -> bool {
        !self.metadata.is_empty() || self.name.as_deref() == Some("Amazon")
    }

    pub(crate) fn my_own() -> DataCenter {
        DataCenter { class: None, name: Some("MyOwn".into()), metadata: BTreeMap::new() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseInfo {
    pub(crate) renewal_secs: i64,
    pub(crate) duration_secs: i64,
    pub(crate) registered: u64,
    pub(crate) renewed: u64,
    pub(crate) evicted: u64,
    pub(crate) up_since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionType {
    Added,
    Modified,
    Deleted,
}

impl ActionType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ActionType::Added => "ADDED",
            ActionType::Modified => "MODIFIED",
            ActionType::Deleted => "DELETED",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<ActionType> {
        [ActionType::Added, ActionType::Modified, ActionType::Deleted]
            .into_iter()
            .find(|action| action.as_str() == word)
    }
}
