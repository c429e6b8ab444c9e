//! The query, sorted.

use std::borrow::Cow;

use larder_core::KeyWriter;
use percent_encoding::percent_decode;

/// The whole query: its pairs sorted by name, those of one name in their order. Percent-encoding is
/// left as it is: that makes more entries of what is one page, never one entry of two pages. No query
/// and an empty query are two (RFC 3986 section 6.2.3).
pub fn query(writer: &mut KeyWriter, query: Option<&[u8]>) {
    match query {
        // One pair has no order to be brought into, and its name need not be read. So are most queries.
        Some(pair) if !pair.is_empty() && !pair.contains(&b'&') => {
            writer.list(1).bytes(pair);
        }
        _ => write(writer, query, &|_| true),
    }
}

/// The parameters with one of these names, as they stand in the query. Names are compared decoded,
/// since `%70age=2` is page 2 to whoever reads it.
pub fn query_only(writer: &mut KeyWriter, query: Option<&[u8]>, names: &[impl AsRef<[u8]>]) {
    write(writer, query.or(Some(b"")), &|name| has(names, name));
}

/// All parameters but those with one of these names.
pub fn query_except(writer: &mut KeyWriter, query: Option<&[u8]>, names: &[impl AsRef<[u8]>]) {
    write(writer, query.or(Some(b"")), &|name| !has(names, name));
}

/// The query as a key by [`query`] holds it: whoever sees only this cannot depend on anything else of
/// it. The other functions of this kind are to [`query_only`] and [`query_except`] the same.
///
/// ```
/// use larder_http::key;
///
/// assert_eq!(key::held_query(Some(b"b=2&a=1")), Some(b"a=1&b=2".to_vec()));
/// let named = key::held_query_only(Some(b"page=2&utm_source=x"), &["page"]);
/// assert_eq!(named, Some(b"page=2".to_vec()));
/// assert_eq!(key::held_query_except(Some(b"utm_source=x"), &["utm_source"]), None);
/// ```
pub fn held_query(query: Option<&[u8]>) -> Option<Vec<u8>> {
    query.map(|query| joined(&held(query, &|_| true)))
}

/// The parameters with one of these names, as a query. None at all and an empty one are the same here,
/// as they are in the key.
pub fn held_query_only(query: Option<&[u8]>, names: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
    let pairs = held(query?, &|name| has(names, name));
    (!pairs.is_empty()).then(|| joined(&pairs))
}

/// All parameters but those with one of these names, as a query.
pub fn held_query_except(query: Option<&[u8]>, names: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
    let pairs = held(query?, &|name| !has(names, name));
    let written = joined(&pairs);
    (!written.is_empty()).then_some(written)
}

fn joined(pairs: &[Pair<'_>]) -> Vec<u8> {
    let pairs: Vec<&[u8]> = pairs.iter().map(|(_, pair)| *pair).collect();
    pairs.join(&b'&')
}

fn has(names: &[impl AsRef<[u8]>], name: &[u8]) -> bool {
    names.iter().any(|wanted| wanted.as_ref() == name)
}

/// The name of a pair as a form parser reads it.
fn name(pair: &[u8]) -> Cow<'_, [u8]> {
    let end = pair.iter().position(|&byte| byte == b'=');
    let name = &pair[..end.unwrap_or(pair.len())];
    if !name.iter().any(|byte| b"%+".contains(byte)) {
        return Cow::Borrowed(name);
    }
    let spaced: Vec<u8> = name
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

fn write(writer: &mut KeyWriter, query: Option<&[u8]>, wanted: &dyn Fn(&[u8]) -> bool) {
    let Some(query) = query else {
        writer.none();
        return;
    };
    if query.is_empty() {
        writer.list(0);
        return;
    }
    if !query.contains(&b'&') {
        let one = wanted(&name(query));
        writer.list(usize::from(one));
        if one {
            writer.bytes(query);
        }
        return;
    }
    let pairs = held(query, wanted);
    writer.list(pairs.len());
    for (_, pair) in pairs {
        writer.bytes(pair);
    }
}

/// A pair of a query, and its name decoded.
type Pair<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// The pairs that are wanted, in the order in which a key has them.
fn held<'a>(query: &'a [u8], wanted: &dyn Fn(&[u8]) -> bool) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = query
        .split(|&byte| byte == b'&')
        .map(|pair| (name(pair), pair))
        .filter(|(name, _)| wanted(name))
        .collect();
    // By decoded name, and stable: `a=1&%61=2` and `%61=2&a=1` differ in which value comes first.
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    pairs
}
