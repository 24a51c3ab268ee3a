//! Lines that are for a client program: `GO`, `DELIMITER`, `psql` and `sqlite3` commands.

/// What the `mysql` client keeps of a longer delimiter.
const LONGEST_DELIMITER: usize = 15;

/// The length of the line at the start of `rest`, without its line end.
pub(super) fn length(rest: &str) -> usize {
    rest.find(['\n', '\r']).unwrap_or(rest.len())
}

/// The length of the `GO` line at the start of `rest` and how often it wants its batch to run.
///
/// A count that is no number from 1 to 4294967295 makes the line text, which the server then refuses: better than to run
/// the batch another number of times than was meant.
pub(super) fn batch(rest: &str) -> Option<(usize, u32)> {
    let after = rest.get(..2)?.eq_ignore_ascii_case("GO").then_some(2)?;
    let line = rest.get(after..length(rest))?;
    let tail = trim(line);
    let digits = tail
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(tail.len());
    let (count, tail) = match tail.get(..digits)? {
        "" => (1, tail),
        _ if tail.len() == line.len() => return None,
        number => (
            number.parse().ok().filter(|&count| count > 0)?,
            tail.get(digits..)?,
        ),
    };
    let tail = trim(trim(tail).strip_prefix(';').unwrap_or(trim(tail)));
    only_comments(tail).then_some((after + line.len(), count))
}

/// The delimiter that the `DELIMITER` line at the start of `rest` sets.
pub(super) fn delimiter(rest: &str) -> Option<&str> {
    const COMMAND: usize = "DELIMITER".len();
    rest.get(..COMMAND)?
        .eq_ignore_ascii_case("DELIMITER")
        .then_some(())?;
    let argument = rest.get(COMMAND..length(rest))?;
    let word = argument
        .starts_with(char::is_whitespace)
        .then(|| argument.split_whitespace().next())??;
    let word = ['\'', '"', '`']
        .iter()
        .find_map(|&quote| word.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(word);
    let mut end = word.len().min(LONGEST_DELIMITER);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word.get(..end)
        .filter(|word| !word.is_empty() && !word.contains('\\'))
}

/// Whether `rest` starts with a command of the `sqlite3` shell.
pub(super) fn is_dot_command(rest: &str) -> bool {
    rest.strip_prefix('.')
        .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
}

fn trim(line: &str) -> &str {
    line.trim_start_matches(char::is_whitespace)
}

fn only_comments(mut line: &str) -> bool {
    while let Some(comment) = line.strip_prefix("/*") {
        let Some((_, after)) = comment.split_once("*/") else {
            return false;
        };
        line = trim(after);
    }
    line.is_empty() || line.starts_with("--")
}
