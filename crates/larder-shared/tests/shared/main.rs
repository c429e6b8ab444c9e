//! The store among real processes: killed, forked, out of room, on damaged files.

#![cfg(target_os = "linux")]

mod damage;
mod fork;
mod kills;
mod leases;
mod loads;
mod pair;
mod processes;
mod room;
mod settings;
mod storm;
mod support;
