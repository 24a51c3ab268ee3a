//! Cells of answers as text that depends on no setting of server or session.

use std::fmt::Write;

/// A floating-point number: as few digits as tell it from every other one, with an exponent where it would be long.
pub(super) fn float(number: f64) -> String {
    short(number, number.to_string(), format!("{number:e}"))
}

/// As [`float`], of a number with single precision.
pub(super) fn single(number: f32) -> String {
    short(f64::from(number), number.to_string(), format!("{number:e}"))
}

fn short(number: f64, plain: String, with_exponent: String) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-5..1e15).contains(&size) {
        return with_exponent;
    }
    plain
}

/// Bytes as `0x` and hex digits.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("0x");
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02X}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        for (number, text) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (1.0, "1"),
            (123_456_789.25, "123456789.25"),
            (1e300, "1e300"),
            (-2.5e-7, "-2.5e-7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(number), text);
            if number.is_finite() {
                assert_eq!(float(number).parse::<f64>().unwrap(), number);
            }
        }
        assert_eq!(single(0.1), "0.1");
        assert_eq!(single(3.4e38), "3.4e38");
    }

    #[test]
    fn bytes_are_hex() {
        assert_eq!(bytes(&[]), "0x");
        assert_eq!(bytes(&[0, 0xab, 0xff]), "0x00ABFF");
    }
}
