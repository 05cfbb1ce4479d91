use waybill_delivery::{Classify as _, ErrorClass};
use waybill_store::{Migration, StoreError, migrate};

use crate::schema;

const FIRST: Migration = Migration {
    version: 1,
    name: "first",
    sql: "CREATE TABLE thing (id int PRIMARY KEY)",
    compatible_from: 1,
};
const SECOND: Migration = Migration {
    version: 2,
    name: "second",
    sql: "ALTER TABLE thing ADD COLUMN name text; INSERT INTO thing VALUES (1, 'a')",
    compatible_from: 1,
};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once() {
    let schema = schema!();
    let replicas: Vec<_> = (0..4)
        .map(|_| {
            let store = schema.store();
            tokio::spawn(async move { migrate(&store, &[FIRST, SECOND]).await })
        })
        .collect();
    let mut applied = Vec::new();
    for replica in replicas {
        applied.extend(replica.await.unwrap().unwrap());
    }
    assert_eq!(applied, [1, 2]);
    schema.drop().await.unwrap();
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_behind() {
    let schema = schema!();
    let store = schema.store();
    let broken = Migration { sql: "CREATE TABLE other (id int); SELECT * FROM nowhere", ..SECOND };
    let error = migrate(&store, &[FIRST, broken]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Defect { sqlstate, .. } if sqlstate == "42P01"), "{error}");
    assert_eq!(error.class(), ErrorClass::Defect);
    assert_eq!(migrate(&store, &[FIRST, SECOND]).await.unwrap(), [1, 2]);
    schema.drop().await.unwrap();
}

#[tokio::test]
async fn what_was_applied_must_not_change_and_newer_schemas_work_while_compatible() {
    let schema = schema!();
    let store = schema.store();
    migrate(&store, &[FIRST, SECOND]).await.unwrap();
    let edited = Migration { sql: "CREATE TABLE thing (id bigint PRIMARY KEY)", ..FIRST };
    let error = migrate(&store, &[edited, SECOND]).await.unwrap_err();
    assert!(matches!(error, StoreError::MigrationChanged { version: 1 }), "{error}");
    // Rolled back to the version before: the addition does not trouble it.
    assert!(migrate(&store, &[FIRST]).await.unwrap().is_empty());
    let breaking = Migration { version: 3, name: "third", sql: "DROP TABLE thing", compatible_from: 3 };
    migrate(&store, &[FIRST, SECOND, breaking]).await.unwrap();
    let error = migrate(&store, &[FIRST, SECOND]).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaTooNew { found: 3 }), "{error}");
    assert_eq!(error.class(), ErrorClass::Configuration);
    schema.drop().await.unwrap();
}
