//! Processes that a test started: signals by the shell's own `kill`, and whether one still runs. No other program is
//! needed for it.

use std::{fs, path::Path, process::Command};

/// Sends a signal, such as `-KILL`; whether it could be sent.
pub fn signal(pid: &str, signal: &str) -> bool {
    Command::new("sh").args(["-c", "kill \"$1\" \"$2\" 2>/dev/null", "sh", signal, pid]).status().unwrap().success()
}

/// A process that has ended may still be listed until somebody asks how; only `/proc` tells that apart.
pub fn runs(pid: &str) -> bool {
    if !Path::new("/proc/self").exists() {
        return signal(pid, "-0");
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name stands in parentheses, and may hold some.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}
