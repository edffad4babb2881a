use std::io::Write;

use fastrand::Rng;

/// How many rounds a test does: `default`, or where long runs are asked for, one in `every` of those.
pub(crate) fn rounds(default: usize, every: usize) -> usize {
    number("SWITCHBOARD_FAULT_ROUNDS").map_or(default, |asked| (asked as usize / every).max(1))
}

/// Choices that can be repeated. Says its seed, which the harness shows when the test fails.
pub(crate) fn choices(test: &str) -> Rng {
    let seed = number("SWITCHBOARD_FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: SWITCHBOARD_FAULT_SEED={seed}");
    Rng::with_seed(seed)
}

/// Says that this machine lacks something. Written past the capture of the harness, in the words that
/// `cargo xtask test` counts.
pub(crate) fn not_run(test: &str, why: &str) {
    let line = format!("\nnot run - {test}: {why}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}
