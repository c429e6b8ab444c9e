//! A caching reverse proxy in front of one origin, in Larder's strict mode: what the origin and the
//! clients say in their header fields decides (RFC 9111, 9213 and 5861), and nothing else.
//!
//! ```sh
//! make edge ORIGIN=http://127.0.0.1:8000 PORT=8080
//! ```
//!
//! It passes on every method, path and query as they are, header fields as they came and in their order,
//! bodies and trailers piece by piece in both directions, answers before the answer (1xx), WebSockets. It
//! takes out what concerns one connection alone, adds `Via` and `Cache-Status`, and never sends a request
//! twice. What it cannot pass on: names of fields in other than lower case, the content of `TRACE` and
//! `OPTIONS` beyond their `Max-Forwards`, and changes to protocols other than WebSocket. It has no TLS,
//! and speaks HTTP/1.0 and 1.1.
//!
//! | module | |
//! |---|---|
//! | `options` | what is said on the command line |
//! | `server` | connections of clients, and how they end |
//! | `request` | what a client asks, in the form in which it is looked up and passed on |
//! | `fields` | which header fields go on |
//! | `origin` | asks the origin |
//! | `sending` | the body of a request, and whether the client may begin with it |
//! | `interim` | answers before the answer |
//! | `tunnel` | WebSockets |

mod failure;
mod fields;
mod interim;
mod options;
mod origin;
mod own;
mod request;
mod sending;
mod server;
mod tunnel;

pub use failure::Fault;
pub use options::Options;
pub use origin::{Answer, Origin, Patience};
pub use sending::Sending;
pub use server::{Edge, serve};
