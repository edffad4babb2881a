//! XML as the tree that the same words in JSON would be: an element with attributes or children is an object, attributes
//! begin with `@`, the text beside attributes is `$`, an element that comes twice is an array.
//!
//! No document type is read, no entity is expanded but the five that XML has of its own, and depth is bounded.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::name_coder::unescape_name;
use super::read::{Malformed, malformed, shortened};

const DEEPEST: usize = 16;
/// Of one element: each is compared with all before it.
const MOST_ATTRIBUTES: usize = 16;

struct Frame {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// The name of the outermost element, and what is in it.
pub(super) fn parse(bytes: &[u8]) -> Result<(String, Value), Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the body is not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().check_comments = true;
    let mut open: Vec<Frame> = Vec::new();
    let mut whole: Option<(String, Value)> = None;
    loop {
        let event =
            reader.read_event().map_err(|error| malformed(format!("the body is not XML: {error}")))?;
        match event {
            Event::Start(_) | Event::Empty(_) if open.is_empty() && whole.is_some() => {
                return Err(malformed("there is more than one outermost element"));
            }
            Event::Start(start) => {
                if open.len() >= DEEPEST {
                    return Err(malformed(format!("elements are nested deeper than {DEEPEST}")));
                }
                open.push(frame(&start)?);
            }
            Event::Empty(start) => close(frame(&start)?, &mut open, &mut whole),
            Event::End(_) => {
                if let Some(frame) = open.pop() {
                    close(frame, &mut open, &mut whole);
                }
            }
            Event::Text(text) => {
                said(&mut open, &text.xml_content(XmlVersion::Implicit1_0))?;
            }
            Event::CData(text) => {
                said(&mut open, &text.xml_content(XmlVersion::Implicit1_0))?;
            }
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| malformed(error.to_string()))?;
                let name: &str = &reference;
                match (character, resolve_predefined_entity(name)) {
                    (Some(c), _) => said(&mut open, c.encode_utf8(&mut [0; 4]))?,
                    (None, Some(text)) => said(&mut open, text)?,
                    (None, None) => {
                        return Err(malformed(format!("entity {:?} is not known here", shortened(name))));
                    }
                }
            }
            Event::Decl(declaration) => match declaration.encoding() {
                Some(Ok(encoding)) if !is_utf8(&encoding) => {
                    return Err(malformed("only UTF-8 is read here"));
                }
                Some(Err(error)) => return Err(malformed(error.to_string())),
                _ => {}
            },
            Event::DocType(_) => return Err(malformed("a document type is not read here")),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(frame) = open.pop() {
        return Err(malformed(format!("<{}> is not closed", shortened(&frame.name))));
    }
    whole.ok_or_else(|| malformed("the body holds no element"))
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

fn frame(start: &BytesStart<'_>) -> Result<Frame, Malformed> {
    let name = start.name();
    let mut members = Map::new();
    for (place, attribute) in start.attributes().enumerate() {
        if place >= MOST_ATTRIBUTES {
            return Err(malformed(format!("an element has more than {MOST_ATTRIBUTES} attributes")));
        }
        let attribute = attribute.map_err(|error| malformed(format!("the body is not XML: {error}")))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| malformed(format!("the body is not XML: {error}")))?;
        members.insert(format!("@{}", attribute.key.as_ref()), Value::String(value.into_owned()));
    }
    Ok(Frame { name: unescape_name(name.as_ref()), members, text: String::new() })
}

fn said(open: &mut [Frame], text: &str) -> Result<(), Malformed> {
    match open.last_mut() {
        Some(frame) => frame.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("there is text outside of the outermost element")),
    }
    Ok(())
}

fn close(frame: Frame, open: &mut [Frame], whole: &mut Option<(String, Value)>) {
    let Frame { name, mut members, text } = frame;
    let value = if members.is_empty() {
        Value::String(text)
    } else {
        if !text.trim().is_empty() {
            members.insert("$".into(), Value::String(text));
        }
        Value::Object(members)
    };
    let Some(outer) = open.last_mut() else {
        *whole = Some((name, value));
        return;
    };
    match outer.members.get_mut(&name) {
        None => {
            outer.members.insert(name, value);
        }
        Some(Value::Array(several)) => several.push(value),
        Some(first) => {
            let first = first.take();
            outer.members.insert(name, Value::Array(vec![first, value]));
        }
    }
}
