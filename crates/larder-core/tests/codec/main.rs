//! The codec from outside: what it writes, what it refuses, what no bytes can make it do.

#[cfg(feature = "zstd")]
mod compressed;
mod envelope;
mod memory;
mod packing;
mod properties;
mod safe;
mod targets;
