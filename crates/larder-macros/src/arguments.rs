//! The arguments of a memoized function.

use syn::{Error, FnArg, Ident, Pat, PatType, Result, Signature, Type};

/// An argument with the name by which tags and the key speak of it.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// Whether it is part of the key.
    pub(crate) in_key: bool,
}

/// The arguments of a function, or why it cannot be memoized.
pub(crate) fn read(signature: &Signature, skip: &[Ident]) -> Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        arguments.push(one(input, skip)?);
    }
    for name in skip {
        if !arguments.iter().any(|argument| argument.name == *name) {
            let what = format!("`{name}` is no argument of `{}`", signature.ident);
            return Err(Error::new(name.span(), what));
        }
    }
    Ok(arguments)
}

fn one(input: &FnArg, skip: &[Ident]) -> Result<Argument> {
    let FnArg::Typed(PatType { pat, ty, .. }) = input else {
        let what = "a method cannot be memoized (move the work into a free function and call that)";
        return Err(Error::new_spanned(input, what));
    };
    let Pat::Ident(pattern) = &**pat else {
        let what = "an argument of a memoized function needs a name (take it apart in the body)";
        return Err(Error::new_spanned(pat, what));
    };
    if let Type::ImplTrait(_) = &**ty {
        let what = "an argument of a memoized function needs one type, for its key";
        return Err(Error::new_spanned(ty, what));
    }
    Ok(Argument {
        name: pattern.ident.clone(),
        ty: Type::clone(ty),
        in_key: !skip.contains(&pattern.ident),
    })
}
