//! What stands in the parentheses of the attribute.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitBool, LitStr, Result, Token, bracketed, parenthesized,
};

use crate::duration;

/// What stands in the parentheses of the attribute.
#[derive(Default)]
pub(crate) struct Options {
    /// An expression that makes a lifetime.
    pub(crate) ttl: Option<TokenStream>,
    pub(crate) name: Option<LitStr>,
    pub(crate) tags: Vec<Expr>,
    pub(crate) skip: Vec<Ident>,
    /// What stands in the key in place of an argument.
    pub(crate) key: Vec<(Ident, Expr)>,
    /// Expressions that make durations.
    pub(crate) stale_while_revalidate: Option<TokenStream>,
    pub(crate) stale_if_error: Option<TokenStream>,
    pub(crate) soft_timeout: Option<Timeout>,
    pub(crate) hard_timeout: Option<Timeout>,
    pub(crate) discard_late: bool,
    pub(crate) store_errors: bool,
    pub(crate) store_none: bool,
    pub(crate) cache: Option<Expr>,
    /// The bounds of a cache for this function alone.
    pub(crate) max_entries: Option<Expr>,
    pub(crate) max_bytes: Option<Expr>,
    /// Whether the function stands in an `impl` or a trait, though nothing in it says so.
    pub(crate) in_impl: bool,
    /// Whether the functions beside it are not wanted.
    pub(crate) alone: bool,
}

const KNOWN: &str = "ttl, name, tags, skip, key, stale_while_revalidate, stale_if_error, \
    soft_timeout, hard_timeout, discard_late, store_errors, store_none, cache, max_entries, max_bytes, in_impl, invalidate";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is there twice")));
            }
            options.read(&name, input)?;
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        options.check(&seen)?;
        Ok(options)
    }
}

impl Options {
    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.to_string().as_str() {
            "skip" => {
                let inner;
                parenthesized!(inner in input);
                let names = inner.parse_terminated(Ident::parse_any, Token![,])?;
                self.skip = names.into_iter().collect();
                return Ok(());
            }
            "key" => {
                let inner;
                parenthesized!(inner in input);
                let parts = Punctuated::<Part, Token![,]>::parse_terminated(&inner)?;
                self.key = parts.into_iter().map(|part| (part.0, part.1)).collect();
                return Ok(());
            }
            _ => {}
        }
        input.parse::<Token![=]>()?;
        match name.to_string().as_str() {
            "ttl" => self.ttl = Some(lifetime(input)?),
            "name" => self.name = Some(input.parse()?),
            "tags" => self.tags = tags(input)?,
            "stale_while_revalidate" => self.stale_while_revalidate = Some(span(input)?),
            "stale_if_error" => self.stale_if_error = Some(span(input)?),
            "soft_timeout" => self.soft_timeout = Some(timeout(input)?),
            "hard_timeout" => self.hard_timeout = Some(timeout(input)?),
            "discard_late" => self.discard_late = input.parse::<LitBool>()?.value,
            "store_errors" => self.store_errors = input.parse::<LitBool>()?.value,
            "store_none" => self.store_none = input.parse::<LitBool>()?.value,
            "cache" => self.cache = Some(input.parse()?),
            "max_entries" => self.max_entries = Some(input.parse()?),
            "max_bytes" => self.max_bytes = Some(input.parse()?),
            "in_impl" => self.in_impl = input.parse::<LitBool>()?.value,
            "invalidate" => self.alone = !input.parse::<LitBool>()?.value,
            other => {
                let what = format!("`{other}` is no option of memoize (known: {KNOWN})");
                return Err(Error::new(name.span(), what));
            }
        }
        Ok(())
    }

    fn check(&self, seen: &[Ident]) -> Result<()> {
        if self.ttl.is_none() {
            let what = "how long is an answer kept? (add `ttl = \"2m\"`)";
            return Err(Error::new(Span::call_site(), what));
        }
        self.check_timeouts(seen)?;
        let bound = seen
            .iter()
            .find(|name| *name == "max_entries" || *name == "max_bytes");
        if let (Some(bound), true) = (bound, self.cache.is_some()) {
            let what = format!(
                "`{bound}` makes a cache for this function alone (leave out `cache`, or bound that \
                 cache where it is built)"
            );
            return Err(Error::new(bound.span(), what));
        }
        Ok(())
    }
}

