//! A price in SQLite, read through a memoized function, and changed in transactions: what is purged
//! waits for the commit, and a rollback purges nothing. Run it with
//! `cargo run --manifest-path examples/purge_on_commit/Cargo.toml`.

use larder::{memo, memoize};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Error, SqlitePool};

/// The price of a product in cents, from the database if it has to be.
#[memoize(ttl = "10m", tags = ["product:{id}"], skip(pool))]
async fn price(pool: &SqlitePool, id: i64) -> Result<Option<i64>, Error> {
    let price = sqlx::query_scalar("SELECT price FROM product WHERE id = ?");
    price.bind(id).fetch_optional(pool).await
}

/// Lets all prices rise, and the cache know of it, or neither.
async fn raise(pool: &SqlitePool, by: i64) -> Result<(), Box<dyn std::error::Error>> {
    let mut purge = memo::cache().purge_on_commit();
    let mut transaction = pool.begin().await?;
    let changed: Vec<(i64, i64)> =
        sqlx::query_as("UPDATE product SET price = price + ? RETURNING id, price")
            .bind(by)
            .fetch_all(&mut *transaction)
            .await?;
    for (id, price) in changed {
        // Whoever asks now still gets the old price, which is the one that holds.
        purge.tag(format!("product:{id}"));
        if price < 0 {
            // Both are dropped: nothing is changed, and nothing purged.
            return Err(format!("the price of product {id} would be {price}").into());
        }
    }
    transaction.commit().await?;
    purge.apply().await?;
    Ok(())
}

/// A database in memory with two products.
async fn database() -> Result<SqlitePool, Error> {
    // A database in memory is that of one connection.
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    let statements = [
        "CREATE TABLE product (id INTEGER PRIMARY KEY, price INTEGER NOT NULL)",
        "INSERT INTO product VALUES (1, 250), (7, 100)",
    ];
    for statement in statements {
        sqlx::query(statement).execute(&pool).await?;
    }
    Ok(pool)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = database().await?;
    println!("product 7 costs {:?} cents", price(&pool, 7).await?);
    raise(&pool, 20).await?;
    println!("after a commit it costs {:?} cents", price(&pool, 7).await?);
    if let Err(error) = raise(&pool, -200).await {
        println!("rolled back, for {error}");
    }
    println!("it still costs {:?} cents", price(&pool, 7).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prices_are_purged_by_the_commit_and_by_nothing_else() {
        let pool = database().await.unwrap();
        assert_eq!(price(&pool, 7).await.unwrap(), Some(100));
        // Behind the cache's back, so that a purge shows.
        let sneak = "UPDATE product SET price = 110 WHERE id = 7";
        sqlx::query(sneak).execute(&pool).await.unwrap();
        assert_eq!(price(&pool, 7).await.unwrap(), Some(100));
        // A rollback purges nothing and changes nothing.
        let error = raise(&pool, -200).await.unwrap_err();
        assert!(error.to_string().contains("would be -90"), "{error}");
        assert_eq!(price(&pool, 7).await.unwrap(), Some(100));
        raise(&pool, 20).await.unwrap();
        assert_eq!(price(&pool, 7).await.unwrap(), Some(130));
    }
}
