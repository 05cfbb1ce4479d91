//! The `confirmation-tracker` process; the service itself is the library beside it.

fn main() -> std::process::ExitCode {
    waybill_runtime::run(confirmation_tracker::SERVICE)
}
