//! What can be selected in an element.

/// The type of a selectable value.
#[derive(Debug)]
pub(crate) enum Shape {
    Bool,
    /// A signed integer of 64 bits.
    Int,
    Uint {
        bits: u32,
    },
    Text,
    /// An IP address: text in JSON, but to the language a list of bytes.
    Address,
    List(&'static Shape),
    /// A map with text for keys.
    Map(&'static Shape),
    /// The selectable fields. A field that JSON has and this has not cannot be selected.
    Struct(&'static [(&'static str, Shape)]),
    /// An element whose expression is held against its shape only when the first element is asked.
    Unchecked(&'static Shape),
}

/// The bytes of an [`Shape::Address`].
pub(super) const BYTE: Shape = Shape::Uint { bits: 8 };

impl Shape {
    /// A value that can be compared, as opposed to one that holds others.
    pub(super) fn is_primitive(&self) -> bool {
        match self {
            Shape::Bool | Shape::Int | Shape::Uint { .. } | Shape::Text => true,
            Shape::Address | Shape::List(_) | Shape::Map(_) | Shape::Struct(_) | Shape::Unchecked(_) => false,
        }
    }

    /// What a selector reaches from here with one more name. A list is looked through: its items are meant, any of them.
    pub(super) fn part(&self, name: &[u8]) -> Option<&'static Shape> {
        match self {
            Shape::Struct(fields) => {
                fields.iter().find(|(field, _)| field.as_bytes() == name).map(|(_, shape)| shape)
            }
            Shape::Map(value) => Some(value),
            Shape::List(item) | Shape::Unchecked(item) => item.part(name),
            Shape::Bool | Shape::Int | Shape::Uint { .. } | Shape::Text | Shape::Address => None,
        }
    }
}
