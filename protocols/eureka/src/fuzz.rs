//! Any bytes whatsoever, to everything that reads them. `CONTRIBUTING.md` says how to let these run for a night; what was
//! found is kept in `__fuzz__` and tried again in every run of the tests.

use bolero::check;
use switchboard_model::Name;

use crate::lens::{Given, instance_from_wire};
use crate::routes;
use crate::wire::{
    Dialect, Form, InstanceInfo, applications_from_json, instance_from_json, instance_from_xml, read_batch,
    read_replies, unpack, write_batch,
};

const XML: Form = Form { dialect: Dialect::Xml, compact: false, narrow: false };

fn given(info: InstanceInfo) -> Option<Given> {
    let app = info.app.clone().unwrap_or_default();
    instance_from_wire(&Name::default_namespace(), &app, info).ok()
}

/// What was taken is said in both dialects so that it is taken again, and is the same.
#[track_caller]
fn comes_back(info: &InstanceInfo) {
    let Some(taken) = given(info.clone()) else { return };
    let (json, xml) = (Form::JSON.instance(info), XML.instance(info));
    let again = instance_from_json(json.as_bytes()).map(given);
    assert_eq!(again, Ok(Some(taken.clone())), "{json}");
    assert_eq!(instance_from_xml(xml.as_bytes()).map(given), Ok(Some(taken)), "{xml}");
}

#[test]
fn json() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(info) = instance_from_json(bytes) {
            comes_back(&info);
        }
        let _ = applications_from_json(bytes);
    });
}

#[test]
fn xml() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(info) = instance_from_xml(bytes) {
            comes_back(&info);
        }
    });
}

#[test]
fn batch() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(items) = read_batch(bytes) {
            let whole: Vec<_> = items.into_iter().flatten().collect();
            let again = read_batch(write_batch(&whole).as_bytes()).map(|items| items.len());
            assert_eq!(again, Ok(whole.len()));
        }
        let _ = read_replies(bytes);
    });
}

#[test]
fn packed() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(Ok(plain)) = unpack(bytes, 65_536) {
            assert!(plain.len() <= 65_536);
        }
    });
}

#[test]
fn path() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = routes::find(text);
        }
    });
}
