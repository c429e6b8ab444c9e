//! The store against a real server.

mod conformance;
mod contract;
mod counters;
mod faults;
mod indexes;
mod listing;
mod processes;
mod purges;
mod scenarios;
mod server;
mod strangers;
mod support;
mod trips;
