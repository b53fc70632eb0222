//! One ordered list of migrations for both engines: `NNNN_owner_what.sql` beside this crate.
//!
//! A crate of its own so that a new step rebuilds only the server and the tests, not every crate above the store.

use store::Migration;

#[derive(rust_embed::RustEmbed)]
#[folder = "."]
#[include = "*.sql"]
struct Files;

/// All migrations, oldest first.
pub fn all() -> Vec<Migration> {
    let mut migrations: Vec<Migration> = Files::iter()
        .filter_map(|name| {
            let file = Files::get(&name)?;
            Migration::from_file(&name, std::str::from_utf8(&file.data).ok()?)
        })
        .collect();
    migrations.sort_by_key(|migration| migration.version);
    migrations
}
