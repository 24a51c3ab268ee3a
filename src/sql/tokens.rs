//! The build tokens, which stand in scripts for what is known only when a build runs.

use std::borrow::Cow;

use super::{
    Dialect,
    render::{Rendered, Renderer},
};

/// What the build tokens stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenValues {
    /// For `#BuildDescription#`.
    pub description: String,
    /// For `#BuildPackageHash#`.
    pub package_hash: String,
    /// For `#BuildFileName#`.
    pub file_name: String,
}

/// `text` with each build token replaced by its value, which is not searched for further tokens.
///
/// A value never ends the string, quoted name or comment that it is put into: quotes are doubled, backslashes too where
/// the string has such escapes, line ends in comments become blanks, and a dollar-quoted string gets another tag when it
/// needs one. In the body of a PostgreSQL function or `DO` block the same holds for the strings inside. Elsewhere in code
/// the value is put in as it is.
pub fn replace_tokens<'a>(text: &'a str, dialect: Dialect, values: &TokenValues) -> Rendered<'a> {
    if find(text, 0).is_none() {
        return Rendered::unchanged(Cow::Borrowed(text));
    }
    Renderer::new(text, dialect, values).render()
}

/// Which build token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Description,
    PackageHash,
    FileName,
}

impl Marker {
    /// What it stands for.
    pub(super) fn value(self, values: &TokenValues) -> &str {
        match self {
            Self::Description => &values.description,
            Self::PackageHash => &values.package_hash,
            Self::FileName => &values.file_name,
        }
    }
}

/// The build token at the start of `rest`, and its length.
pub(super) fn marker_at(rest: &str) -> Option<(Marker, usize)> {
    const MARKERS: [(&str, Marker); 3] = [
        ("#BuildDescription#", Marker::Description),
        ("#BuildPackageHash#", Marker::PackageHash),
        ("#BuildFileName#", Marker::FileName),
    ];
    if !rest.starts_with('#') {
        return None;
    }
    MARKERS.into_iter().find_map(|(name, marker)| {
        let start = rest.get(..name.len())?;
        start
            .eq_ignore_ascii_case(name)
            .then_some((marker, name.len()))
    })
}

/// The first build token of `text` at or after `from`, and where it is.
pub(super) fn find(text: &str, from: usize) -> Option<(usize, Marker, usize)> {
    let tail = text.get(from..)?;
    tail.match_indices('#').find_map(|(index, _)| {
        let (marker, length) = marker_at(tail.get(index..)?)?;
        Some((from + index, marker, length))
    })
}
