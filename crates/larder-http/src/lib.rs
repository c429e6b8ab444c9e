//! What HTTP says about caching, as pure functions.
//!
//! Nothing in here acts, waits or knows a server: it reads methods, header fields and times, and
//! answers what may be kept, under which key, and what to say about it. The HTTP face for Rust and
//! the face for Flask ask the same functions, so that one page means the same to both.
//!
//! | module | question | says |
//! |---|---|---|
//! | [`key`] | which answers are the same? | RFC 9111 section 2 |
//! | [`storable`] | may this be asked of the cache, may this be kept? | RFC 9111 section 3, and less |
//! | [`cache_control`] | what do the directives say? | RFC 9111 section 5.2 |
//! | [`cache_status`] | what did the cache do? | RFC 9211 |
//! | [`freshness`] | how long is it fresh, and how does it say so? | RFC 9111 section 4.2, RFC 5861, RFC 9213 |
//! | [`strict`] | what would a cache do that knows nothing but the RFC? | RFC 9111 sections 3 and 4 |
//! | [`age`](mod@age) | how old is it? | RFC 9111 section 4.2.3 |
//! | [`validators`] | is it the same as another? | RFC 9110 section 8.8 |
//! | [`coding`] | in which content coding does a client get it? | RFC 9110 sections 8.4 and 12.5.3 |
//! | [`conditional`] | does the client have it already? | RFC 9111 section 4.3.2 |
//! | [`range`](mod@range) | which part of it is wanted? | RFC 9110 section 14 |
//! | [`vary`] | which headers does it depend on? | RFC 9110 section 12.5.5 |
//! | [`no_vary_search`] | which queries does it not depend on? | draft-ietf-httpbis-no-vary-search |
//! | [`invalidation`] | what does a change make invalid? | RFC 9111 section 4.4 |
//! | [`revalidated`] | what does a 304 of the origin change? | RFC 9111 section 3.2 |
//! | [`dates`] | when was that? | RFC 9110 section 5.6.7 |
//! | [`fields`] | how to look at header fields, whoever holds them | |

pub mod age;
pub mod cache_control;
pub mod cache_status;
pub mod coding;
pub mod conditional;
pub mod dates;
pub mod fields;
pub mod freshness;
pub mod invalidation;
pub mod key;
pub mod no_vary_search;
pub mod range;
pub mod revalidated;
pub mod storable;
pub mod strict;
pub mod validators;
pub mod vary;

pub use cache_control::{CacheControl, RequestControl, Requests};
pub use cache_status::{CacheStatus, Forward};
pub use coding::{Coding, Codings};
pub use fields::Fields;
pub use freshness::Told;
pub use no_vary_search::NoVarySearch;
pub use vary::Vary;
