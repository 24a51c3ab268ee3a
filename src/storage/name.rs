//! Names that every storage takes, and that cannot lead out of it.

use super::Error;

/// The most bytes of a name, and of one of its parts.
const LONGEST: usize = 1_024;
const LONGEST_PART: usize = 200;

/// Checks the name of an object.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let parts = || name.split('/');
    let why = if name.len() > LONGEST {
        Some("it is longer than 1024 bytes")
    } else if parts().any(str::is_empty) {
        Some("it has an empty part")
    } else {
        parts().find_map(fault)
    };
    refuse(name, why)
}

/// Checks the beginning of a name; it may be empty, or end anywhere in a part.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Error> {
    let (folders, rest) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    if prefix.contains('/') {
        check(folders)?;
    }
    let why = if rest.is_empty() {
        None
    } else {
        beginning_fault(rest)
    };
    refuse(prefix, why)
}

/// Whether one part of a path may be a part of a name.
pub(super) fn is_part(part: &str) -> bool {
    !part.is_empty() && fault(part).is_none()
}

fn refuse(name: &str, why: Option<&'static str>) -> Result<(), Error> {
    why.map_or(Ok(()), |why| {
        Err(Error::Name {
            name: name.to_owned(),
            why,
        })
    })
}

fn fault(part: &str) -> Option<&'static str> {
    if part.ends_with('.') {
        return Some("a part of it ends with a dot");
    }
    beginning_fault(part)
}

fn beginning_fault(part: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+%~".contains(&byte);
    if part.len() > LONGEST_PART {
        Some("a part of it is longer than 200 bytes")
    } else if part.starts_with('.') {
        Some("a part of it begins with a dot")
    } else if !part.bytes().all(allowed) {
        Some(
            "letters from a to z, digits and the signs - _ . + % ~ are accepted, and / between its parts",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_and_have_only_signs_that_need_no_care() {
        for good in ["a", "runs/0f8f/job.json", "a/B-_.+%2f~/c.1.jsonl"] {
            check(good).unwrap();
        }
        let long = "x".repeat(LONGEST_PART + 1);
        let longer = "x/".repeat(LONGEST / 2) + "x";
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", ".a", "a.", "a/.b", "a\\b", "a b",
            "a\0", "ä", "a:b", &long, &longer,
        ] {
            let message = check(bad).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{bad}`")), "{message}");
        }
    }

    #[test]
    fn a_prefix_may_end_anywhere() {
        for good in ["", "a", "a/", "a/b.", "runs/x/results/w."] {
            check_prefix(good).unwrap();
        }
        for bad in ["/", "/a", "a//", "../", "..", ".", "a/.", "a /", "a./b"] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }
}
