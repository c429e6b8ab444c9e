//! The attribute `#[memoize]` of Larder. Use it as `larder::memoize`.

mod arguments;
mod duration;
mod expand;
mod options;

use proc_macro::TokenStream;

/// Keeps the answers of a function.
///
/// ```text
/// #[memoize(ttl = "2m", tags = ["product:{id}"])]
/// async fn product(id: u32) -> Result<Product, DatabaseError> { /* ... */ }
///
/// invalidate_product(7).await?;    // the answer for these arguments
/// invalidate_product_all().await?; // every answer
/// ```
///
/// The function is called once for all who ask at the same time with the same arguments, and its answer
/// is given to them as clones. Beside it stand two functions of the same visibility:
/// `invalidate_<name>` with the same arguments, and `invalidate_<name>_all`; both answer whether there
/// was something to forget, and are as asynchronous as the function.
///
/// Arguments have to implement `KeyPart`, and the answer `Clone + Send + Sync`. An answer whose type is
/// called `Result` is kept only if it is `Ok`; an error goes to everyone who waited for it, if it can be
/// cloned.
///
/// The memory that an answer takes is what its `Value::weight` says, if it has one, and else its size
/// without what it points to: implement `Value` for large answers of your own types.
///
/// | option | meaning |
/// |---|---|
/// | `ttl = "2m"` | how long an answer is fresh: `ms`, `s`, `m`, `h`, `d`, `w`, or `"forever"`; or an expression, a `Duration` or `Lifetime`. Required |
/// | `tags = ["product:{id}"]` | tags of an answer, with arguments as in `format!` |
/// | `skip(database)` | arguments that are no part of the key, such as a connection |
/// | `stale_while_revalidate = "1h"` | how long after that an answer is given while it is refreshed behind it; the arguments must then be owned and `Send` |
/// | `stale_if_error = "1d"` | how long after that an answer is given in place of an error |
/// | `store_errors = true` | keeps errors as well; they must be `Clone` |
/// | `cache = expression` | the cache to use, a `&'static MemoCache`; by default `larder::memo::cache()` |
///
/// A synchronous function waits by putting its thread to sleep. On a thread that runs tasks call an
/// asynchronous one.
#[proc_macro_attribute]
pub fn memoize(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::memoize(options.into(), function.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
