//! The words exactly as they are sent, in both dialects. Knows no model.

mod batch;
mod gzip;
mod info;
mod json;
mod name_coder;
mod read;
mod status;
mod tree;
mod xml;

pub(crate) use batch::{
    Action as BatchAction, Item, MOST_ITEMS, Reply, ReplyItem, read_batch, read_replies, write_batch,
    write_replies,
};
pub(crate) use gzip::{TooLarge, pack, unpack};
pub(crate) use info::{ActionType, DataCenter, InstanceInfo, LeaseInfo, PortWord};
pub(crate) use read::{Malformed, applications_from_json, instance_from_json, instance_from_xml};
pub(crate) use status::Status;
pub(crate) use xml::tree as tree_to_xml;

/// How an answer is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form {
    pub(crate) dialect: Dialect,
    /// `X-Eureka-Accept: compact`: without what only few clients read.
    pub(crate) compact: bool,
    /// Version 1 of the API knows three statuses.
    pub(crate) narrow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    Json,
    Xml,
}

impl Form {
    pub(crate) const JSON: Form = Form { dialect: Dialect::Json, compact: false, narrow: false };

    /// Small, different for each form, never 0.
    pub(crate) fn bits(self) -> u64 {
        1 + u64::from(self.dialect == Dialect::Xml) + 2 * u64::from(self.compact) + 4 * u64::from(self.narrow)
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self.dialect {
            Dialect::Json => "application/json",
            Dialect::Xml => "application/xml",
        }
    }

    /// An instance without what stands around it.
    pub(crate) fn bare_instance(self, out: &mut String, info: &InstanceInfo) {
        match self.dialect {
            Dialect::Json => json::instance(out, info, self),
            Dialect::Xml => xml::instance(out, info, self),
        }
    }

    pub(crate) fn instance(self, info: &InstanceInfo) -> String {
        let mut out = String::with_capacity(1024);
        match self.dialect {
            Dialect::Json => {
                out.push_str("{\"instance\":");
                json::instance(&mut out, info, self);
                out.push('}');
            }
            Dialect::Xml => xml::instance(&mut out, info, self),
        }
        out
    }

    /// An application without what stands around it.
    pub(crate) fn bare_application<'a>(
        self,
        name: &str,
        instances: impl Iterator<Item = std::borrow::Cow<'a, InstanceInfo>>,
    ) -> String {
        let mut out = String::with_capacity(1024);
        match self.dialect {
            Dialect::Json => {
                out.push_str("{\"name\":");
                json::text(&mut out, name);
                out.push_str(",\"instance\":[");
                for (i, info) in instances.enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    json::instance(&mut out, &info, self);
                }
                out.push_str("]}");
            }
            Dialect::Xml => {
                out.push_str("<application>");
                xml::element(&mut out, "name", name);
                for info in instances {
                    xml::instance(&mut out, &info, self);
                }
                out.push_str("</application>");
            }
        }
        out
    }

    /// An application by itself.
    pub(crate) fn application(self, bare: &[u8]) -> Vec<u8> {
        match self.dialect {
            Dialect::Json => [b"{\"application\":", bare, b"}"].concat(),
            Dialect::Xml => bare.to_vec(),
        }
    }

    /// Several applications, each of them encoded already.
    pub(crate) fn applications(self, version: u64, hash: &str, bare: &[bytes::Bytes]) -> Vec<u8> {
        let size: usize = bare.iter().map(|one| one.len() + 1).sum();
        let mut out = Vec::with_capacity(size + 128);
        match self.dialect {
            Dialect::Json => {
                out.extend_from_slice(
                    format!("{{\"applications\":{{\"versions__delta\":\"{version}\",\"apps__hashcode\":\"{hash}\",\"application\":[")
                        .as_bytes(),
                );
                for (i, one) in bare.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(one);
                }
                out.extend_from_slice(b"]}}");
            }
            Dialect::Xml => {
                out.extend_from_slice(
                    format!("<applications><versions__delta>{version}</versions__delta><apps__hashcode>{hash}</apps__hashcode>")
                        .as_bytes(),
                );
                bare.iter().for_each(|one| out.extend_from_slice(one));
                out.extend_from_slice(b"</applications>");
            }
        }
        out
    }
}
