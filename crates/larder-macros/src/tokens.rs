//! What stands in a piece of code.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// Whether a word stands anywhere in the code.
pub(crate) fn has_word(code: &impl ToTokens, word: &str) -> bool {
    stream_has_word(code.to_token_stream(), word)
}

fn stream_has_word(code: TokenStream, word: &str) -> bool {
    code.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => stream_has_word(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether values of this type borrow from something that need not outlive the program, as far as
/// the type says so.
pub(crate) fn borrows(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            let forever = reference.lifetime.as_ref();
            forever.is_none_or(|lifetime| lifetime.ident != "static") || borrows(&reference.elem)
        }
        Type::Path(path) => path
            .path
            .segments
            .iter()
            .any(|segment| match &segment.arguments {
                PathArguments::AngleBracketed(inner) => inner.args.iter().any(borrows_inside),
                _ => false,
            }),
        Type::Tuple(tuple) => tuple.elems.iter().any(borrows),
        Type::Array(array) => borrows(&array.elem),
        Type::Paren(inner) => borrows(&inner.elem),
        Type::Group(inner) => borrows(&inner.elem),
        _ => false,
    }
}

fn borrows_inside(argument: &GenericArgument) -> bool {
    match argument {
        GenericArgument::Lifetime(lifetime) => lifetime.ident != "static",
        GenericArgument::Type(ty) => borrows(ty),
        _ => false,
    }
}
