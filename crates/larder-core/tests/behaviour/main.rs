//! What the cache does, as its users see it: the scenarios of single-flight (t1), of stale answers
//! (t2) and of purges that race with loads (t8), by their numbers, and what stands between them.
//!
//! Every scenario with several callers runs on threads, on the tasks of one thread and on the tasks of
//! several. The time is moved by hand and nothing sleeps.

mod direct;
mod events;
mod fences;
mod owed;
mod permits;
mod processes;
mod recursion;
mod single_flight;
mod stale;
mod trouble;
mod world;
