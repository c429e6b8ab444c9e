//! The library as a program uses it.

mod load;
mod memo;
mod memo_answers;
mod memo_async;
mod memo_methods;
#[cfg(target_os = "linux")]
mod memo_portable;
mod shop;
#[cfg(feature = "macros")]
mod timeouts;
