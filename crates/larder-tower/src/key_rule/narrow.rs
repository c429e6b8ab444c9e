//! A request cut down to its key: what is not in the key, the handler does not see.

use http::header::{self, AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri, Version};
use larder_http::key;

use super::{Held, KeyRule, Part, Query};

/// What says how to read the body of a request, where that is in the key.
static OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

impl KeyRule {
    /// Shows the service behind the cache only what the key holds: no other header, cookie or parameter
    /// of the query, so that no answer can depend on one by mistake.
    ///
    /// What is left of a request that the cache is asked about: the method, the path, `Host` in lower
    /// case, the headers that the rule names, the cookies that it names, and the parameters that it names, sorted
    /// as in the key. With [`any_host`](Self::any_host) the host goes too. Where
    /// [`user`](Self::user) knows who asks, `Authorization` and `Cookie` stay as they are, for they
    /// say so to the handler as well. The version reads HTTP/1.1. What else [`value`](Self::value) was
    /// computed from is to be named besides. Requests that are left alone (other methods, those with
    /// credentials that the key does not hold) are not cut.
    ///
    /// Extensions stay, because nobody can tell what is among them: what a middleware around the
    /// cache puts there, the address of the client too, is to be named by `value` where an answer
    /// depends on it.
    ///
    /// ```
    /// use larder_tower::KeyRule;
    ///
    /// // The handler sees neither `utm_source` nor any cookie but this one.
    /// let rule = KeyRule::new().query_only(["page"]).cookie("theme").narrow();
    /// ```
    #[must_use]
    pub fn narrow(mut self) -> Self {
        self.narrow = true;
        self
    }

    /// Cuts a request down to what its key holds, if the rule says so.
    pub(crate) fn cut(&self, request: &mut Parts, held: Held) {
        if !self.narrow {
            return;
        }
        request.headers = self.held_headers(&request.headers, held);
        request.uri = self.held_uri(&request.uri);
        request.version = Version::HTTP_11;
        #[cfg(feature = "axum")]
        if let Some(original) = request.extensions.get_mut::<axum::extract::OriginalUri>() {
            original.0 = self.held_uri(&original.0);
        }
    }

    fn held_headers(&self, all: &HeaderMap, held: Held) -> HeaderMap {
        let (mut names, mut cookies) = (Vec::new(), Vec::new());
        if !self.any_host {
            names.push(&HOST);
        }
        if held.user {
            names.extend([&AUTHORIZATION, &COOKIE]);
        }
        if held.body {
            names.extend(&OF_THE_BODY);
        }
        for part in &self.parts {
            match part {
                Part::Header(name) => names.push(name),
                Part::Cookie(name) => cookies.push(name.as_str()),
                Part::Value(..) | Part::User(_) => {}
            }
        }
        let mut kept = HeaderMap::new();
        for name in names {
            if !kept.contains_key(name) {
                let values = all.get_all(name).iter();
                kept.extend(values.map(|value| (name.clone(), value.clone())));
            }
        }
        if let Some(host) = kept.get_mut(HOST)
            && let Ok(lower) = HeaderValue::from_bytes(&host.as_bytes().to_ascii_lowercase())
        {
            *host = lower;
        }
        if !kept.contains_key(COOKIE)
            && let Some(cookies) = key::held_cookies(all, &cookies)
            && let Ok(cookies) = HeaderValue::from_bytes(&cookies)
        {
            kept.insert(COOKIE, cookies);
        }
        kept
    }

    fn held_uri(&self, uri: &Uri) -> Uri {
        let query = uri.query().map(str::as_bytes);
        let query = match &self.query {
            Query::All => key::held_query(query),
            Query::Exact => query.map(<[u8]>::to_vec),
            Query::Only(names) => key::held_query_only(query, names),
            Query::Except(names) => key::held_query_except(query, names),
        };
        let mut target = uri.path().as_bytes().to_vec();
        if let Some(query) = query {
            target.push(b'?');
            target.extend(query);
        }
        let mut parts = uri.clone().into_parts();
        // The parts of what was a path and a query are one again.
        let target = PathAndQuery::from_maybe_shared(target);
        parts.path_and_query = Some(target.unwrap_or(PathAndQuery::from_static("/")));
        if self.any_host {
            (parts.scheme, parts.authority) = (None, None);
        } else if let Some(authority) = &mut parts.authority
            && let Ok(lower) = authority.as_str().to_ascii_lowercase().parse()
        {
            *authority = lower;
        }
        Uri::from_parts(parts).unwrap_or_default()
    }
}
