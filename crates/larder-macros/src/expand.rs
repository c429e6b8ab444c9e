//! What a memoized function turns into.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, GenericParam, Ident, ItemFn, Path, Result, ReturnType, Safety, Signature,
    Type, parse_quote, parse2,
};

use crate::arguments::{self, Argument};
use crate::options::Options;

/// A function to memoize, and how.
struct Function {
    item: ItemFn,
    options: Options,
    arguments: Vec<Argument>,
    /// What the function answers.
    answer: Type,
    /// Whether that is a result whose errors are not kept.
    fallible: bool,
}

/// The function memoized, and its companions.
pub(crate) fn memoize(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item: ItemFn = parse2(item)?;
    let options: Options = parse2(options)?;
    check(&item.sig)?;
    let arguments = arguments::read(&item.sig, &options.skip)?;
    let answer = match &item.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => Type::clone(ty),
    };
    let function = Function {
        fallible: is_result(&answer) && !options.store_errors,
        item,
        options,
        arguments,
        answer,
    };
    let (wrapper, memo) = (function.wrapper(), function.memo());
    let (one, all) = (function.invalidate_one(), function.invalidate_all());
    Ok(quote!(#wrapper #memo #one #all))
}

fn check(signature: &Signature) -> Result<()> {
    let unsuited = signature
        .generics
        .params
        .iter()
        .find(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if let Some(parameter) = unsuited {
        let what = "a generic function cannot be memoized (memoize one function for each type)";
        return Err(Error::new_spanned(parameter, what));
    }
    if signature.constness.is_some()
        || !matches!(signature.safety, Safety::Default)
        || signature.variadic.is_some()
    {
        let what = "a const, unsafe or variadic function cannot be memoized";
        return Err(Error::new_spanned(signature, what));
    }
    Ok(())
}

/// Whether the last part of a type's path is `Result`, as it is for the aliases that crates make of it.
fn is_result(answer: &Type) -> bool {
    match answer {
        Type::Path(path) => is_named_result(&path.path),
        _ => false,
    }
}

fn is_named_result(path: &Path) -> bool {
    path.segments
        .last()
        .is_some_and(|last| last.ident == "Result")
}

impl Function {
    fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    fn memo_name(&self) -> Ident {
        format_ident!("__larder_memo_{}", self.name())
    }

    fn is_async(&self) -> bool {
        self.item.sig.asyncness.is_some()
    }

    /// What is kept, and what calls fail with.
    fn types(&self) -> (TokenStream, TokenStream) {
        let answer = &self.answer;
        if self.fallible {
            let fallible = quote!(<#answer as ::larder::memo::Fallible>);
            (quote!(#fallible::Value), quote!(#fallible::Error))
        } else {
            (quote!(#answer), quote!(::core::convert::Infallible))
        }
    }

    /// The function under its own name: looks up, and runs the body if it has to.
    fn wrapper(&self) -> TokenStream {
        let ItemFn {
            attrs,
            vis,
            sig,
            block,
            ..
        } = &self.item;
        let lints = attrs.iter().filter(|attribute| is_lint(attribute));
        let mut body = sig.clone();
        body.ident = format_ident!("__larder_body");
        let mut outer = sig.clone();
        for (input, argument) in outer.inputs.iter_mut().zip(&self.arguments) {
            let (name, ty) = (&argument.name, &argument.ty);
            *input = parse_quote!(#name: #ty);
        }
        let (memo, write) = (self.memo_name(), self.write());
        let tags = &self.options.tags;
        let (loaded, finish) = (self.load(), self.finish());
        quote! {
            #(#attrs)*
            #vis #outer {
                #(#lints)*
                #body #block
                let __larder_memo = #memo();
                let __larder_key = __larder_memo.key(#write);
                let __larder_tags: [::std::string::String; _] = [#(::std::format!(#tags)),*];
                let __larder_call = __larder_memo.call(__larder_key, __larder_tags);
                let __larder_result = #loaded;
                #finish
            }
        }
    }

    /// The closure that writes the arguments into the key.
    fn write(&self) -> TokenStream {
        let names = self.arguments.iter().filter(|argument| argument.in_key);
        let names = names.map(|argument| &argument.name);
        quote! {
            |__larder_key| {
                let _ = &__larder_key;
                #(::larder::KeyPart::write(&#names, __larder_key);)*
            }
        }
    }

    /// The call that looks up and loads.
    fn load(&self) -> TokenStream {
        let names = self.arguments.iter().map(|argument| &argument.name);
        let behind = self.options.stale_while_revalidate.is_some();
        let outcome = self.outcome();
        if self.is_async() {
            let method = if behind {
                quote!(load_behind)
            } else {
                quote!(load)
            };
            quote! {
                __larder_call.#method(move || async move {
                    let __larder_answer = __larder_body(#(#names),*).await;
                    #outcome
                }).await
            }
        } else {
            let method = if behind {
                quote!(load_blocking_behind)
            } else {
                quote!(load_blocking)
            };
            quote! {
                __larder_call.#method(move || {
                    let __larder_answer = __larder_body(#(#names),*);
                    #outcome
                })
            }
        }
    }

    /// What the answer of the body comes to.
    fn outcome(&self) -> TokenStream {
        if self.fallible {
            quote!(::larder::memo::Fallible::into_outcome(__larder_answer))
        } else if self.options.store_errors {
            quote!(::larder::memo::Outcome::<_, ::core::convert::Infallible>::Keep(__larder_answer))
        } else {
            quote! {{
                #[allow(unused_imports)]
                use ::larder::memo::keeps::{Always as _, Success as _};
                type __LarderOutcome<T> = ::larder::memo::Outcome<T, ::core::convert::Infallible>;
                if (&::larder::memo::Keeps(&__larder_answer)).keep() {
                    __LarderOutcome::Keep(__larder_answer)
                } else {
                    __LarderOutcome::Return(__larder_answer)
                }
            }}
        }
    }

    /// What the caller gets.
    fn finish(&self) -> TokenStream {
        if self.fallible {
            quote!(__larder_result)
        } else {
            quote! {
                match __larder_result {
                    ::core::result::Result::Ok(__larder_answer) => __larder_answer,
                    ::core::result::Result::Err(__larder_never) => match __larder_never {},
                }
            }
        }
    }

    /// The function that knows the policy and the cache, made at the first call.
    fn memo(&self) -> TokenStream {
        let (memo, (value, error)) = (self.memo_name(), self.types());
        let ttl = &self.options.ttl;
        let window = |name: &str, span: &Option<TokenStream>| {
            let name = format_ident!("{name}");
            span.as_ref().map(|span| quote!(.#name(#span)))
        };
        let revalidate = window(
            "stale_while_revalidate",
            &self.options.stale_while_revalidate,
        );
        let on_error = window("stale_if_error", &self.options.stale_if_error);
        let cache = match &self.options.cache {
            Some(cache) => quote!(#cache),
            None => quote!(::larder::memo::cache()),
        };
        let name = self.name().to_string();
        quote! {
            #[doc(hidden)]
            fn #memo() -> &'static ::larder::memo::Memo<#value, #error> {
                // A type of its own: its name has the whole path in it, enclosing functions included.
                struct __LarderHere;
                fn __larder_cache() -> &'static ::larder::memo::MemoCache {
                    #cache
                }
                fn __larder_share(__larder_error: &#error) -> ::core::option::Option<::larder::Failure> {
                    #[allow(unused_imports)]
                    use ::larder::memo::shares::{Cloned as _, Never as _};
                    (&::larder::memo::Shares(__larder_error)).share()
                }
                fn __larder_weigh(__larder_value: &#value) -> ::core::primitive::usize {
                    #[allow(unused_imports)]
                    use ::larder::memo::weighs::{Plain as _, Weighed as _};
                    (&::larder::memo::Weighs(__larder_value)).weigh()
                }
                static __LARDER_MEMO: ::std::sync::OnceLock<::larder::memo::Memo<#value, #error>> =
                    ::std::sync::OnceLock::new();
                __LARDER_MEMO.get_or_init(|| {
                    let __larder_name = ::larder::memo::name_of::<__LarderHere>(#name, ::core::line!(), ::core::column!());
                    let __larder_policy = ::larder::Policy::new(#ttl) #revalidate #on_error;
                    ::larder::memo::Memo::new(
                        __larder_name,
                        __larder_policy,
                        __larder_cache,
                        ::larder::memo::Traits { weigh: __larder_weigh, share: __larder_share },
                    )
                })
            }
        }
    }

    /// `invalidate_<name>`.
    fn invalidate_one(&self) -> TokenStream {
        let (vis, memo, write) = (&self.item.vis, self.memo_name(), self.write());
        let name = format_ident!("invalidate_{}", self.name());
        let generics = &self.item.sig.generics;
        let inputs = self.arguments.iter().filter(|argument| argument.in_key);
        let inputs = inputs.map(|Argument { name, ty, .. }| quote!(#name: #ty));
        let what = format!(
            "Forgets what `{}` answered for these arguments.",
            self.name()
        );
        self.companion(
            &what,
            &quote! {
                #vis fn #name #generics (#(#inputs),*) -> ::larder::Result<bool> {
                    let __larder_memo = #memo();
                    let __larder_key = __larder_memo.key(#write);
                }
            },
        )
    }

    /// `invalidate_<name>_all`.
    fn invalidate_all(&self) -> TokenStream {
        let (vis, memo) = (&self.item.vis, self.memo_name());
        let name = format_ident!("invalidate_{}_all", self.name());
        let what = format!("Forgets everything that `{}` answered.", self.name());
        self.companion(
            &what,
            &quote! {
                #vis fn #name() -> ::larder::Result<bool> {
                    let __larder_memo = #memo();
                    let __larder_key = __larder_memo.base();
                }
            },
        )
    }

    /// A function that forgets its `key`, as asynchronous as the memoized one.
    fn companion(&self, what: &str, function: &TokenStream) -> TokenStream {
        let mut function: ItemFn = parse_quote!(#function);
        let forget: TokenStream = if self.is_async() {
            function.sig.asyncness = Some(parse_quote!(async));
            quote!(__larder_memo.forget(&__larder_key).await)
        } else {
            quote!(__larder_memo.forget_blocking(&__larder_key))
        };
        function
            .block
            .stmts
            .push(syn::Stmt::Expr(parse_quote!(#forget), None));
        let answers = "Answers whether there was something; fails when the store fails.";
        quote! {
            #[doc = #what]
            #[doc = ""]
            #[doc = #answers]
            #[allow(dead_code, clippy::needless_pass_by_value)]
            #function
        }
    }
}

fn is_lint(attribute: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &str, function: &str) -> String {
        let tokens = |text: &str| text.parse::<TokenStream>().unwrap();
        memoize(tokens(options), tokens(function))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_cannot_be_memoized_is_refused_with_the_cure() {
        for (options, function, said) in [
            ("", "fn f() {}", "add `ttl = \"2m\"`"),
            ("ttl = \"soon\"", "fn f() {}", "`soon` is no duration"),
            (
                "ttl = \"1m\", tll = \"2m\"",
                "fn f() {}",
                "`tll` is no option of memoize (known: ttl,",
            ),
            (
                "ttl = \"1m\", ttl = \"2m\"",
                "fn f() {}",
                "`ttl` is there twice",
            ),
            (
                "ttl = \"1m\", skip(database)",
                "fn f(id: u32) {}",
                "`database` is no argument of `f`",
            ),
            (
                "ttl = \"1m\"",
                "fn f(&self) {}",
                "move the work into a free function",
            ),
            (
                "ttl = \"1m\"",
                "fn f<T>(value: T) {}",
                "memoize one function for each type",
            ),
            (
                "ttl = \"1m\"",
                "fn f((a, b): (u8, u8)) {}",
                "take it apart in the body",
            ),
            ("ttl = \"1m\"", "fn f(a: impl Clone) {}", "needs one type"),
            (
                "ttl = \"1m\"",
                concat!("un", "safe fn f() {}"),
                "a const, unsafe or variadic function",
            ),
        ] {
            let refusal = refusal(options, function);
            assert!(refusal.contains(said), "{refusal}");
        }
    }

    #[test]
    fn the_companions_are_as_visible_and_as_asynchronous_as_the_function() {
        let options = quote!(ttl = "1m", skip(database));
        let function = quote!(
            pub(crate) async fn price(database: &Database, id: u32) -> u32 {
                id
            }
        );
        let file: syn::File = parse2(memoize(options, function).unwrap()).unwrap();
        let companions: Vec<String> = file
            .items
            .iter()
            .filter_map(|item| match item {
                syn::Item::Fn(function) => Some(function),
                _ => None,
            })
            .filter(|function| function.sig.ident.to_string().starts_with("invalidate"))
            .map(|ItemFn { vis, sig, .. }| quote!(#vis #sig).to_string())
            .collect();
        assert_eq!(
            companions,
            [
                "pub (crate) async fn invalidate_price (id : u32) -> :: larder :: Result < bool >",
                "pub (crate) async fn invalidate_price_all () -> :: larder :: Result < bool >",
            ]
        );
    }
}
