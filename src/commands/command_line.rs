//! The current command line, quoted for a shell, so that it can be run again.

use std::ffi::OsString;

use crate::format::for_shell;

/// The same command, quoted for a shell.
pub(super) fn again() -> String {
    quoted(std::env::args_os())
}

/// The same command against another host.
pub(super) fn with_endpoint(host: &str) -> String {
    quoted(replaced(std::env::args_os().collect(), host))
}

fn quoted(arguments: impl IntoIterator<Item = OsString>) -> String {
    let quoted = |argument: OsString| for_shell(&argument.to_string_lossy());
    arguments.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Replaces the value of `--endpoint`; without one, adds the flag after the subcommand, because the last argument may be
/// positional.
fn replaced(mut arguments: Vec<OsString>, host: &str) -> Vec<OsString> {
    const FLAG: &str = "--endpoint";
    if let Some(flag) = arguments.iter().position(|argument| argument == FLAG)
        && let Some(value) = arguments.get_mut(flag + 1)
    {
        *value = host.into();
        return arguments;
    }
    let whole = |argument: &OsString| argument.to_string_lossy().starts_with(&format!("{FLAG}="));
    if let Some(flag) = arguments.iter().position(whole) {
        arguments[flag] = format!("{FLAG}={host}").into();
        return arguments;
    }
    let run = arguments.iter().skip(1).position(|argument| argument == "run");
    let at = run.map_or(arguments.len(), |run| run + 2);
    arguments.splice(at..at, [FLAG.into(), host.into()]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_replaced_or_added_after_the_subcommand() {
        for (typed, expected) in [
            ("f run p.csv --endpoint old --yes", "f run p.csv --endpoint new --yes"),
            ("f run --endpoint=old p.csv", "f run --endpoint=new p.csv"),
            ("f -v run --yes -- p.csv", "f -v run --endpoint new --yes -- p.csv"),
            ("run run p.csv", "run run --endpoint new p.csv"),
        ] {
            let arguments = typed.split(' ').map(OsString::from).collect();
            assert_eq!(quoted(replaced(arguments, "new")), expected, "{typed}");
        }
    }
}
