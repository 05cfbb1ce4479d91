//! See the library.

fn main() -> std::process::ExitCode {
    waybillctl::run(std::env::args_os())
}