impl Options {
    /// Whether the load may outlive the wait for it.
    pub(crate) fn is_limited(&self) -> bool {
        self.soft_timeout.is_some() || self.hard_timeout.is_some()
    }

    fn check_timeouts(&self, seen: &[Ident]) -> Result<()> {
        let at = |option: &str| {
            let name = seen.iter().find(|name| *name == option);
            name.map_or_else(Span::call_site, Ident::span)
        };
        if self.soft_timeout.is_some() && self.stale_while_revalidate.is_none() {
            let what = "nothing stale may be served when the soft timeout is over (add \
                        `stale_while_revalidate = \"1h\"`, or use `hard_timeout`)";
            return Err(Error::new(at("soft_timeout"), what));
        }
        let spans = (self.soft_timeout.as_ref(), self.hard_timeout.as_ref());
        if let (Some(soft), Some(hard)) = spans
            && let (Some(soft), Some(hard)) = (soft.span, hard.span)
            && soft >= hard
        {
            let what = format!(
                "the soft timeout is {soft:?} and the hard one {hard:?} (the soft one has to be the \
                 shorter one)"
            );
            return Err(Error::new(at("soft_timeout"), what));
        }
        if self.discard_late && !self.is_limited() {
            let what = "nothing is ever late (add `soft_timeout` or `hard_timeout`)";
            return Err(Error::new(at("discard_late"), what));
        }
        Ok(())
    }
}

/// A timeout: an expression that makes a duration, and that itself where it is a literal one.
pub(crate) struct Timeout {
    pub(crate) tokens: TokenStream,
    span: Option<Duration>,
}

fn timeout(input: ParseStream<'_>) -> Result<Timeout> {
    let expression: Expr = input.parse()?;
    let Some(text) = text(&expression) else {
        let tokens = quote!(#expression);
        return Ok(Timeout { tokens, span: None });
    };
    let tokens = literal(text)?;
    let span = duration::parse(&text.value()).map_err(|what| Error::new(text.span(), what))?;
    if span.is_zero() {
        let what = "no load is as quick (give a millisecond or more, or leave the timeout out)";
        return Err(Error::new(text.span(), what));
    }
    let span = Some(span);
    Ok(Timeout { tokens, span })
}

/// An argument and what stands for it in the key.
struct Part(Ident, Expr);

impl Parse for Part {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = Ident::parse_any(input)?;
        if !input.peek(Token![=]) {
            let what = format!("what of `{name}` is the key? (write `key({name} = {name}.id)`)");
            return Err(Error::new(name.span(), what));
        }
        input.parse::<Token![=]>()?;
        Ok(Self(name, input.parse()?))
    }
}

fn tags(input: ParseStream<'_>) -> Result<Vec<Expr>> {
    let inner;
    bracketed!(inner in input);
    let tags = Punctuated::<Expr, Token![,]>::parse_terminated(&inner)?;
    Ok(tags.into_iter().collect())
}

fn lifetime(input: ParseStream<'_>) -> Result<TokenStream> {
    let expression: Expr = input.parse()?;
    match text(&expression) {
        Some(text) if text.value() == "forever" => Ok(quote!(::larder::Lifetime::Forever)),
        Some(text) => {
            let span = literal(text)?;
            Ok(quote!(::larder::Lifetime::For(#span)))
        }
        None => Ok(quote!(::core::convert::Into::<::larder::Lifetime>::into(#expression))),
    }
}

fn span(input: ParseStream<'_>) -> Result<TokenStream> {
    let expression: Expr = input.parse()?;
    match text(&expression) {
        Some(text) => literal(text),
        None => Ok(quote!(#expression)),
    }
}

/// The text that an expression is, if it is a literal one.
pub(crate) fn text(expression: &Expr) -> Option<&LitStr> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

fn literal(text: &LitStr) -> Result<TokenStream> {
    let span = duration::parse(&text.value()).map_err(|what| Error::new(text.span(), what))?;
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Ok(quote!(::core::time::Duration::from_millis(#millis)))
}
