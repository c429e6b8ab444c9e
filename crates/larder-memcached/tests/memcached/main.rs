//! The store against real servers.

mod conformance;
mod faults;
mod processes;
mod scenarios;
mod server;
mod servers;
mod settings;
mod support;
mod tiers;
mod values;
