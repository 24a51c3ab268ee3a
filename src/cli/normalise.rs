//! Turns the reference program's ways of writing options into the one that the parser knows.

use std::ffi::OsString;

/// The reference program's names of one hyphen and several letters, which a parser would take for several options.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("-sb", "--servicebustopicconnection"),
    ("-eh", "--eventhubconnection"),
    ("-kv", "--keyvaultname"),
    ("-pd", "--platinumdacpac"),
    ("-td", "--targetdacpac"),
    ("-gd", "--golddatabase"),
    ("-gs", "--goldserver"),
    ("-id", "--identityname"),
    ("-os", "--batchpoolos"),
];

/// The options whose value is never looked into.
pub(super) const SECRETS: [&str; 13] = [
    "--password",
    "-p",
    "--settingsfilekey",
    "--storageaccountkey",
    "--batchaccountkey",
    "-k",
    "--registrypassword",
    "--servicebustopicconnection",
    "--sb",
    "-sb",
    "--eventhubconnection",
    "--eh",
    "-eh",
];

/// The same command line, such that every option has its long name or one letter, and `=` before an attached value.
///
/// Changed are `-sb` and its like, `--option:value`, `-o:value` and `-?`. The word after a password option and
/// everything after `--` stay as they are.
pub fn normalise(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut as_they_are = false;
    let mut secret_follows = false;
    words
        .into_iter()
        .map(|word| {
            if as_they_are || std::mem::take(&mut secret_follows) {
                return word;
            }
            as_they_are = word == "--";
            secret_follows = SECRETS.iter().any(|option| word == **option);
            match word.to_str().and_then(normal) {
                Some(normal) => normal.into(),
                None => word,
            }
        })
        .collect()
}

/// The normal form of one word, when that is another one.
fn normal(word: &str) -> Option<String> {
    if word == "-?" {
        return Some("--help".to_owned());
    }
    let (option, value) = match word.split_once([':', '=']) {
        Some((option, value)) => (option, Some(value)),
        None => (word, None),
    };
    if !is_option(option) {
        return None;
    }
    let long = SHORT_NAMES.iter().find(|(short, _)| *short == option);
    let option = long.map_or(option, |(_, long)| *long);
    Some(match value {
        Some(value) => format!("{option}={value}"),
        None => option.to_owned(),
    })
}

/// Whether the word is `--name`, `-n` or one of the short names.
fn is_option(word: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .chars()
                .all(|each| each.is_ascii_alphanumeric() || each == '-')
    };
    match (word.strip_prefix("--"), word.strip_prefix('-')) {
        (Some(name), _) => is_name(name),
        (None, Some(letter)) if letter.len() == 1 => is_name(letter),
        _ => SHORT_NAMES.iter().any(|(short, _)| *short == word),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal_words(words: &[&str]) -> Vec<String> {
        normalise(words.iter().map(OsString::from))
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn each_form_of_the_reference_program_becomes_the_usual_one() {
        for (word, expected) in [
            ("-sb", "--servicebustopicconnection"),
            ("-eh=x", "--eventhubconnection=x"),
            ("-kv:x", "--keyvaultname=x"),
            ("-pd", "--platinumdacpac"),
            ("-td", "--targetdacpac"),
            ("-gd", "--golddatabase"),
            ("-gs", "--goldserver"),
            ("-id", "--identityname"),
            ("-os", "--batchpoolos"),
            ("--trial:false", "--trial=false"),
            ("--trial=false", "--trial=false"),
            ("--override:host:a,b=c", "--override=host:a,b=c"),
            ("--override=host:a,b", "--override=host:a,b"),
            ("--finish-partial:true", "--finish-partial=true"),
            ("-P:C:\\a.sbm", "-P=C:\\a.sbm"),
            ("-?", "--help"),
        ] {
            assert_eq!(normal_words(&[word]), [expected]);
        }
    }

    #[test]
    fn other_words_stay_as_they_are() {
        for word in [
            "build",
            "--trial",
            "-u",
            "host:5432",
            "a=b",
            "-sbx",
            "-1:2",
            "--",
            "-",
            "",
            "--1:2",
            "C:\\x",
            "--a b:c",
        ] {
            assert_eq!(normal_words(&[word]), [word]);
        }
        assert_eq!(
            normal_words(&["--", "-sb", "--a:b"]),
            ["--", "-sb", "--a:b"]
        );
    }

    #[test]
    fn passwords_are_never_changed() {
        for option in [
            "--password",
            "-p",
            "--settingsfilekey",
            "--storageaccountkey",
            "-k",
        ] {
            for secret in ["-pd", "--a:b", "-?", "--"] {
                let words = [option, secret, "--trial:true"];
                assert_eq!(normal_words(&words), [option, secret, "--trial=true"]);
            }
        }
        assert_eq!(normal_words(&["--password:a:b=c"]), ["--password=a:b=c"]);
    }

    proptest! {
        #[test]
        fn doing_it_twice_changes_nothing_more(words in proptest::collection::vec("[-=:a-z?]{0,6}", 0..6)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let once = normal_words(&words);
            let again: Vec<&str> = once.iter().map(String::as_str).collect();
            prop_assert_eq!(normal_words(&again), once.clone());
            prop_assert_eq!(once.len(), words.len());
        }
    }
}
