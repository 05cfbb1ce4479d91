//! The books against the real PostgreSQL; without one the tests say so and pass, except under CI.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod facts;
mod joins;
mod openapi;
mod owners;
mod passing;

/// The test's own books, or the end of the test where there is no PostgreSQL.
macro_rules! books {
    () => {
        match crate::facts::TestBooks::create().await {
            Some(books) => books,
            None => return,
        }
    };
}
pub(crate) use books;
