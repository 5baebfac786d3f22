//! The rate limiter as a native CNF.

fn main() -> std::process::ExitCode {
    cnf_runner::run_native::<rate_limiter::RateLimiter>()
}
