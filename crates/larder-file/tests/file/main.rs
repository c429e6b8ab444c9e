//! The store among real processes: killed, out of room, on damaged and foreign files.

#![cfg(unix)]

mod kills;
mod pair;
mod processes;
mod support;
