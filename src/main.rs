//! The `ringlog` command. Everything is in `ringlog::cli`.

fn main() -> std::process::ExitCode {
    ringlog::cli::main()
}
