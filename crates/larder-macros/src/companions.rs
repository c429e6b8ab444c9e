//! The functions that stand beside a memoized one.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, parse_quote};

use crate::arguments::Argument;
use crate::expand::Function;
use crate::tokens;

impl Function {
    /// `invalidate_<name>`, `invalidate_<name>_all` and `key_of_<name>`.
    pub(crate) fn companions(&self) -> TokenStream {
        let (one, all, key) = (self.invalidate_one(), self.invalidate_all(), self.key_of());
        quote!(#one #all #key)
    }

    fn invalidate_one(&self) -> TokenStream {
        let (vis, name, key) = (&self.item.vis, self.name(), self.key());
        let what = format!("Forgets what `{name}` answered for these arguments.");
        let companion = format_ident!("invalidate_{name}");
        let generics = &self.item.sig.generics;
        let inputs = self.inputs(|argument| argument.key.is_some());
        let bounds = &generics.where_clause;
        self.forgets(
            &what,
            &quote!(#vis fn #companion #generics (#(#inputs),*) -> ::larder::Result<bool> #bounds {}),
            &key,
        )
    }

    fn invalidate_all(&self) -> TokenStream {
        let (vis, name) = (&self.item.vis, self.name());
        let what = format!("Forgets everything that `{name}` answered, whatever its types.");
        let companion = format_ident!("invalidate_{name}_all");
        let inputs = self.inputs(|_| false);
        let generics = self.lifetimes();
        self.forgets(
            &what,
            &quote!(#vis fn #companion #generics (#(#inputs),*) -> ::larder::Result<bool> {}),
            &quote!(__larder_memo.base()),
        )
    }

    /// A function that forgets `key`, as asynchronous as the memoized one.
    fn forgets(&self, what: &str, function: &TokenStream, key: &TokenStream) -> TokenStream {
        let mut function: ItemFn = parse_quote!(#function);
        let (memo, cache) = (self.the_memo(), self.cache());
        let forget = if self.is_async() {
            function.sig.asyncness = Some(parse_quote!(async));
            quote!(__larder_cache.remove(&__larder_key).await)
        } else {
            quote!(::larder::memo::forget_blocking(
                __larder_cache,
                &__larder_key
            ))
        };
        function.block = parse_quote!({
            let __larder_memo = #memo;
            let __larder_key = #key;
            #cache
            #forget
        });
        let answers = "Answers whether there was something; fails when the store fails.";
        self.companion(&[what, "", answers], &quote!(#function))
    }

    fn key_of(&self) -> TokenStream {
        let (vis, memo, name, key) = (&self.item.vis, self.the_memo(), self.name(), self.key());
        let what = format!(
            "The key of what `{name}` answers for these arguments, for a purge that waits; its base key \
             stands for every answer."
        );
        let companion = format_ident!("key_of_{name}");
        let generics = &self.item.sig.generics;
        let bounds = &generics.where_clause;
        let inputs = self.arguments.iter();
        let inputs = inputs.filter(|argument| argument.key.is_some());
        let inputs = inputs.map(Argument::asked);
        self.companion(
            &[&what],
            &quote! {
                #[must_use]
                #vis fn #companion #generics (#(#inputs),*) -> ::larder::Key #bounds {
                    let __larder_memo = #memo;
                    #key
                }
            },
        )
    }

    fn companion(&self, doc: &[&str], function: &TokenStream) -> TokenStream {
        let conditions = self.conditions();
        quote! {
            #(#conditions)*
            #(#[doc = #doc])*
            #[allow(dead_code, unused_variables, clippy::extra_unused_lifetimes)]
            #[allow(clippy::extra_unused_type_parameters, clippy::needless_pass_by_value)]
            #function
        }
    }

    /// The arguments of a companion: the wanted ones, and what the cache is taken from.
    fn inputs(&self, wanted: impl Fn(&Argument) -> bool) -> Vec<FnArg> {
        let cache = &self.options.cache;
        let of_cache = |name: &Ident| {
            let name = name.to_string();
            cache
                .as_ref()
                .is_some_and(|cache| tokens::has_word(cache, &name))
        };
        let arguments = self.arguments.iter();
        let arguments = arguments.filter(|argument| wanted(argument) || of_cache(&argument.name));
        arguments.map(Argument::asked).collect()
    }

    /// The lifetimes of the function, for arguments that the cache is taken from.
    fn lifetimes(&self) -> TokenStream {
        let lifetimes = self.item.sig.generics.lifetimes();
        quote!(<#(#lifetimes),*>)
    }
}
