//! One service as a process of its own, for tests that kill it: `mesh-service serve order-svc`, configured by its
//! environment, as `brokerctl dev --replicas` starts it.

fn main() -> std::process::ExitCode {
    brokerctl::cli::main()
}
