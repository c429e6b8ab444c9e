//! What stands in the parentheses of the attribute.

use proc_macro2::{Span, TokenStream};
use quote::quote;
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
    pub(crate) tags: Vec<LitStr>,
    pub(crate) skip: Vec<Ident>,
    /// Expressions that make durations.
    pub(crate) stale_while_revalidate: Option<TokenStream>,
    pub(crate) stale_if_error: Option<TokenStream>,
    pub(crate) store_errors: bool,
    pub(crate) cache: Option<Expr>,
}

const KNOWN: &str = "ttl, tags, skip, stale_while_revalidate, stale_if_error, store_errors, cache";

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
        if options.ttl.is_none() {
            let what = "how long is an answer kept? (add `ttl = \"2m\"`)";
            return Err(Error::new(Span::call_site(), what));
        }
        Ok(options)
    }
}

impl Options {
    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        if name == "skip" {
            let inner;
            parenthesized!(inner in input);
            let names = Punctuated::<Ident, Token![,]>::parse_terminated(&inner)?;
            self.skip = names.into_iter().collect();
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        match name.to_string().as_str() {
            "ttl" => self.ttl = Some(lifetime(input)?),
            "tags" => self.tags = tags(input)?,
            "stale_while_revalidate" => self.stale_while_revalidate = Some(span(input)?),
            "stale_if_error" => self.stale_if_error = Some(span(input)?),
            "store_errors" => self.store_errors = input.parse::<LitBool>()?.value,
            "cache" => self.cache = Some(input.parse()?),
            other => {
                let what = format!("`{other}` is no option of memoize (known: {KNOWN})");
                return Err(Error::new(name.span(), what));
            }
        }
        Ok(())
    }
}

fn tags(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    let inner;
    bracketed!(inner in input);
    let tags = Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)?;
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

fn text(expression: &Expr) -> Option<&LitStr> {
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
