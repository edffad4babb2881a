//! Metadata, by Consul's rules and in its words.

use std::collections::BTreeMap;

const MOST: usize = 64;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 512;

/// `reserved` begins keys that only Consul itself may write.
pub(super) fn check_meta(meta: &BTreeMap<String, String>, reserved: Option<&str>) -> Result<(), String> {
    if meta.len() > MOST {
        return Err(format!("it cannot contain more than {MOST} key/value pairs"));
    }
    for (key, value) in meta {
        let refuse = |why: &str| Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {why}"));
        if key.is_empty() {
            return refuse("Key cannot be blank");
        }
        if key.chars().any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return refuse("Key contains invalid characters");
        }
        if let Some(reserved) = reserved.filter(|reserved| key.starts_with(reserved)) {
            return refuse(&format!("Key prefix '{reserved}' is reserved for internal use"));
        }
        if key.len() > LONGEST_KEY || value.len() > LONGEST_VALUE {
            return Err(format!(
                "Couldn't load metadata pair ('{key}', ...): key or value is too long \
                 (limits: {LONGEST_KEY} and {LONGEST_VALUE} characters)"
            ));
        }
    }
    Ok(())
}
