//! The binary; the service is the library.

fn main() -> std::process::ExitCode {
    waybill_runtime::run(ehr_ingest::SERVICE)
}
