//! How the attribute values of a manifest are read and written.

/// `true` or `false` in any case; anything else is no value.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number with an optional sign; anything else is no value.
pub(super) fn integer(text: &str) -> Option<i32> {
    text.trim().parse().ok()
}

/// A number with optional sign, thousands commas, point and exponent; anything else is no value, nor are numbers that
/// have no place in an order.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let whole_end = text.find(['.', 'e', 'E']).unwrap_or(text.len());
    let (whole, rest) = text.split_at_checked(whole_end)?;
    let digits_first = whole.trim_start_matches(['+', '-']).chars().next();
    if digits_first == Some(',') || rest.contains(',') {
        return None;
    }
    let plain = format!("{}{rest}", whole.replace(',', ""));
    // Words such as `inf` are numbers to Rust, but not in a manifest.
    if !plain
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
    {
        return None;
    }
    let number: f64 = plain.parse().ok()?;
    // Adding zero makes 0 of -0, which would sort before it.
    number.is_finite().then_some(number + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_by_the_reference_program() {
        assert_eq!(boolean(" TRUE "), Some(true));
        assert_eq!(boolean("False"), Some(false));
        for text in ["1", "0", "yes", ""] {
            assert_eq!(boolean(text), None);
        }
        assert_eq!(integer(" +500 "), Some(500));
        assert_eq!(integer("-1"), Some(-1));
        for text in ["500.0", "", "5 0", "99999999999"] {
            assert_eq!(integer(text), None);
        }
        for (text, value) in [
            ("1", 1.0),
            (" -1.5 ", -1.5),
            ("1,000", 1000.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "NaN", "inf", "1e999", "1 2", ",1", "1.0,0", "x"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert!(number("-0").unwrap().is_sign_positive());
    }
}
