//! Processes of this machine.

/// When a process that runs was started, in ticks since the machine was; with it, a number that is used again is known as such.
///
/// None for a process that has ended, and where that cannot be told.
pub(crate) fn started(process: u32) -> Option<i64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program is in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // The state is the 3rd field of the line, the start the 22nd.
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_a_start_and_one_that_ended_has_none() {
        let own = started(std::process::id()).unwrap();
        assert!(own > 0);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        // Its number may be in use again, by a process that was started later.
        assert!(started(id).is_none_or(|start| start >= own));
    }
}
