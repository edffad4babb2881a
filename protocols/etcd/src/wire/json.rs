//! Messages as JSON. A field that is null is a field that is not there.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Error, Value};

/// The first document in the text, and where it ends. None: there is nothing but space.
pub(crate) fn first<T: DeserializeOwned>(text: &[u8]) -> Option<Result<(T, usize), Error>> {
    let mut documents = Deserializer::from_slice(text).into_iter::<T>();
    let why = match documents.next()? {
        Ok(document) => return Some(Ok((document, documents.byte_offset()))),
        Err(why) if why.is_eof() => return Some(Err(why)),
        Err(why) => why,
    };
    // What is made for numbers takes no null, and of 1.0 and 1e2 it does not see that they are whole; such documents
    // are rare enough to be read twice.
    let mut documents = Deserializer::from_slice(text).into_iter::<Value>();
    Some(match documents.next()? {
        Ok(mut whole) => match mend(&mut whole) {
            true => serde_json::from_value(whole).map(|document| (document, documents.byte_offset())),
            false => Err(why),
        },
        Err(cut_off) if cut_off.is_eof() => Err(cut_off),
        Err(_) => Err(why),
    })
}

/// The text as one document.
pub(crate) fn whole<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let (document, end) = match first(text) {
        Some(found) => found?,
        // No text at all is a request without words.
        None => (serde_json::from_slice(b"{}")?, text.len()),
    };
    let rest = text.get(end..).unwrap_or_default();
    if rest.iter().all(u8::is_ascii_whitespace) {
        return Ok(document);
    }
    // For the place where something else begins.
    serde_json::from_slice(text)
}

/// Whether there was anything to mend.
fn mend(value: &mut Value) -> bool {
    let mut mended = false;
    match value {
        Value::Object(fields) => {
            let all = fields.len();
            fields.retain(|_, field| !field.is_null());
            mended = fields.len() < all;
            fields.values_mut().for_each(|field| mended |= mend(field));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| mended |= mend(element)),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|it| number.is_f64() && it.fract() == 0.0);
            if let Some(whole) = whole.and_then(|it| format!("{it:.0}").parse::<i64>().ok()) {
                *number = whole.into();
                mended = true;
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::etcdserverpb::{PutRequest, RangeRequest, TxnRequest};

    #[test]
    fn a_field_that_is_null_is_not_there() {
        let put: PutRequest = whole(br#"{"key":"a2V5","lease":null,"prev_kv":null,"value":null}"#).unwrap();
        assert_eq!(put, PutRequest { key: "key".into(), ..PutRequest::default() });
        let txn: TxnRequest =
            whole(br#"{"success":[{"request_put":{"key":"a2V5","lease":null}}],"compare":[]}"#).unwrap();
        assert_eq!(txn.success.len(), 1);
        assert!(whole::<TxnRequest>(br#"{"success":[null]}"#).is_err());
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, limit) in
            [("1.0", 1), ("1e2", 100), ("-3", -3), ("\"7\"", 7), ("9e15", 9_000_000_000_000_000)]
        {
            let range: RangeRequest = whole(format!(r#"{{"limit":{text}}}"#).as_bytes()).unwrap();
            assert_eq!(range.limit, limit);
        }
        for text in ["1.5", "1e40", "\"x\"", "99999999999999999999"] {
            assert!(whole::<RangeRequest>(format!(r#"{{"limit":{text}}}"#).as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn documents_follow_each_other_and_may_be_cut_off() {
        let text = br#" {"key":"a2V5","lease":null} {"key":"#;
        let (put, end) = first::<PutRequest>(text).unwrap().unwrap();
        assert_eq!(&put.key[..], b"key");
        assert!(first::<PutRequest>(&text[end..]).unwrap().unwrap_err().is_eof());
        assert!(first::<PutRequest>(br#"{"lease":null,"#).unwrap().unwrap_err().is_eof());
        assert!(first::<PutRequest>(b"  ").is_none());
        assert!(whole::<PutRequest>(b"  ").is_ok());
        assert!(whole::<PutRequest>(b"{} {}").is_err());
    }
}
