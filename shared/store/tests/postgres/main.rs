//! Against the real PostgreSQL; without one the tests say so and pass, except under CI.
#![expect(clippy::unwrap_used, reason = "tests")]

mod failures;
mod migrations;
mod offsets;
mod outbox;

/// The test's own schema, or the end of the test where there is no PostgreSQL.
macro_rules! schema {
    () => {
        match waybill_store::testing::TestSchema::create().await {
            Some(schema) => schema,
            None => return,
        }
    };
}
pub(crate) use schema;
