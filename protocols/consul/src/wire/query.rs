use std::collections::BTreeMap;

use serde::Serialize;

go_body! {
    /// A prepared query, as it is sent and as it is kept.
    struct QueryBody {
        "ID" => id: String,
        "Name" => name: String,
        "Session" => session: String,
        "Token" => token: String,
        "Template" => template: TemplateBody,
        "Service" => service: ServiceQuery,
        "DNS" => dns: QueryDns,
        "CreateIndex" => create_index: u64,
        "ModifyIndex" => modify_index: u64,
    }
}

go_body! {
    struct TemplateBody {
        "Type" => kind: String,
        "Regexp" => regexp: String,
        "RemoveEmptyTags" => remove_empty_tags: bool,
    }
}

go_body! {
    struct ServiceQuery {
        "Service" => service: String,
        "SamenessGroup" => sameness_group: String,
        "Failover" => failover: Failover,
        "OnlyPassing" => only_passing: bool,
        "IgnoreCheckIDs" => ignore_check_ids: Option<Vec<String>>,
        "Near" => near: String,
        "Tags" => tags: Option<Vec<String>>,
        "NodeMeta" => node_meta: Option<BTreeMap<String, String>>,
        "ServiceMeta" => service_meta: Option<BTreeMap<String, String>>,
        "Connect" => connect: bool,
        "Peer" => peer: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

go_body! {
    struct Failover {
        "NearestN" => nearest_n: i64,
        "Datacenters" => datacenters: Option<Vec<String>>,
        "Targets" => targets: Option<Vec<FailoverTarget>>,
    }
}

go_body! {
    struct FailoverTarget {
        "Peer" => peer: String,
        "Datacenter" => datacenter: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

go_body! {
    struct QueryDns {
        "TTL" => ttl: String,
    }
}

/// A prepared query as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    token: &'a str,
    template: TemplateOut<'a>,
    service: ServiceQueryOut<'a>,
    #[serde(rename = "DNS")]
    dns: QueryDnsOut<'a>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateOut<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    regexp: &'a str,
    remove_empty_tags: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceQueryOut<'a> {
    service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sameness_group: &'a str,
    failover: FailoverOut<'a>,
    only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    ignore_check_ids: Option<&'a [String]>,
    near: &'a str,
    tags: Option<&'a [String]>,
    node_meta: Option<&'a BTreeMap<String, String>>,
    service_meta: Option<&'a BTreeMap<String, String>>,
    connect: bool,
    peer: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverOut<'a> {
    nearest_n: i64,
    datacenters: Option<&'a [String]>,
    targets: Option<Vec<TargetOut<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetOut<'a> {
    peer: &'a str,
    datacenter: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct QueryDnsOut<'a> {
    #[serde(rename = "TTL")]
    pub(crate) ttl: &'a str,
}

impl FailoverTarget {
    fn out(&self) -> TargetOut<'_> {
        TargetOut { peer: &self.peer, datacenter: &self.datacenter }
    }
}

impl QueryBody {
    pub(crate) fn out(&self) -> QueryOut<'_> {
        let (service, failover) = (&self.service, &self.service.failover);
        QueryOut {
            id: &self.id,
            name: &self.name,
            session: &self.session,
            token: &self.token,
            template: TemplateOut {
                kind: &self.template.kind,
                regexp: &self.template.regexp,
                remove_empty_tags: self.template.remove_empty_tags,
            },
            service: ServiceQueryOut {
                service: &service.service,
                sameness_group: &service.sameness_group,
                failover: FailoverOut {
                    nearest_n: failover.nearest_n,
                    datacenters: failover.datacenters.as_deref(),
                    targets: failover
                        .targets
                        .as_ref()
                        .map(|targets| targets.iter().map(FailoverTarget::out).collect()),
                },
                only_passing: service.only_passing,
                ignore_check_ids: service.ignore_check_ids.as_deref(),
                near: &service.near,
                tags: service.tags.as_deref(),
                node_meta: service.node_meta.as_ref(),
                service_meta: service.service_meta.as_ref(),
                connect: service.connect,
                peer: &service.peer,
            },
            dns: QueryDnsOut { ttl: &self.dns.ttl },
            create_index: self.create_index,
            modify_index: self.modify_index,
        }
    }

    pub(crate) fn is_template(&self) -> bool {
        !self.template.kind.is_empty()
    }
}
