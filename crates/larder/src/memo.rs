//! What [`memoize`](macro@crate::memoize) is made of.
//!
//! Use [`cache`], [`set_cache`], [`named`], [`set_named`], [`bump`] and [`clear`], and with the feature
//! `serde` a `PortableCache`, which may lie outside the process. The rest is what the attribute expands to.

pub mod answer;
mod call;
mod home;
mod kept;
mod owned;
#[cfg(feature = "serde")]
mod portable;

use larder_core::{KeyWriter, ThreadPark, drive};

pub use call::{Call, Found, Loading, Memo, fitting, forget_blocking};
pub use home::{MemoCache, bump, cache, clear, named, set_cache, set_named};
pub use kept::{Holds, Kept};
pub use owned::{lend_argument, own_argument};
#[cfg(feature = "serde")]
pub use portable::{Portable, PortableCache, PortableCodec};

/// The name under which a function's answers lie: its path, and where it stands, so that two functions
/// of one name never meet. `T` is a type inside the function.
pub fn name_of<T>(function: &str, line: u32, column: u32) -> String {
    let path = std::any::type_name::<T>();
    let path = path
        .rsplit_once("::__larder_memo_")
        .map_or(path, |(path, _)| path);
    format!("{path}::{function}@{line}:{column}")
}

/// Writes which type `T` is, for the key of a function that has it as a parameter: never the same for
/// two types of one program. Lifetimes make no difference.
pub fn write_type<T: ?Sized>(key: &mut KeyWriter) {
    key.object("type").int(number_of::<T>());
}

/// As [`write_type`], for a function with a name of its own: the same in all programs that have the
/// type, where two types that stand in one function, under one name, are the same as well.
pub fn write_type_name<T: ?Sized>(key: &mut KeyWriter) {
    key.object("type").text(std::any::type_name::<T>());
}

fn number_of<T: ?Sized>() -> i64 {
    use std::hash::{Hash, Hasher};

    /// Hands on what a `TypeId` writes, which is a good hash already and the same in every process
    /// of a program.
    struct Through(u64);

    impl Hasher for Through {
        fn write(&mut self, bytes: &[u8]) {
            for chunk in bytes.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                self.0 = self.0.rotate_left(1) ^ u64::from_le_bytes(word);
            }
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut through = Through(0);
    typeid::of::<T>().hash(&mut through);
    through.finish().cast_signed()
}

fn block<F: Future>(future: F) -> F::Output {
    let Ok(output) = drive(future, &ThreadPark);
    output
}
