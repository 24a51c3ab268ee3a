//! Classes of UTF-16 units, as the reference program's regular expressions know them.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether the unit is white space.
pub(super) fn is_blank(unit: u16) -> bool {
    matches!(unit, 0x09..=0x0D | 0x85)
        || category(unit).is_some_and(|category| {
            matches!(
                category,
                GeneralCategory::SpaceSeparator
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            )
        })
}

/// Whether the unit is part of a word; halves of surrogate pairs are not.
pub(super) fn is_word(unit: u16) -> bool {
    matches!(unit, 0x200C | 0x200D)
        || category(unit).is_some_and(|category| {
            matches!(
                category,
                GeneralCategory::UppercaseLetter
                    | GeneralCategory::LowercaseLetter
                    | GeneralCategory::TitlecaseLetter
                    | GeneralCategory::ModifierLetter
                    | GeneralCategory::OtherLetter
                    | GeneralCategory::NonspacingMark
                    | GeneralCategory::DecimalNumber
                    | GeneralCategory::ConnectorPunctuation
            )
        })
}

/// Whether `text` begins with the ASCII letters and spaces of `words`, in any case.
pub(super) fn starts_with_word(text: &[u16], words: &str) -> bool {
    text.len() >= words.len()
        && text.iter().zip(words.bytes()).all(|(unit, byte)| {
            u8::try_from(*unit).is_ok_and(|unit| unit.eq_ignore_ascii_case(&byte))
        })
}

fn category(unit: u16) -> Option<GeneralCategory> {
    char::from_u32(u32::from(unit)).map(get_general_category)
}
