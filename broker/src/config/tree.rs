//! The settings as they were written, each with its place, before they have types.
//!
//! File and environment are joined here, so that every later error can name the line or the variable.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::place::{Place, Problem};

/// How deep settings may be nested; none is half as deep. What is written deeper would overflow the stack.
pub(super) const DEEPEST: usize = 20;

/// Says that something is deeper.
pub(super) fn too_deep() -> String {
    format!("nested deeper than {DEEPEST}; no setting is")
}

/// A written value and its place. Has no `Debug`: it may hold a secret.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What was written.
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Fraction,
    Text(String),
    /// The text of an environment variable: its meaning depends on the setting's type.
    Raw(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map, and its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Parses YAML; `place` turns a line and a column into a place.
pub(super) fn parse(text: &str, place: &dyn Fn(u64, u64) -> Place) -> Result<Node, Problem> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        // Each level takes some of the stack, and more in a debug build.
        budget: serde_yaml::budget! { max_depth: DEEPEST, flow_nesting_limit: DEEPEST },
    };
    match serde_yaml::from_str_with_options::<Spanned<Yaml>>(text, options) {
        Ok(yaml) => Ok(yaml.value.place_at(place(yaml.referenced.line(), yaml.referenced.column()), place)),
        Err(error) => {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            Err(Problem { place: Some(place(line, column)), path: String::new(), message: explain(&error) })
        }
    }
}

/// The place function of a file.
pub(super) fn in_file(file: &str) -> impl Fn(u64, u64) -> Place {
    let file: Arc<str> = file.into();
    move |line, column| Place::File { file: Arc::clone(&file), line, column }
}

/// Says a YAML error in the words of this program, without the library's own advice and without values.
fn explain(error: &serde_yaml::Error) -> String {
    use serde_yaml::Error as E;
    match error {
        E::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {key:?} is written twice; keep one")
        }
        E::DuplicateMappingKey { key: None, .. } => "a key is written twice; keep one".into(),
        E::MultipleDocuments { .. } => "a second document starts here; keep one and remove the `---`".into(),
        E::NonFiniteFloat { .. } => "this number is not finite; no setting takes it".into(),
        other => {
            let text = other.to_string();
            if text.contains("budget breached: Depth") || text.contains("recursion limit exceeded") {
                return too_deep();
            }
            let end = text.rfind(" at line ").unwrap_or(text.len());
            format!("not valid YAML: {}", &text[..end])
        }
    }
}

impl Node {
    fn empty(place: Place) -> Self {
        Self { value: Value::Map(Vec::new()), place }
    }

    /// The node at a path of plain keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == *first)?.node.get(rest)
    }

    /// Writes `node` at `path`, creating maps on the way; what already stands there is replaced.
    ///
    /// A path that leads through something without keys is an error.
    pub(super) fn set(&mut self, path: &[&str], node: Node) -> Result<(), Problem> {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return Ok(());
        };
        if let Value::Raw(text) = &self.value {
            // A whole section came from one variable, and now one of its keys from another.
            let place = self.place.clone();
            *self = parse(text, &|_, _| place.clone())?;
        }
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else {
            let message =
                format!("sets the key {first:?} of a setting that has no keys (written at {})", self.place);
            return Err(Problem { place: Some(node.place), path: String::new(), message });
        };
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *first) {
            if rest.is_empty() {
                entry.place = node.place.clone();
            }
            return entry.node.set(rest, node);
        }
        let place = node.place.clone();
        let mut child = Node::empty(place.clone());
        child.set(rest, node)?;
        entries.push(Entry { key: (*first).to_owned(), place, node: child });
        Ok(())
    }

    /// The place of the setting `path` (such as `channels.namespaces[1].name`) or of the nearest thing around
    /// it; `None` when nothing of it was written.
    pub(super) fn place_of(&self, path: &str) -> Option<Place> {
        let mut node = self;
        let mut place = None;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::List(items), Some(index)) => index.parse().ok().and_then(|i: usize| items.get(i)),
                (Value::Map(entries), _) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| &entry.node)
                }
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
            place = Some(node.place.clone());
        }
        place
    }
}

/// YAML as the parser gives it: positions are in the `Spanned` around each value.
enum Yaml {
    Null,
    Bool(bool),
    Integer(i128),
    Fraction,
    Text(String),
    List(Vec<Spanned<Yaml>>),
    Map(Vec<(Spanned<String>, Spanned<Yaml>)>),
}

impl Yaml {
    fn place_at(self, at: Place, place: &dyn Fn(u64, u64) -> Place) -> Node {
        let here = |span: serde_yaml::Location| place(span.line(), span.column());
        let value = match self {
            Yaml::Null => Value::Null,
            Yaml::Bool(b) => Value::Bool(b),
            Yaml::Integer(i) => Value::Integer(i),
            Yaml::Fraction => Value::Fraction,
            Yaml::Text(text) => Value::Text(text),
            Yaml::List(items) => Value::List(
                items.into_iter().map(|item| item.value.place_at(here(item.referenced), place)).collect(),
            ),
            Yaml::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        place: here(key.referenced),
                        key: key.value,
                        node: value.value.place_at(here(value.referenced), place),
                    })
                    .collect(),
            ),
        };
        Node { value, place: at }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Yaml, E> {
        Ok(i128::try_from(value).map_or(Yaml::Fraction, Yaml::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
        // No setting takes a fraction, so its value is of no use.
        Ok(Yaml::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Yaml::Map(map))
    }
}
