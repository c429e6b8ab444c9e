//! The store against a real server.

mod announced;
mod conformance;
mod contract;
mod counters;
mod faults;
mod indexes;
mod listing;
mod news;
mod outages;
mod processes;
mod purges;
mod scenarios;
mod sentinel;
mod sentinels;
mod server;
mod strangers;
mod support;
mod takeover;
mod tiers;
mod tls;
mod trips;
