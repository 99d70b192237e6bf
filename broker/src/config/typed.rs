//! From written settings to types: a serde deserializer whose errors know the setting and its place.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::place::{Place, Problem};
use super::suggest::did_you_mean;
use super::tree::{Entry, Node, Value, parse};

/// Reads `T` out of the tree.
pub(super) fn read<T: de::DeserializeOwned>(root: &Node) -> Result<T, Problem> {
    T::deserialize(Typed { node: root, path: String::new() })
        .map_err(|error| error.at("", &root.place).into_problem())
}

/// An error on its way out; the innermost place that it passes is its own.
#[derive(Debug)]
pub(super) struct Error {
    what: What,
    at: Option<(String, Place)>,
}

#[derive(Debug)]
enum What {
    UnknownKey(String, &'static [&'static str]),
    MissingKey(&'static str),
    Value(String),
}

impl Error {
    fn at(mut self, path: &str, place: &Place) -> Self {
        self.at.get_or_insert_with(|| (path.to_owned(), place.clone()));
        self
    }

    fn into_problem(self) -> Problem {
        let (path, place) = self.at.map_or((String::new(), None), |(path, place)| (path, Some(place)));
        let within = if path.is_empty() { String::new() } else { format!(" in {path}") };
        match self.what {
            What::UnknownKey(key, known) => {
                let hint = did_you_mean(&key, known.iter().copied())
                    .map(|near| format!("did you mean {near:?}?"))
                    .unwrap_or_else(|| format!("known are {}", known.join(", ")));
                Problem {
                    place,
                    path: String::new(),
                    message: format!("unknown key {key:?}{within}; {hint}"),
                }
            }
            What::MissingKey(key) => {
                Problem { place, path: String::new(), message: format!("the key {key:?} is missing{within}") }
            }
            What::Value(message) => Problem { place, path, message },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { what: What::Value(message.to_string()), at: None }
    }

    // The value itself is left out: it may be a secret that was written without quotes.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            _ => "keys and values",
        };
        Self::custom(format_args!("expected {expected}, found {found}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("out of range: expected {expected}"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format_args!("{variant:?} is not known; write one of {}", known.join(", ")))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self { what: What::UnknownKey(field.to_owned(), known), at: None }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { what: What::MissingKey(field), at: None }
    }
}

/// A node and the path that led to it.
struct Typed<'a> {
    node: &'a Node,
    path: String,
}

impl Typed<'_> {
    fn wrong(&self, expected: &str) -> Error {
        let (found, hint) = match &self.node.value {
            Value::Null => ("nothing", ""),
            Value::Bool(_) => ("true or false", "; put it in quotes"),
            Value::Integer(_) | Value::Fraction => ("a number", "; put it in quotes"),
            Value::Text(_) | Value::Raw(_) => ("text", ""),
            Value::List(_) => ("a list", ""),
            Value::Map(_) => ("keys and values", ""),
        };
        let hint = if expected == "text" { hint } else { "" };
        de::Error::custom(format_args!("expected {expected}, found {found}{hint}"))
    }

    /// Lists and maps in a variable are YAML.
    fn structured<T>(self, read: impl FnOnce(Typed<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let Value::Raw(text) = &self.node.value else { return read(self) };
        let place = self.node.place.clone();
        match parse(text, &|_, _| place.clone()) {
            Ok(node) => read(Typed { node: &node, path: self.path }),
            Err(problem) => Err(<Error as de::Error>::custom(problem.message)),
        }
    }
}

impl<'de> Deserializer<'de> for Typed<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => Err(self.wrong("a whole number, 0 or more and not so large")),
            },
            Value::Fraction => Err(self.wrong("a whole number")),
            Value::Text(text) | Value::Raw(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Raw(text) => match text.trim() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                other => Err(de::Error::custom(format_args!("expected true or false, found {other:?}"))),
            },
            _ => Err(self.wrong("true or false")),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => {
                    Err(de::Error::custom(format_args!("expected a whole number, 0 or more, found {value}")))
                }
            },
            Value::Raw(text) => match text.trim().parse() {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => {
                    Err(de::Error::custom(format_args!("expected a whole number, 0 or more, found {text:?}")))
                }
            },
            _ => Err(self.wrong("a whole number")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Text(text) | Value::Raw(text) => visitor.visit_str(text),
            _ => Err(self.wrong("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            // A variable that is set to nothing takes an optional setting away.
            Value::Raw(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Text(text) | Value::Raw(text) => visitor.visit_enum(text.trim().into_deserializer()),
            _ => Err(self.wrong("a word")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.structured(|typed| match &typed.node.value {
            Value::List(items) => visitor.visit_seq(Items { items, next: 0, path: typed.path }),
            _ => Err(typed.wrong("a list such as [a, b], or [] for none")),
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.structured(|typed| match &typed.node.value {
            Value::Map(entries) => visitor.visit_map(Entries { entries, next: 0, path: typed.path }),
            // A section whose keys are all commented out.
            Value::Null => visitor.visit_map(Entries { entries: &[], next: 0, path: typed.path }),
            _ => Err(typed.wrong("keys and values")),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
    path: String,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let path = format!("{}[{}]", self.path, self.next);
        self.next += 1;
        let value = seed.deserialize(Typed { node, path: path.clone() });
        value.map(Some).map_err(|error| error.at(&path, &node.place))
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    next: usize,
    path: String,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        key.map(Some).map_err(|error: Error| error.at(&self.path, &entry.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = &self.entries[self.next];
        self.next += 1;
        let path =
            if self.path.is_empty() { entry.key.clone() } else { format!("{}.{}", self.path, entry.key) };
        let value = seed.deserialize(Typed { node: &entry.node, path: path.clone() });
        value.map_err(|error| error.at(&path, &entry.node.place))
    }
}
