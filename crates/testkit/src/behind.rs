//! What happens to a database behind the program's back: rows that are damaged, servers that shut their doors.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

/// Runs a statement on a connection of its own. `url` is a stage's, or that of another database of the same server.
///
/// # Panics
/// If the database refuses.
pub async fn execute(url: &str, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("the file opens");
        connection.execute(statement).await.expect("the statement runs");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("the server answers");
        connection.execute(statement).await.expect("the statement runs");
    }
}

/// The one number that a question answers.
///
/// # Panics
/// If the database refuses, or answers anything else.
pub async fn number(url: &str, question: &str) -> i64 {
    let question = AssertSqlSafe(question.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("the file opens");
        sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("the question is answered")
    } else {
        let mut connection = PgConnection::connect(url).await.expect("the server answers");
        sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("the question is answered")
    }
}
