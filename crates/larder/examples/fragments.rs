//! A page of slow fragments, rendered again and again. Run it with `cargo run --example fragments`; it
//! says what each render printed, what it had to look up for that, and what it took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use larder::minijinja::Fragments;
use larder::{Cache, Memory, Policy};
use minijinja::{Environment, Error, context};

const PAGE: &str = r#"
{%- cache "10m", "menu", lang -%}
  Menu: {{ lookup("menu in " ~ lang) }}
{%- endcache %}
{%- cache "1h", "products", lang -%}
  {%- for id in [7, 8] %}
    {%- cache "1h", "product", id, lang, tags=["product:" ~ id] %}
      {%- include "product.html" %}
    {%- endcache %}
  {%- endfor %}
{%- endcache %}
Hello {{ user }}
"#;

const PRODUCT: &str = r#"
Product {{ id }} costs {{ price(id) }}"#;

/// Prices as a database has them, and everything that it was asked for.
#[derive(Clone, Default)]
struct Database {
    prices: Arc<Mutex<HashMap<u32, u32>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Database {
    fn lookup(&self, what: String) -> String {
        thread::sleep(Duration::from_millis(20));
        let mut asked = self.asked.lock().expect("nobody panics with it");
        asked.push(what.clone());
        what.to_uppercase()
    }

    fn price(&self, id: u32) -> u32 {
        self.lookup(format!("price of {id}"));
        let prices = self.prices.lock().expect("nobody panics with it");
        prices.get(&id).copied().unwrap_or(100)
    }
}

/// The templates of the site, with what they call.
fn templates(database: &Database, fragments: &Fragments) -> Environment<'static> {
    let mut env = Environment::new();
    // In a program of yours, path_loader("templates").
    fragments.set_loader(&mut env, |name| {
        Ok::<_, Error>(match name {
            "page.html" => Some(PAGE),
            "product.html" => Some(PRODUCT),
            _ => None,
        })
    });
    let here = database.clone();
    env.add_function("lookup", move |what: String| here.lookup(what));
    let here = database.clone();
    env.add_function("price", move |id: u32| here.price(id));
    env
}

/// Renders the page, says what it took, and answers what was looked up.
fn show(env: &Environment<'_>, database: &Database, user: &str) -> Result<Vec<String>, Error> {
    let started = Instant::now();
    let page = env.get_template("page.html")?;
    println!("{}", page.render(context! { user, lang => "en" })?);
    let asked = std::mem::take(&mut *database.asked.lock().expect("nobody panics with it"));
    println!("-- {:?}; looked up: {asked:?}\n", started.elapsed());
    Ok(asked)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::new(Memory::builder().build()?);
    let fragments = Fragments::new(cache, Policy::new(Duration::from_secs(300)))?;
    let database = Database::default();
    let env = templates(&database, &fragments);

    let asked = show(&env, &database, "Ann")?;
    assert_eq!(asked, ["menu in en", "price of 7", "price of 8"]);
    assert!(show(&env, &database, "Bob")?.is_empty());

    // One product changes: its fragment is rendered again, and the list around it, nothing else.
    database
        .prices
        .lock()
        .expect("nobody panics with it")
        .insert(8, 250);
    fragments.bump(["product:8"])?;
    assert_eq!(show(&env, &database, "Cy")?, ["price of 8"]);

    // Everybody comes at once after a deploy: each fragment is rendered once.
    fragments.clear()?;
    thread::scope(|scope| {
        for user in ["Di", "Ed", "Fay"] {
            let (env, database) = (&env, &database);
            scope.spawn(move || show(env, database, user).expect("the page renders"));
        }
    });
    Ok(())
}
