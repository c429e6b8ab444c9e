//! The catalogue's SQLite file, which the demo on Flask uses too: built once, then read and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Result, Row, Statement};
use sha2::{Digest, Sha256};

const SCRIPT: &str = include_str!("../../catalogue.sql");

/// Where the database of this script lies: its name holds the script's digest.
pub(crate) fn location() -> PathBuf {
    let digest = Sha256::digest(SCRIPT);
    let digest: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(".data");
    folder.join(format!("catalogue-{digest}.sqlite3"))
}

/// Builds the database if it is missing: under a name of its own, and renamed when it is complete, so
/// that an interrupted build leaves nothing half done behind.
pub(crate) fn ensure() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = location();
    if path.exists() {
        return Ok(path);
    }
    let folder = path.parent().ok_or("the database has no folder")?;
    std::fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("building-{}.sqlite3", std::process::id()));
    drop(std::fs::remove_file(&unfinished));
    let built = Connection::open(&unfinished)?.execute_batch(SCRIPT);
    if let Err(error) = built {
        drop(std::fs::remove_file(&unfinished));
        return Err(error.into());
    }
    std::fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    path: Arc<Path>,
    /// Connections that nobody uses at the moment.
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Database {
    pub(crate) fn open(path: PathBuf) -> Self {
        Self {
            path: path.into(),
            idle: Arc::default(),
        }
    }

    /// Every row of a query, as maps that templates read.
    pub(crate) fn rows(&self, sql: &str, parameters: impl Params) -> Result<Vec<Value>> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let names = names(&statement);
            let rows = statement.query_map(parameters, |row| to_map(row, &names))?;
            rows.collect()
        })
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row(&self, sql: &str, parameters: impl Params) -> Result<Option<Value>> {
        Ok(self.rows(sql, parameters)?.into_iter().next())
    }

    /// Runs `work` in one transaction: all of it, or nothing.
    pub(crate) fn write(&self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            work(&transaction)?;
            transaction.commit()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut connection = match known {
            Some(connection) => connection,
            None => Connection::open(&self.path)?,
        };
        let result = work(&mut connection);
        idle().push(connection);
        result
    }
}

fn names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

fn to_map(row: &Row<'_>, names: &[String]) -> Result<Value> {
    let mut map = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Null | ValueRef::Blob(_) => Value::from(()),
            ValueRef::Integer(number) => Value::from(number),
            ValueRef::Real(number) => Value::from(number),
            ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text).into_owned()),
        };
        map.insert(name.clone(), value);
    }
    Ok(map.into())
}
