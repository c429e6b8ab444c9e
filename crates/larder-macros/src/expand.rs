//! What a memoized function turns into.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, GenericParam, Ident, ItemFn, Meta, Result, ReturnType, Safety, Signature,
    Type, parse_quote, parse2,
};

use crate::arguments::{self, Argument};
use crate::options::{self, Options, Timeout};
use crate::tokens;

/// A function to memoize, and how.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) options: Options,
    pub(crate) arguments: Vec<Argument>,
    /// What the function answers.
    answer: Type,
    /// Whether it stands in an `impl` or a trait, so that there is a `Self`.
    pub(crate) associated: bool,
}

/// The function memoized, and its companions.
pub(crate) fn memoize(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item: ItemFn = parse2(item)?;
    let options: Options = parse2(options)?;
    let answer = match &item.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => Type::clone(ty),
    };
    check(&item.sig, &answer)?;
    let arguments = arguments::read(&item.sig, &options)?;
    let function = Function {
        associated: options.in_impl
            || tokens::has_word(&item, "Self")
            || item.sig.receiver().is_some(),
        item,
        options,
        arguments,
        answer,
    };
    let (wrapper, memo) = (function.wrapper(), function.memo());
    let companions = (!function.options.alone).then(|| function.companions());
    Ok(quote!(#wrapper #memo #companions))
}

fn check(signature: &Signature, answer: &Type) -> Result<()> {
    if signature.constness.is_some()
        || !matches!(signature.safety, Safety::Default)
        || signature.variadic.is_some()
    {
        let what = "a const, unsafe or variadic function cannot be memoized (call it in one that is \
                    none of this, and memoize that one)";
        return Err(Error::new_spanned(signature, what));
    }
    if tokens::has_word(answer, "impl") {
        let what = "an answer needs a type with a name, for it is kept (return the type itself, or \
                    an `Arc<dyn ...>`)";
        return Err(Error::new_spanned(answer, what));
    }
    if tokens::borrows(answer) {
        let what = "an answer outlives the call, and this one borrows (return what owns its content: \
                    `String`, `Vec`, `Arc`)";
        return Err(Error::new_spanned(answer, what));
    }
    Ok(())
}

impl Function {
    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    pub(crate) fn is_async(&self) -> bool {
        self.item.sig.asyncness.is_some()
    }

    /// The path to a function that the attribute has put beside the memoized one.
    fn beside(&self, name: &Ident) -> TokenStream {
        if self.associated {
            quote!(Self::#name)
        } else {
            quote!(#name)
        }
    }

    /// Answers the `Memo`, from within the function or a companion.
    pub(crate) fn the_memo(&self) -> TokenStream {
        let memo = self.beside(&self.memo_name());
        quote!(#memo())
    }

    fn memo_name(&self) -> Ident {
        format_ident!("__larder_memo_{}", self.name())
    }

    /// The function under its own name: looks up, and runs the body if it has to.
    fn wrapper(&self) -> TokenStream {
        let ItemFn { attrs, vis, .. } = &self.item;
        let attributes = attrs.iter().map(allowed);
        let (sig, (inside, beside)) = (self.outer(), self.body());
        let (memo, cache, key) = (self.the_memo(), self.cache(), self.key());
        let (answer, load) = (self.answer(), self.load());
        let tags = self.options.tags.iter().map(tag);
        let find = if self.is_async() {
            quote!(find().await)
        } else {
            quote!(find_blocking())
        };
        quote! {
            #(#attributes)*
            #[allow(clippy::large_futures)]
            #vis #sig {
                #inside
                let __larder_memo = #memo;
                #cache
                let __larder_key = #key;
                let __larder_tags: [::std::string::String; _] = [#(#tags),*];
                #answer
                let __larder_call = ::larder::memo::Call {
                    cache: __larder_cache,
                    key: __larder_key,
                    policy: __larder_memo.policy(__larder_tags),
                    answer: __larder_answer,
                    traits: __larder_traits,
                };
                match __larder_call.#find {
                    ::larder::memo::Found::Answer(__larder_found) => __larder_found,
                    ::larder::memo::Found::Load(__larder_loading) => { #load }
                }
            }
            #beside
        }
    }

    /// The signature, with the names of the arguments alone.
    fn outer(&self) -> Signature {
        let mut outer = self.item.sig.clone();
        outer.inputs = self
            .arguments
            .iter()
            .map(|argument| argument.input.clone())
            .collect();
        outer
    }

    /// The body as a function of its own: within the memoized one, or beside it where it has a `Self`.
    fn body(&self) -> (Option<TokenStream>, Option<TokenStream>) {
        let ItemFn {
            attrs, sig, block, ..
        } = &self.item;
        let lints = attrs.iter().filter(|attribute| is_lint(attribute));
        let mut body = sig.clone();
        body.ident = self.body_name();
        let body = quote! {
            #(#lints)*
            #[doc(hidden)]
            #[allow(dead_code)]
            #body #block
        };
        if self.associated {
            (None, Some(body))
        } else {
            (Some(body), None)
        }
    }

    fn body_name(&self) -> Ident {
        format_ident!("__larder_body_{}", self.name())
    }

    /// `let __larder_cache`: the cache that the answers lie in.
    pub(crate) fn cache(&self) -> TokenStream {
        let Options {
            cache,
            max_entries,
            max_bytes,
            ..
        } = &self.options;
        let cache = match cache {
            Some(cache) if options::text(cache).is_some() => quote! {{
                static __LARDER_NAMED: ::std::sync::OnceLock<&'static ::larder::memo::MemoCache> =
                    ::std::sync::OnceLock::new();
                __LARDER_NAMED.get_or_init(|| ::larder::memo::named(#cache))
            }},
            Some(cache) => quote_spanned!(cache.span()=> (#cache)),
            None if max_entries.is_some() || max_bytes.is_some() => {
                let bound = |bound: &Option<syn::Expr>| match bound {
                    Some(bound) => quote!(::core::option::Option::Some(#bound)),
                    None => quote!(::core::option::Option::None),
                };
                let (entries, bytes) = (bound(max_entries), bound(max_bytes));
                quote!(__larder_memo.own(#entries, #bytes))
            }
            None => quote!(::larder::memo::cache()),
        };
        // In two steps, so that whatever the expression is it may point to the cache.
        quote! {
            let __larder_home = &#cache;
            let __larder_cache: &::larder::Cache<_, _> = __larder_home;
        }
    }

    /// The key of the call: the types, then the arguments.
    pub(crate) fn key(&self) -> TokenStream {
        let writes = self.arguments.iter().filter_map(Argument::write);
        let of_type = if self.options.name.is_some() {
            quote!(::larder::memo::write_type_name)
        } else {
            quote!(::larder::memo::write_type)
        };
        let class = self
            .associated
            .then(|| quote!(#of_type::<Self>(__larder_key);));
        let parameters = self.item.sig.generics.params.iter();
        let parameters = parameters.filter_map(|parameter| match parameter {
            GenericParam::Type(one) => {
                let name = &one.ident;
                Some(quote!(#of_type::<#name>(__larder_key);))
            }
            GenericParam::Const(one) => {
                let name = &one.ident;
                Some(quote!(::larder::KeyPart::write(&#name, __larder_key);))
            }
            _ => None,
        });
        quote! {
            __larder_memo.key(|__larder_key| {
                let _ = &__larder_key;
                #class
                #(#parameters)*
                #(#writes)*
            })
        }
    }

    /// `let __larder_answer` and `let __larder_traits`: what the types of the function can do. It is
    /// asked here, where they are known.
    fn answer(&self) -> TokenStream {
        let answer = &self.answer;
        let span = answer.span();
        let how = if self.options.store_errors {
            quote!(whole)
        } else {
            quote!(answer)
        };
        let keeps = if self.options.store_none {
            quote!(keep_all)
        } else {
            quote!(keeps)
        };
        let timed_out = match &self.options.hard_timeout {
            Some(_) => quote_spanned! {span=>
                ::larder::memo::answer::TimesOut::timed_out(__larder_answer)
            },
            None => quote!(|_| ::core::option::Option::None),
        };
        let questions = quote_spanned! {span=>
            let __larder_answer = (&::larder::memo::answer::Of::<#answer>::new()).#how();
            let __larder_value = ::larder::memo::answer::Answer::value(__larder_answer);
            let __larder_error = ::larder::memo::answer::Answer::error(__larder_answer);
            let __larder_traits = ::larder::memo::answer::Traits {
                keeps: (&__larder_value).#keeps(),
                weighs: (&__larder_value).weighs(),
                shares: (&__larder_error).shares(),
                timed_out: #timed_out,
            };
        };
        quote! {
            let (__larder_answer, __larder_traits) = {
                #[allow(unused_imports)]
                use ::larder::memo::answer::{
                    keeps::{All as _, Some as _},
                    returned::{Fails as _, Succeeds as _},
                    shares::{Cloned as _, Never as _},
                    weighs::{Plain as _, Weighed as _},
                };
                #questions
                (__larder_answer, __larder_traits)
            };
        }
    }

    /// Runs the body under the duty to load.
    fn load(&self) -> TokenStream {
        let limited = self.options.is_limited();
        let behind = limited || self.options.stale_while_revalidate.is_some();
        let method = match (self.is_async(), limited, behind) {
            (true, true, _) => quote!(load_for_a_while),
            (true, false, true) => quote!(load_behind),
            (true, false, false) => quote!(load),
            (false, true, _) => quote!(load_elsewhere),
            (false, false, true) => quote!(load_blocking_behind),
            (false, false, false) => quote!(load_blocking),
        };
        let body = self.beside(&self.body_name());
        let types = self.turbofish();
        let own = behind.then(|| {
            let own = self.arguments.iter().filter_map(Argument::own);
            quote!(#(#own)*)
        });
        let arguments = self.arguments.iter().map(|argument| {
            let name = &argument.name;
            if behind {
                argument.lend()
            } else {
                quote!(#name)
            }
        });
        let call = quote!(#body #types (#(#arguments),*));
        if self.is_async() {
            quote! {
                #own
                __larder_loading.#method(move || async move { #call.await }).await
            }
        } else {
            quote! {
                #own
                __larder_loading.#method(move || #call)
            }
        }
    }

    /// The parameters of the function that its arguments need not say.
    fn turbofish(&self) -> Option<TokenStream> {
        let parameters = self.item.sig.generics.params.iter();
        let names: Vec<&Ident> = parameters
            .filter_map(|parameter| match parameter {
                GenericParam::Type(one) => Some(&one.ident),
                GenericParam::Const(one) => Some(&one.ident),
                _ => None,
            })
            .collect();
        (!names.is_empty()).then(|| quote!(::<#(#names),*>))
    }

    /// The function that knows the name and the policy, made at the first call.
    fn memo(&self) -> TokenStream {
        let (memo, ttl) = (self.memo_name(), &self.options.ttl);
        let window = |name: &str, span: &Option<TokenStream>| {
            let name = format_ident!("{name}");
            span.as_ref().map(|span| quote!(.#name(#span)))
        };
        let revalidate = window(
            "stale_while_revalidate",
            &self.options.stale_while_revalidate,
        );
        let on_error = window("stale_if_error", &self.options.stale_if_error);
        let policy = quote!(::larder::Policy::new(#ttl) #revalidate #on_error);
        let policy = self.limited(policy);
        let name = self.name().to_string();
        let name = match &self.options.name {
            Some(name) => quote!(::std::string::String::from(#name)),
            None => quote! {
                ::larder::memo::name_of::<__LarderHere>(#name, ::core::line!(), ::core::column!())
            },
        };
        let conditions = self.conditions();
        quote! {
            #(#conditions)*
            #[doc(hidden)]
            #[allow(dead_code)]
            fn #memo() -> &'static ::larder::memo::Memo {
                // A type of its own: its name has the whole path in it, enclosing functions included.
                #[allow(dead_code)]
                struct __LarderHere;
                static __LARDER_MEMO: ::std::sync::OnceLock<::larder::memo::Memo> =
                    ::std::sync::OnceLock::new();
                __LARDER_MEMO.get_or_init(|| {
                    ::larder::memo::Memo::new(#name, #policy)
                })
            }
        }
    }

    /// The policy with its timeouts.
    fn limited(&self, policy: TokenStream) -> TokenStream {
        let options = &self.options;
        if !options.is_limited() {
            return policy;
        }
        let timeout = |name: &str, timeout: &Option<Timeout>| {
            let name = format_ident!("{name}");
            timeout
                .as_ref()
                .map(|Timeout { tokens, .. }| quote!(.#name(#tokens)))
        };
        let soft = timeout("soft_timeout", &options.soft_timeout);
        let hard = timeout("hard_timeout", &options.hard_timeout);
        let discard = options.discard_late.then(|| quote!(.discard_late()));
        quote!(::larder::memo::fitting(#policy #soft #hard #discard))
    }

    /// The attributes under which the function is there at all.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        let attributes = self.item.attrs.iter();
        attributes.filter(|attribute| attribute.path().is_ident("cfg"))
    }
}

/// The text of a tag: a literal may name arguments, as in `format!`.
fn tag(tag: &syn::Expr) -> TokenStream {
    match options::text(tag) {
        Some(text) => quote_spanned!(text.span()=> ::std::format!(#text)),
        None => quote_spanned!(tag.span()=> ::std::string::ToString::to_string(&#tag)),
    }
}

/// The attribute of the function under its own name: what is expected of the body is not to be found
/// there.
fn allowed(attribute: &Attribute) -> Attribute {
    match &attribute.meta {
        Meta::List(list) if attribute.path().is_ident("expect") => {
            let lints = &list.tokens;
            parse_quote!(#[allow(#lints)])
        }
        _ => attribute.clone(),
    }
}

fn is_lint(attribute: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid", "cfg"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}
