//! What every service binary must show.

use waybill_testkit::{Unit, compliance::compliance};

#[tokio::test(flavor = "multi_thread")]
async fn ehr_ingest_complies() {
    compliance(Unit::EhrIngest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_distributor_complies() {
    compliance(Unit::LabDistributor).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmation_tracker_complies() {
    compliance(Unit::ConfirmationTracker).await.unwrap();
}
