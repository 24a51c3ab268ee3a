//! Environment variables, and their use within paths.

/// Gives the value of an environment variable. A function, so that tests need not change the real environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. Variables that are no Unicode count as not set.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Puts the values of `%NAME%` and `${NAME}` into `text`; the error is the name of a variable that is not set.
///
/// `%NAME%` is the form of the reference program on every system. Percent and dollar signs around anything but a name
/// stand for themselves.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next_variable(rest) {
        let value = environment(name).ok_or_else(|| name.to_owned())?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The text before the first variable of `text`, its name, and the text after it.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    [("%", "%"), ("${", "}")]
        .into_iter()
        .filter_map(|(open, close)| variable_between(text, open, close))
        .min_by_key(|(before, _, _)| before.len())
}

fn variable_between<'a>(
    text: &'a str,
    open: &str,
    close: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    text.match_indices(open).find_map(|(at, _)| {
        let (before, from) = text.split_at_checked(at)?;
        let (name, after) = from.strip_prefix(open)?.split_once(close)?;
        is_name(name).then_some((before, name, after))
    })
}

/// Letters, digits and underscores; parentheses because of `ProgramFiles(x86)`.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || "_()".contains(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/a%b".into()),
            "RUN" => Some("7".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in_once_and_other_text_stays() {
        for (text, expected) in [
            ("logs", "logs"),
            ("%HOME%/logs", "/home/a%b/logs"),
            ("${HOME}/%RUN%${RUN}", "/home/a%b/77"),
            ("100%/50%", "100%/50%"),
            ("a%", "a%"),
            ("$RUN ${", "$RUN ${"),
            ("50% of %RUN%", "50% of 7"),
            ("ü%RUN%é", "ü7é"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert_eq!(expand("%NONE%", &environment), Err("NONE".into()));
        assert_eq!(expand("a/${NONE}/b", &environment), Err("NONE".into()));
    }
}
