//! The `lab-distributor` process; the service itself is the library beside it.

fn main() -> std::process::ExitCode {
    waybill_runtime::run(lab_distributor::SERVICE)
}
