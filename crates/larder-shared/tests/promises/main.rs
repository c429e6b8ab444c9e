//! What every store promises. A program of its own, for the other one forks while its tests run.

#![cfg(target_os = "linux")]

mod conformance;
mod scenarios;
