//! Names of scripts and entries: which are safe, which are the same, and how they sort.

use std::cmp::Ordering;

/// The manifest of an archive.
pub(super) const MANIFEST: &str = "SqlSyncBuildProject.xml";
/// The history of past builds in an archive.
pub(super) const HISTORY: &str = "SqlSyncBuildHistory.xml";

/// What separates the parts of a path on some system. Packages made on Windows hold whole Windows paths, so all of them
/// count on every system.
const SEPARATORS: [char; 3] = ['\\', '/', ':'];

/// The part of an entry name behind its last separator.
pub(super) fn base_name(entry: &str) -> &str {
    entry.rsplit(SEPARATORS).next().unwrap_or(entry)
}

/// Why an entry name is not accepted, if so.
pub(super) fn entry_fault(entry: &str) -> Option<&'static str> {
    if entry.starts_with('/') {
        return Some("is absolute");
    }
    if entry.split(SEPARATORS).any(|part| part == "..") {
        return Some("has a `..` in its path");
    }
    None
}

/// Why a name is no plain file name, if so.
pub(super) fn file_name_fault(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("is empty");
    }
    if name == "." || name == ".." {
        return Some("is a folder");
    }
    if name.contains(SEPARATORS) {
        return Some("holds a path separator (`\\`, `/` or `:`)");
    }
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'))
    {
        return Some("holds a control character");
    }
    if [MANIFEST, HISTORY]
        .iter()
        .any(|reserved| same(reserved, name))
    {
        return Some("is reserved for the package's own files");
    }
    None
}

/// Why a name is no path inside a folder, if so.
pub(super) fn path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if path.split('/').any(|part| part == "..") {
        return Some("has a `..` in its path");
    }
    path.split('/').find_map(file_name_fault)
}

/// Whether two names are one file on a system that ignores case.
pub(super) fn same(left: &str, right: &str) -> bool {
    folded(left) == folded(right)
}

/// The name in the form that is equal for names that are the [`same`].
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Whether the name ends in `.` and `extension`, in any case.
pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, end)| end.eq_ignore_ascii_case(extension))
}

/// Compares paths part by part, with numbers by their value: `2.sql` before `10.sql`.
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let tokens = |path: &str| path.split('/').map(tokens).collect::<Vec<_>>();
    tokens(left)
        .cmp(&tokens(right))
        .then_with(|| left.cmp(right))
}

/// One character, or one run of digits. Numbers sort where digits sort among characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Token {
    character: char,
    digits: usize,
    value: String,
}

fn tokens(part: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = part.chars().peekable();
    while let Some(character) = rest.next() {
        if !character.is_ascii_digit() {
            tokens.push(Token {
                character: character.to_lowercase().next().unwrap_or(character),
                digits: 0,
                value: String::new(),
            });
            continue;
        }
        let mut number = String::from(character);
        while let Some(digit) = rest.next_if(char::is_ascii_digit) {
            number.push(digit);
        }
        let value = number.trim_start_matches('0').to_owned();
        tokens.push(Token {
            character: '0',
            digits: value.len(),
            value,
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base_names_are_found_behind_every_separator() {
        for entry in [
            "a b.sql",
            "x/a b.sql",
            "C:\\x\\a b.sql",
            "C:a b.sql",
            "x\\y/a b.sql",
        ] {
            assert_eq!(base_name(entry), "a b.sql");
        }
        assert_eq!(base_name("folder/"), "");
    }

    #[test]
    fn names_that_leave_the_package_are_refused() {
        for entry in ["/a", "/x/a", "../a", "x/../a", "x\\..\\a", "C:..", ".."] {
            assert!(entry_fault(entry).is_some(), "{entry}");
        }
        for entry in ["a", "C:\\Users\\x\\a", "..a", "a..", "x/./a"] {
            assert_eq!(entry_fault(entry), None, "{entry}");
        }
        for name in [
            "",
            " ",
            ".",
            "..",
            "a/b",
            "a\\b",
            "C:a",
            "a\nb",
            "sqlsyncbuildproject.XML",
        ] {
            assert!(file_name_fault(name).is_some(), "{name}");
        }
        for path in ["/a", "../a", "a/../b", "a//b", "./a", "a/"] {
            assert!(path_fault(path).is_some(), "{path}");
        }
        assert_eq!(path_fault("a/b c/ä..sql"), None);
    }

    #[test]
    fn numbers_sort_by_value_and_parts_by_themselves() {
        let mut names = [
            "b", "a10", "a/2", "a2", "A3", "a/10", "a-1", "a02", "10", "9x",
        ];
        names.sort_by(|left, right| natural_order(left, right));
        assert_eq!(
            names,
            [
                "9x", "10", "a/2", "a/10", "a-1", "a02", "a2", "A3", "a10", "b"
            ]
        );
    }

    proptest! {
        #[test]
        fn natural_order_is_total(names in proptest::collection::vec("[aA0-2/.é]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(natural_order(a, b), natural_order(b, a).reverse());
            prop_assert_eq!(natural_order(a, b).is_eq(), a == b);
            if natural_order(a, b).is_le() && natural_order(b, c).is_le() {
                prop_assert!(natural_order(a, c).is_le());
            }
        }
    }
}
