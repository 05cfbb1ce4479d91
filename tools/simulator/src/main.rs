//! `simulator generate | send | receive`: see the library.

fn main() -> std::process::ExitCode {
    waybill_simulator::cli::main()
}
