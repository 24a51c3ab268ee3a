//! The command line as its user would type it again, without its secrets.

use super::normalise;
use crate::report::{Command, shell_word};

/// What happens to an option when a command line is repeated.
enum Part {
    /// It stays.
    Base,
    /// It says which databases: another list takes its place.
    Targets,
    /// It is left out.
    Dropped,
}

/// The command that this process was started with.
pub(super) fn command() -> Command {
    let words = normalise(std::env::args_os());
    from_words(
        &words
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>(),
    )
}

/// How this program was called.
pub(super) fn program() -> String {
    std::env::args_os().next().map_or_else(
        || "sbm".to_owned(),
        |word| shell_word(&word.to_string_lossy()),
    )
}

fn from_words(words: &[String]) -> Command {
    let (mut base, mut targets) = (Vec::new(), Vec::new());
    let makes_a_job = makes_a_job(words);
    let mut words = words.iter().peekable();
    base.extend(words.next().map(|program| shell_word(program)));
    while let Some(word) = words.next() {
        let (name, has_value) = match word.split_once('=') {
            Some((name, _)) if name.starts_with("--") => (name, true),
            _ => (word.as_str(), false),
        };
        let part = match name {
            "--force" if makes_a_job => Part::Dropped,
            _ => part(name),
        };
        // `--resume` and the switches may stand alone; every other option of these takes the next word.
        let alone = matches!(
            name,
            "--resume" | "--finish-partial" | "--finishpartial" | "--force"
        ) && words.peek().is_none_or(|next| next.starts_with('-'));
        let value = match part {
            Part::Base => None,
            _ if has_value || alone || is_joined(name) => None,
            _ => words.next(),
        };
        let list = match part {
            Part::Base => &mut base,
            Part::Targets => &mut targets,
            Part::Dropped => continue,
        };
        list.push(shell_word(word));
        list.extend(value.map(|value| shell_word(value)));
    }
    Command {
        base: base.join(" "),
        targets: targets.join(" "),
        ..Command::default()
    }
}

/// Whether `--force` gives up the job that is there: that of the very run which is told to be repeated. For other commands it
/// means that a file is replaced, and stays.
fn makes_a_job(words: &[String]) -> bool {
    words.windows(2).any(|pair| match pair {
        [group, step] => group == "local" && matches!(step.as_str(), "run" | "prep"),
        _ => false,
    })
}

fn part(name: &str) -> Part {
    match name {
        "--override" | "--server" | "-s" | "--database" | "-d" => Part::Targets,
        _ if is_joined(name) && !name.starts_with("-p") => Part::Targets,
        "--resume" | "--redo" | "--finish-partial" | "--finishpartial" | "--password" | "-p"
        | "--settingsfilekey" => Part::Dropped,
        _ if is_joined(name) => Part::Dropped,
        _ => Part::Base,
    }
}

/// `-pSECRET`, `-sSERVER` or `-dDATABASE` in one word.
fn is_joined(name: &str) -> bool {
    name.len() > 2
        && ["-p", "-s", "-d"]
            .iter()
            .any(|short| name.starts_with(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        from_words(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn targets_stand_apart_and_what_belongs_to_one_run_is_left_out() {
        let command =
            command("sbm threaded run -P p --override a.cfg --resume --redo failed --trial true");
        assert_eq!(command.base, "sbm threaded run -P p --trial true");
        assert_eq!(command.targets, "--override a.cfg");
        let command = self::command("sbm build -P p -s h -d x --resume 1234 --output json");
        assert_eq!(
            (command.base.as_str(), command.targets.as_str()),
            ("sbm build -P p --output json", "-s h -d x")
        );
        let command = self::command("sbm build -sh -dx -P p");
        assert_eq!(
            (command.base.as_str(), command.targets.as_str()),
            ("sbm build -P p", "-sh -dx")
        );
    }

    #[test]
    fn a_job_keeps_its_name_and_is_not_given_up_again() {
        for force in ["--force", "--force true", "--force=TRUE"] {
            for command in ["run", "prep"] {
                let line = format!("sbm local {command} --jobname j {force} --override a.cfg -P p");
                let repeated = self::command(&line);
                let base = format!("sbm local {command} --jobname j -P p");
                assert_eq!(repeated.base, base);
                assert_eq!(repeated.targets, "--override a.cfg");
            }
        }
        for line in [
            "sbm local query --force --queryfile q",
            "sbm threaded query --force true --queryfile q",
        ] {
            assert_eq!(command(line).base, line);
        }
        // `local` may be anything but the command.
        let line = "sbm threaded query --outputfile local --force --queryfile run";
        assert_eq!(command(line).base, line);
    }

    #[test]
    fn no_form_of_a_password_stays() {
        for line in [
            "sbm threaded run -p geheim -P p",
            "sbm threaded run --password geheim -P p",
            "sbm threaded run --password=geheim -P p",
            "sbm threaded run -pgeheim -P p",
            "sbm threaded run --settingsfilekey geheim -P p",
            "sbm threaded run --settingsfilekey=geheim -P p",
        ] {
            assert_eq!(command(line).base, "sbm threaded run -P p", "{line}");
        }
    }
}
