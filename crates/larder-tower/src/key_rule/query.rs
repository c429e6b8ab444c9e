//! Which parameters of the query make a difference.

use http::request::Parts;
use larder_core::KeyWriter;
use larder_http::{NoVarySearch, key};

#[derive(Clone, Debug)]
pub(super) enum Query {
    All,
    /// As it stands there, to the byte.
    Exact,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Query {
    /// Writes what matters of the query of a request; `search` is what answers have said of it.
    pub(super) fn write(
        &self,
        request: &Parts,
        search: Option<&NoVarySearch>,
        variant: &mut KeyWriter,
    ) {
        let query = request.uri.query().map(str::as_bytes);
        match self {
            Self::All => match search {
                Some(said) => said.write_key(variant, query),
                None => key::query(variant, query),
            },
            Self::Exact => drop(match query {
                Some(query) => variant.bytes(query),
                None => variant.none(),
            }),
            Self::Only(names) => key::query_only(variant, query, names),
            Self::Except(names) => key::query_except(variant, query, names),
        }
    }
}
