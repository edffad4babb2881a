/// A JSON body as Go decodes it: keys compare without case, `null` leaves a field as it is, a key given twice counts
/// last, and an unknown key is an error, unless the body is `lenient`. What stands after `or` is a second spelling that gives way to the first.
///
/// `struct A of B` is what one endpoint takes of a B that several endpoints share.
macro_rules! go_body {
    ($(#[$meta:meta])* struct $name:ident of $body:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name(pub(crate) $body);

        go_body! { @ refuse $name, $body, $name { $($fields)* } }
    };
    ($(#[$meta:meta])* struct $name:ident { $($go:literal $(or $alias:literal)* => $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name { $(pub(crate) $field: $ty,)* }

        go_body! { @ refuse $name, $name, std::convert::identity { $($go $(or $alias)* => $field,)* } }
    };
    ($(#[$meta:meta])* lenient struct $name:ident { $($go:literal $(or $alias:literal)* => $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name { $(pub(crate) $field: $ty,)* }

        go_body! { @ skip $name, $name, std::convert::identity { $($go $(or $alias)* => $field,)* } }
    };
    (@ $unknown:ident $name:ident, $body:ident, $made:path { $($go:literal $(or $alias:literal)* => $field:ident,)* }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(decoder: D) -> Result<$name, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut body = $body::default();
                        let mut first_spelling: Vec<&'static str> = Vec::new();
                        while let Some(key) = map.next_key::<String>()? {
                            $(
                                if key.eq_ignore_ascii_case($go) {
                                    if let Some(value) = map.next_value::<Option<_>>()? {
                                        body.$field = value;
                                        first_spelling.push($go);
                                    }
                                    continue;
                                }
                                $(
                                    if key.eq_ignore_ascii_case($alias) {
                                        if let Some(value) = map.next_value::<Option<_>>()?
                                            && !first_spelling.contains(&$go)
                                        {
                                            body.$field = value;
                                        }
                                        continue;
                                    }
                                )*
                            )*
                            go_body! { @@ $unknown map, key }
                        }
                        Ok($made(body))
                    }
                }
                decoder.deserialize_map(Fields)
            }
        }
    };
    (@@ refuse $map:ident, $key:ident) => {
        return Err(serde::de::Error::custom(format_args!("json: unknown field {:?}", $key)));
    };
    (@@ skip $map:ident, $key:ident) => {
        $map.next_value::<serde::de::IgnoredAny>()?;
    };
}
