//! The store by itself, and among real processes: killed, out of room, on damaged and foreign files.

#![cfg(unix)]

mod conformance;
mod damage;
mod foreign;
mod kills;
mod leases;
mod log;
mod making_room;
mod pair;
mod processes;
mod room;
mod scenarios;
mod settings;
mod storm;
mod support;
mod turns;
