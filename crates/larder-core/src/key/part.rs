//! What can be written into a key.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::KeyWriter;

/// A value that can be part of a key: it writes what it is, with its type, so that no two different
/// values have the same bytes.
///
/// Implement it for a type of your own by writing everything that makes two of its values different,
/// under the name of the type:
///
/// ```
/// use larder_core::{KeyPart, KeyWriter};
///
/// struct Range {
///     from: u32,
///     to: Option<u32>,
/// }
///
/// impl KeyPart for Range {
///     fn write(&self, key: &mut KeyWriter) {
///         (self.from, self.to).write(key.object("shop::Range"));
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "not a part of a key",
    note = "implement `KeyPart` for it, or take it out of the key (in `memoize`: `skip(shop)` leaves an \
            argument out, `key(shop = shop.id)` takes a part of it; `self` is one too)"
)]
pub trait KeyPart {
    /// Writes the value.
    fn write(&self, key: &mut KeyWriter);
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl KeyPart for $integer {
            fn write(&self, key: &mut KeyWriter) {
                match i64::try_from(*self) {
                    Ok(small) => key.int(small),
                    Err(_) => {
                        #[allow(unused_comparisons, reason = "the macro also serves unsigned types")]
                        let negative = *self < 0;
                        let magnitude = if negative { self.wrapping_neg() } else { *self };
                        key.big_int(negative, &magnitude.to_be_bytes())
                    }
                };
            }
        }
    )*};
}

integers!(
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
);

impl KeyPart for bool {
    fn write(&self, key: &mut KeyWriter) {
        key.bool(*self);
    }
}

impl KeyPart for f32 {
    fn write(&self, key: &mut KeyWriter) {
        key.float(f64::from(*self));
    }
}

impl KeyPart for f64 {
    fn write(&self, key: &mut KeyWriter) {
        key.float(*self);
    }
}

impl KeyPart for char {
    fn write(&self, key: &mut KeyWriter) {
        key.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl KeyPart for str {
    fn write(&self, key: &mut KeyWriter) {
        key.text(self);
    }
}

impl KeyPart for String {
    fn write(&self, key: &mut KeyWriter) {
        key.text(self);
    }
}

impl KeyPart for bytes::Bytes {
    fn write(&self, key: &mut KeyWriter) {
        key.bytes(self);
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    /// `None` is one value; `Some` of something writes what is in it, under its own mark, so that
    /// `Some(None)` is not `None`.
    fn write(&self, key: &mut KeyWriter) {
        match self {
            None => {
                key.none();
            }
            Some(value) => value.write(key.object("Some")),
        }
    }
}

impl<T: KeyPart> KeyPart for [T] {
    fn write(&self, key: &mut KeyWriter) {
        key.list(self.len());
        self.iter().for_each(|member| member.write(key));
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    fn write(&self, key: &mut KeyWriter) {
        self.as_slice().write(key);
    }
}

impl<T: KeyPart, const N: usize> KeyPart for [T; N] {
    fn write(&self, key: &mut KeyWriter) {
        self.as_slice().write(key);
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $pointer {
            fn write(&self, key: &mut KeyWriter) {
                (**self).write(key);
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Arc<T>, Rc<T>);

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    fn write(&self, key: &mut KeyWriter) {
        (**self).write(key);
    }
}

macro_rules! tuples {
    ($(($($member:ident),*))*) => {$(
        impl<$($member: KeyPart),*> KeyPart for ($($member,)*) {
            #[allow(non_snake_case, reason = "members are named like their types")]
            fn write(&self, key: &mut KeyWriter) {
                let ($($member,)*) = self;
                key.tuple([$(stringify!($member)),*].len());
                $($member.write(key);)*
            }
        }
    )*};
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F)
    (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
}

impl KeyPart for () {
    fn write(&self, key: &mut KeyWriter) {
        key.tuple(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(part: impl KeyPart) -> Vec<u8> {
        let mut writer = KeyWriter::new();
        part.write(&mut writer);
        writer.into_bytes()
    }

    #[test]
    fn values_of_different_types_or_shapes_never_meet() {
        let keys = [
            key(1_u8),
            key(true),
            key(1.0),
            key("1"),
            key('2'),
            key(Some(1)),
            key(Some(Some(1))),
            key(None::<u8>),
            key(Some(None::<u8>)),
            key(vec![1]),
            key((1,)),
            key((1, 2)),
            key(vec![1, 2]),
            key(((1, 2),)),
            key(-1),
            key(u128::MAX),
            key(i128::MIN),
            key(bytes::Bytes::from_static(b"1")),
        ];
        for (at, one) in keys.iter().enumerate() {
            for other in &keys[at + 1..] {
                assert_ne!(one, other);
            }
        }
    }

    #[test]
    fn equal_values_have_one_key_whatever_holds_them() {
        assert_eq!(key(7_u8), key(7_i64));
        assert_eq!(key("a"), key(String::from("a")));
        assert_eq!(key("a"), key(Arc::<str>::from("a")));
        assert_eq!(key([1, 2]), key(vec![1, 2]));
        assert_eq!(key(u64::MAX), key(i128::from(u64::MAX)));
    }
}
