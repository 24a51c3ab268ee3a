//! The command line as its user would type it again, without its secrets.

use super::normalise;
use crate::report::Command;

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
    std::env::args_os()
        .next()
        .map_or_else(|| "sbm".to_owned(), |word| quoted(&word.to_string_lossy()))
}

fn from_words(words: &[String]) -> Command {
    let (mut base, mut targets) = (Vec::new(), Vec::new());
    let mut words = words.iter().peekable();
    base.extend(words.next().map(|program| quoted(program)));
    while let Some(word) = words.next() {
        let (name, has_value) = match word.split_once('=') {
            Some((name, _)) if name.starts_with("--") => (name, true),
            _ => (word.as_str(), false),
        };
        let part = part(name);
        // `--resume` and the switches may stand alone; every other option of these takes the next word.
        let alone = matches!(name, "--resume" | "--finish-partial" | "--finishpartial")
            && words.peek().is_none_or(|next| next.starts_with('-'));
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
        list.push(quoted(word));
        list.extend(value.map(|value| quoted(value)));
    }
    Command {
        base: base.join(" "),
        targets: targets.join(" "),
    }
}

fn part(name: &str) -> Part {
    match name {
        "--override" | "--server" | "-s" | "--database" | "-d" => Part::Targets,
        "--resume" | "--redo" | "--finish-partial" | "--finishpartial" | "--password" | "-p" => {
            Part::Dropped
        }
        _ if is_joined(name) => Part::Dropped,
        _ => Part::Base,
    }
}

/// `-pSECRET` in one word.
fn is_joined(name: &str) -> bool {
    name.len() > 2 && name.starts_with("-p")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "-_./:=,@%+".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
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
    }

    #[test]
    fn no_form_of_a_password_stays() {
        for line in [
            "sbm threaded run -p geheim -P p",
            "sbm threaded run --password geheim -P p",
            "sbm threaded run --password=geheim -P p",
            "sbm threaded run -pgeheim -P p",
        ] {
            assert_eq!(command(line).base, "sbm threaded run -P p", "{line}");
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("--x=/a/b.cfg"), "--x=/a/b.cfg");
        assert_eq!(quoted(""), "''");
    }
}
