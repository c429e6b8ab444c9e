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
//! | [`age`](mod@age) | how old is it? | RFC 9111 section 4.2.3 |
//! | [`fields`] | how to look at header fields, whoever holds them | |

pub mod age;
pub mod cache_control;
pub mod cache_status;
pub mod fields;
pub mod key;
pub mod storable;

pub use cache_control::CacheControl;
pub use cache_status::{CacheStatus, Forward};
pub use fields::Fields;
