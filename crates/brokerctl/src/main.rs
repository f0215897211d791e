//! The program `brokerctl`; see the library.

fn main() -> std::process::ExitCode {
    brokerctl::cli::main()
}
