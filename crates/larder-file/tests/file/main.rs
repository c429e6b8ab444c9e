//! The store among real processes: killed, out of room, on damaged and foreign files.

#![cfg(unix)]

mod damage;
mod foreign;
mod kills;
mod leases;
mod log;
mod pair;
mod processes;
mod room;
mod settings;
mod storm;
mod support;
