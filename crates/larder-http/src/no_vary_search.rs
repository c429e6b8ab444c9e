//! What of the query an answer does not depend on: `No-Vary-Search`
//! (draft-ietf-httpbis-no-vary-search).

use std::borrow::Cow;

use http::header::HeaderName;
use larder_core::KeyWriter;
use percent_encoding::percent_decode;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::fields::Fields;
use crate::key;

const NAME: HeaderName = HeaderName::from_static("no-vary-search");

/// The longest field that is read. A longer one says nothing.
const LONGEST: usize = 8192;

/// What of the query an answer depends on, as its field `No-Vary-Search` says. One that is malformed, or
/// that contradicts itself, says nothing: the answer depends on the whole query.
///
/// ```
/// use larder_http::NoVarySearch;
///
/// let read = |value| NoVarySearch::read([("no-vary-search", value)].as_slice());
/// let tracked = read("params=(\"utm_source\"), key-order");
/// assert!(tracked.same(Some(b"a=1&b=2&utm_source=x"), Some(b"b=2&%61=1")));
/// assert!(!tracked.same(Some(b"a=1"), Some(b"a=2")));
/// assert!(read("params=(\"a\"), except=(\"b\")").is_nothing());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoVarySearch {
    params: Params,
    any_order: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Params {
    /// All but these.
    AllBut(Vec<String>),
    /// These and no others.
    Only(Vec<String>),
}

impl Default for Params {
    fn default() -> Self {
        Self::AllBut(Vec::new())
    }
}

impl NoVarySearch {
    /// Reads the field of an answer.
    pub fn read(answer: &(impl Fields + ?Sized)) -> Self {
        let mut text = Vec::new();
        answer.each(&NAME, &mut |line| {
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(line);
        });
        if text.is_empty() || text.len() > LONGEST {
            return Self::default();
        }
        let parsed = Parser::new(&text).parse::<Dictionary>().ok();
        parsed
            .and_then(|fields| variance(&fields))
            .unwrap_or_default()
    }

    /// Whether it says nothing: the answer depends on the whole query, as it stands.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Writes the part of a key that says which queries get the same answer: what this field says, and
    /// what of the query it leaves. Two answers that say different things never share a key. Where it
    /// says nothing, this is [`key::query`].
    pub fn write_key(&self, writer: &mut KeyWriter, query: Option<&[u8]>) {
        if self.is_nothing() {
            key::query(writer, query);
            return;
        }
        let (mark, names) = match &self.params {
            Params::AllBut(names) => ("all-but", names),
            Params::Only(names) => ("only", names),
        };
        let order = if self.any_order { "any" } else { "kept" };
        writer.object("no-vary-search").tuple(4);
        writer.text(mark).list(names.len());
        for name in names {
            writer.text(name);
        }
        writer.text(order);
        let left = self.left_of(query);
        writer.list(left.len());
        for (name, value) in &left {
            writer.tuple(2).text(name).text(value);
        }
    }

    /// Whether the answer to one query is the answer to the other, on the same path.
    pub fn same(&self, one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
        if self.is_nothing() {
            return one == other;
        }
        self.left_of(one) == self.left_of(other)
    }

    /// The parameters that matter, as a reader of forms sees them.
    fn left_of<'a>(&self, query: Option<&'a [u8]>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        let matters = |name: &str| match &self.params {
            Params::AllBut(names) => !names.iter().any(|known| known == name),
            Params::Only(names) => names.iter().any(|known| known == name),
        };
        let mut left: Vec<_> = form_urlencoded::parse(query.unwrap_or_default())
            .filter(|(name, _)| matters(name))
            .collect();
        if self.any_order {
            left.sort_by(|one, other| one.0.cmp(&other.0));
        }
        left
    }
}

/// The draft's algorithm "parse a URL search variance"; `None` where it falls back to the default.
fn variance(fields: &Dictionary) -> Option<NoVarySearch> {
    let mut said = NoVarySearch::default();
    if let Some(entry) = fields.get("key-order") {
        said.any_order = boolean(entry)?;
    }
    let all = match fields.get("params") {
        Some(entry) => match boolean(entry) {
            Some(all) => all,
            None => {
                said.params = Params::AllBut(names(entry)?);
                false
            }
        },
        None => false,
    };
    match (fields.get("except"), all) {
        (Some(entry), true) => said.params = Params::Only(names(entry)?),
        (Some(_), false) => return None,
        (None, true) => said.params = Params::Only(Vec::new()),
        (None, false) => {}
    }
    Some(said)
}

fn boolean(entry: &ListEntry) -> Option<bool> {
    match entry {
        ListEntry::Item(item) => item.bare_item.as_boolean(),
        ListEntry::InnerList(_) => None,
    }
}

/// Names of parameters, decoded; sorted and each once, so that one meaning has one key.
fn names(entry: &ListEntry) -> Option<Vec<String>> {
    let ListEntry::InnerList(list) = entry else {
        return None;
    };
    let name = |item: &sfv::Item| match &item.bare_item {
        BareItem::String(text) => Some(decoded(text.as_str())),
        _ => None,
    };
    let mut names = list.items.iter().map(name).collect::<Option<Vec<_>>>()?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// The draft's algorithm "parse a key".
fn decoded(name: &str) -> String {
    let spaced = name.replace('+', " ");
    let bytes: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
