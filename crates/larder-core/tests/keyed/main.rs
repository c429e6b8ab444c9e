//! The store over a key-value store: the conformance suite, and what is left out there.

mod conformance;
mod evicting;
mod heads;
mod pairs;
mod records;
mod trips;
