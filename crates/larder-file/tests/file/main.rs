//! The store among real processes.
#![cfg(unix)]
