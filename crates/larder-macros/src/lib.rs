//! The attribute `#[memoize]` of Larder. Use it as `larder::memoize`.

mod arguments;
mod companions;
mod duration;
mod expand;
mod options;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod tests;
mod tokens;

use proc_macro::TokenStream;

/// Keeps the answers of a function or a method.
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
/// is given to them as clones. An `async fn` awaits on whatever runtime it is called; any other function
/// waits by putting its thread to sleep, so on a thread that runs tasks call an asynchronous one.
///
/// Beside it stand three functions of the same visibility: `invalidate_<name>` with the same arguments
/// and `invalidate_<name>_all` answer whether there was something to forget, and are as asynchronous as
/// the function; `key_of_<name>` makes the key of a call, for purges that wait for a commit.
///
/// | option | meaning |
/// |---|---|
/// | `ttl = "2m"` | how long an answer is fresh: `ms`, `s`, `m`, `h`, `d`, `w`, or `"forever"`; or an expression, a `Duration` or `Lifetime`. Required |
/// | `tags = ["product:{id}"]` | tags of an answer: texts with arguments as in `format!`, or expressions that can be shown |
/// | `skip(database)` | arguments that are no part of the key, such as a connection; `self` too |
/// | `key(order = order.id)` | what stands in the key for an argument; for `self` too |
/// | `stale_while_revalidate = "1h"` | how long after that an answer is given while it is refreshed behind it |
/// | `stale_if_error = "1d"` | how long after that an answer is given in place of an error |
/// | `soft_timeout = "100ms"` | how long a caller waits for a refresh before it gets the answer that `stale_while_revalidate` allows |
/// | `hard_timeout = "2s"` | how long a caller waits at all; then the call fails with a `TimedOut`, of which the error of the function is made (`From<larder::TimedOut>`) |
/// | `discard_late = true` | what takes longer than its timeout is thrown away, and counts as failed |
/// | `store_errors = true` | keeps errors as well; they must be `Clone` |
/// | `store_none = true` | keeps `None` as well |
/// | `cache = expression` | the cache to use: a `MemoCache`, a `PortableCache` or what points to one; it may speak of arguments and `self` |
/// | `cache = "prices"` | the cache of this name, `larder::memo::named("prices")` |
/// | `max_entries = 1000`, `max_bytes = 1 << 20` | a cache for this function alone, in this process, with these bounds |
/// | `name = "shop.product"` | what the answers lie under, in place of the path and the place of the function: the same in all versions of a program |
/// | `in_impl = true` | for a function in an `impl` that speaks neither of `self` nor of `Self` |
/// | `invalidate = false` | leaves the three functions beside it out |
///
/// Without an option that names one, answers lie in `larder::memo::cache()`.
///
/// # Answers
///
/// An answer is `Clone + Send + Sync + 'static`. Of a `Result` only what is `Ok` is kept, of an `Option`
/// only what is `Some`, and of a `Result` of an `Option` only `Ok(Some(..))`, under whatever alias: the
/// type is asked, not its name. What is not kept goes to everyone who waited for it all the same; an
/// error does if it can be cloned. In a function that is generic over its answer, `T` is not asked
/// whether it is one of these.
///
/// The memory that an answer takes is what its `Value::weight` says, if it has one, and else its size
/// without what it points to: implement `Value` for large answers of your own types.
///
/// # The key
///
/// Arguments have to implement `KeyPart`; references do as what they point to. Type and const
/// parameters are part of the key, and so is the type of `Self`: `impl KeyPart` for it, or say what
/// stands for it, as in `key(self = self.name)`, or `skip(self)` where all are alike. A parameter that
/// only occurs in skipped arguments has to be named to forget: `invalidate_product::<Pool>(7)`.
///
/// # Where the answers lie
///
/// A `MemoCache` is in this process and keeps any answer. A `PortableCache` (feature `serde`) may lie in
/// Redis, in files, in tiers, in whatever `larder::open` opens; its answers are written by serde, which
/// the compiler asks for. Give functions a `name` there: without one, the versions of a program that run
/// at the same time during a deployment do not meet, and do not forget for each other.
///
/// # Timeouts
///
/// With `soft_timeout` or `hard_timeout` the function goes on when its caller has left, and its answer is
/// kept: as a task of tokio (feature `tokio`) or on a thread; one that is not asynchronous runs on a
/// thread from its beginning. Like a refresh it takes along clones of what it borrows. Timeouts that are
/// expressions and do not fit together panic with the first call.
///
/// # Methods
///
/// With `stale_while_revalidate` a refresh outlives the call: it takes along clones of what the function
/// only borrows, `self` included. A method that implements a trait cannot have functions beside it:
/// memoize a method of the type and call that.
#[proc_macro_attribute]
pub fn memoize(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::memoize(options.into(), function.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
