//! The arguments of a memoized function, `self` among them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, Pat, PatType, ReceiverKind, Result, Signature, Type, parse_quote};

use crate::options::Options;
use crate::tokens;

/// An argument with the name by which tags and the key speak of it.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// How it stands in a signature: `id: u32`, or `&self`.
    pub(crate) input: FnArg,
    /// Whether it is a reference.
    pub(crate) borrowed: bool,
    /// What is written into the key for it; `None` for what is no part of the key.
    pub(crate) key: Option<Expr>,
    /// Where its type stands.
    span: Span,
}

impl Argument {
    pub(crate) fn is_self(&self) -> bool {
        self.name == "self"
    }

    /// How it stands in the signature of a function that asks for the key only.
    pub(crate) fn asked(&self) -> FnArg {
        match self.input {
            FnArg::Receiver(_) => parse_quote!(&self),
            FnArg::Typed(_) => self.input.clone(),
        }
    }

    /// Writes it into the key.
    pub(crate) fn write(&self) -> Option<TokenStream> {
        let part = self.key.as_ref()?;
        let part = quote_spanned!(self.span=> &#part);
        Some(quote_spanned!(self.span=> ::larder::KeyPart::write(#part, __larder_key);))
    }

    /// Makes something of it that outlives the call, if it is a reference.
    pub(crate) fn own(&self) -> Option<TokenStream> {
        let (name, owned) = (&self.name, self.local());
        let own = quote_spanned!(self.span=> ::larder::memo::own_argument(#name));
        self.borrowed.then(|| quote!(let #owned = #own;))
    }

    /// What is given to the function behind the answer.
    pub(crate) fn lend(&self) -> TokenStream {
        let owned = self.local();
        if self.borrowed {
            quote!(::larder::memo::lend_argument(&#owned))
        } else {
            let name = &self.name;
            quote!(#name)
        }
    }

    fn local(&self) -> Ident {
        if self.is_self() {
            return Ident::new("__larder_self", Span::call_site());
        }
        self.name.clone()
    }
}

/// The arguments of a function, or why it cannot be memoized.
pub(crate) fn read(signature: &Signature, options: &Options) -> Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        arguments.push(one(input, options)?);
    }
    let keyed = options.key.iter().map(|(name, _)| name);
    for name in options.skip.iter().chain(keyed) {
        if !arguments.iter().any(|argument| argument.name == *name) {
            let known: Vec<String> = arguments
                .iter()
                .map(|argument| argument.name.to_string())
                .collect();
            let what = format!(
                "`{name}` is no argument of `{}` (it has: {})",
                signature.ident,
                if known.is_empty() {
                    "none".into()
                } else {
                    known.join(", ")
                }
            );
            return Err(Error::new(name.span(), what));
        }
    }
    Ok(arguments)
}

fn one(input: &FnArg, options: &Options) -> Result<Argument> {
    let (name, input, span) = match input {
        FnArg::Receiver(receiver) => {
            let mut outer = receiver.clone();
            if !matches!(outer.kind, ReceiverKind::Reference(..)) {
                outer.mutability = None;
            }
            outer.attrs.clear();
            let name = Ident::new("self", receiver.self_token.span);
            (name, FnArg::Receiver(outer), receiver.span())
        }
        FnArg::Typed(PatType { pat, ty, .. }) => {
            let Pat::Ident(pattern) = &**pat else {
                let what =
                    "an argument of a memoized function needs a name (take it apart in the body)";
                return Err(Error::new_spanned(pat, what));
            };
            let name: Ident = pattern.ident.clone();
            (name.clone(), parse_quote!(#name: #ty), ty.span())
        }
    };
    let skipped = options.skip.contains(&name);
    let part = options.key.iter().find(|(keyed, _)| *keyed == name);
    if let (true, Some((keyed, _))) = (skipped, part) {
        let what = format!("`{keyed}` is skipped, and has a `key` (leave out one of the two)");
        return Err(Error::new(keyed.span(), what));
    }
    let argument = Argument {
        borrowed: shape(&input).1,
        key: match part {
            Some((_, expression)) => Some(expression.clone()),
            None => (!skipped).then(|| parse_quote!(#name)),
        },
        name,
        input,
        span,
    };
    check(&argument)?;
    Ok(argument)
}

/// The type that stands behind an argument, where one is written out, and whether the argument is a
/// reference, and to something that may be changed.
fn shape(input: &FnArg) -> (Option<&Type>, bool, bool) {
    let ty = match input {
        FnArg::Receiver(receiver) => match &receiver.kind {
            ReceiverKind::Reference(_, _, mutable) => return (None, true, mutable.is_some()),
            ReceiverKind::Typed(_, ty) => Some(&**ty),
            _ => None,
        },
        FnArg::Typed(typed) => Some(&*typed.ty),
    };
    match ty {
        Some(Type::Reference(reference)) => (ty, true, reference.mutability.is_some()),
        _ => (ty, false, false),
    }
}

/// What cannot be an argument of a memoized function.
fn check(argument: &Argument) -> Result<()> {
    let name = &argument.name;
    let in_key = argument.key.is_some();
    let (ty, _, mutable) = shape(&argument.input);
    let generic = ty.is_some_and(|ty| tokens::has_word(ty, "impl"));
    let what = if mutable && in_key {
        format!(
            "`{name}` may be changed by the function, and an answer from the cache changes nothing \
             (take it by value or by `&`, or `skip({name})` if the change is of no account)"
        )
    } else if generic && in_key {
        format!(
            "`{name}` needs a type with a name, which stands in the key (write a type parameter: \
             `fn f<T: ...>({name}: T)`, or `skip({name})`)"
        )
    } else {
        return Ok(());
    };
    Err(Error::new_spanned(&argument.input, what))
}
