//! The store on a Cluster, against a real one.

mod conformance;
mod failover;
mod moving;
mod scenarios;
mod server;
mod support;
mod tiers;
mod trips;
mod trouble;
