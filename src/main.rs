//! The program `mcp-scheduler`.

use std::process::ExitCode;

/// Half the allocations of a schedule are freed on another thread (the store's writer). The C library's allocator
/// is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    mcp_scheduler::cli::run(&arguments)
}
