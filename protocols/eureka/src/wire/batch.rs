//! What servers tell each other, many things at once. JSON only, and without names around it.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::{Map, Value, json};

use super::read::{Field, instance, malformed, parse, several, shortened, unreadable};
use super::{Form, InstanceInfo, Malformed, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    Register,
    Heartbeat,
    Cancel,
    StatusUpdate,
    DeleteStatusOverride,
}

impl Action {
    const ALL: [Action; 5] = [
        Action::Register,
        Action::Heartbeat,
        Action::Cancel,
        Action::StatusUpdate,
        Action::DeleteStatusOverride,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Action::Register => "Register",
            Action::Heartbeat => "Heartbeat",
            Action::Cancel => "Cancel",
            Action::StatusUpdate => "StatusUpdate",
            Action::DeleteStatusOverride => "DeleteStatusOverride",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) action: Action,
    pub(crate) app: String,
    pub(crate) id: String,
    pub(crate) dirty: Option<u64>,
    pub(crate) status: Option<Status>,
    pub(crate) overridden: Option<Status>,
    /// Only with `Register`.
    pub(crate) info: Option<Box<InstanceInfo>>,
}

/// What an item came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) info: Option<Box<InstanceInfo>>,
}

pub(crate) type ReplyItem = Reply;

/// Real servers send 250 at most.
pub(crate) const MOST_ITEMS: usize = 10_000;

/// The items, each of them read or not: one that is broken spoils no other. Of too many, one too many.
pub(crate) fn read_batch(bytes: &[u8]) -> Result<Vec<Result<Item, Malformed>>, Malformed> {
    let batch: Batch = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    batch.items.map(|items| items.0).ok_or_else(|| malformed("there is no `replicationList`"))
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "replicationList", default, deserialize_with = "there")]
    items: Option<Items>,
}

/// Said, if only as null.
fn there<'de, D: Deserializer<'de>>(list: D) -> Result<Option<Items>, D::Error> {
    Items::deserialize(list).map(Some)
}

/// Each is made what it is as soon as it is read, so that a batch is never in memory as the tree that it came as.
struct Items(Vec<Result<Item, Malformed>>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(list: D) -> Result<Items, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Items;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of what happened")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while items.len() <= MOST_ITEMS
                    && let Some(value) = list.next_element::<Value>()?
                {
                    items.push(item(&value));
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Items(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Items, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(one)).map(|one| Items(vec![item(&one)]))
            }

            fn visit_unit<E>(self) -> Result<Items, E> {
                Ok(Items(Vec::new()))
            }
        }

        list.deserialize_any(Reading)
    }
}

fn item(value: &Value) -> Result<Item, Malformed> {
    let Value::Object(members) = value else { return Err(malformed("an item is no object")) };
    let field = Field(members);
    let word = field.text("action")?.unwrap_or_default();
    let action = Action::ALL
        .into_iter()
        .find(|action| action.as_str() == word)
        .ok_or_else(|| malformed(format!("{:?} is no action", shortened(&word))))?;
    let info = match members.get("instanceInfo") {
        None | Some(Value::Null) => None,
        Some(info) => Some(Box::new(instance(info)?)),
    };
    let status = |name| Ok(field.text(name)?.map(|word| Status::read(&word)));
    Ok(Item {
        action,
        app: field.text("appName")?.ok_or_else(|| malformed("appName is missing"))?,
        id: field.text("id")?.ok_or_else(|| malformed("id is missing"))?,
        dirty: field.number("lastDirtyTimestamp")?,
        status: status("status")?,
        overridden: status("overriddenStatus")?,
        info,
    })
}

pub(crate) fn write_batch(items: &[Item]) -> String {
    list(
        "replicationList",
        items.iter().map(|item| {
            let mut members = Map::new();
            members.insert("appName".into(), json!(item.app));
            members.insert("id".into(), json!(item.id));
            members.insert("lastDirtyTimestamp".into(), json!(item.dirty));
            members.insert("overriddenStatus".into(), json!(item.overridden.map(Status::as_str)));
            members.insert("status".into(), json!(item.status.map(Status::as_str)));
            members.insert("action".into(), json!(item.action.as_str()));
            (members, "instanceInfo", item.info.as_deref())
        }),
    )
}

pub(crate) fn read_replies(bytes: &[u8]) -> Result<Vec<Reply>, Malformed> {
    let value = parse(bytes)?;
    let list = value.get("responseList").ok_or_else(|| malformed("there is no `responseList`"))?;
    several(list)
        .iter()
        .map(|value| {
            let Value::Object(members) = value else { return Err(malformed("an item is no object")) };
            let info = match members.get("responseEntity") {
                Some(info @ Value::Object(_)) => Some(Box::new(instance(info)?)),
                _ => None,
            };
            Ok(Reply { status: Field(members).number("statusCode")?.unwrap_or(0), info })
        })
        .collect()
}

pub(crate) fn write_replies(replies: &[Reply]) -> String {
    list(
        "responseList",
        replies.iter().map(|reply| {
            let mut members = Map::new();
            members.insert("statusCode".into(), json!(reply.status));
            (members, "responseEntity", reply.info.as_deref())
        }),
    )
}

/// `{"name":[{...members, "inner": instance},...]}`
fn list<'a>(
    name: &str,
    items: impl Iterator<Item = (Map<String, Value>, &'static str, Option<&'a InstanceInfo>)>,
) -> String {
    let mut out = format!("{{\"{name}\":[");
    for (i, (members, inner, info)) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        let object = Value::Object(members).to_string();
        match info {
            None => out.push_str(&object),
            Some(info) => {
                out.push_str(object.strip_suffix('}').unwrap_or(&object));
                out.push_str(&format!(",\"{inner}\":"));
                Form::JSON.bare_instance(&mut out, info);
                out.push('}');
            }
        }
    }
    out.push_str("]}");
    out
}
