//! Fragments of templates, in both spellings.

mod calls;
mod keys;
mod life;
mod random;
mod tags;
mod threads;
mod versions;
mod world;
