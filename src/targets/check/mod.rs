//! Holds a target list against the package and the concurrency type, before anything is changed anywhere.

mod coverage;
mod duplicates;

use std::collections::HashSet;

use crate::{
    package::Package,
    protocol::{ConcurrencyType, Platform, Target},
};

use super::{Fault, Faults, Listed, RowData, TargetList, fault::some_of};

/// What a target list must fit.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Decides which servers and databases are equal.
    pub platform: Platform,
    /// Decides whether every target needs a tag.
    pub concurrency: ConcurrencyType,
    /// Each of its scripts needs a database in each target; none for runs without a package.
    pub package: Option<&'a Package>,
    /// Leave exact repeats out instead of refusing the list.
    pub allow_duplicates: bool,
}

/// A list that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The targets in the order of the list; no two of them share a database.
    pub targets: Vec<Target>,
    /// The row data of each target, at the same place.
    pub row_data: Vec<RowData>,
    /// What a user should know though nothing is wrong with it.
    pub warnings: Vec<String>,
}

/// Proves that `list` can be built by `rules`; every fault is reported, not only the first.
///
/// Two targets that share a database are a fault. A target repeats another exactly when server, pairs and tag are equal
/// as the platform compares them.
pub fn check(list: TargetList, rules: &Rules<'_>) -> Result<Checked, Faults> {
    let TargetList {
        name,
        targets,
        mut faults,
    } = list;
    let duplicates = duplicates::find(rules.platform, &targets, rules.allow_duplicates);
    if targets.is_empty() && faults.is_empty() {
        faults.push(Fault::in_lines(Vec::new(), "the list names no target"));
    }
    if rules.concurrency.needs_tag() {
        faults.extend(missing_tags(&targets, rules.concurrency));
    }
    if let Some(package) = rules.package {
        faults.extend(coverage::find(package, &targets));
    }
    faults.extend(duplicates.faults);
    if !faults.is_empty() {
        return Err(Faults { list: name, faults });
    }
    let warnings = repeats_warning(&name, &targets, &duplicates.repeats);
    let left_out: HashSet<usize> = duplicates.repeats.iter().map(|(at, _)| *at).collect();
    let kept = targets.into_iter().enumerate();
    let (targets, row_data) = kept
        .filter(|(at, _)| !left_out.contains(at))
        .map(|(_, listed)| (listed.target, listed.row_data))
        .unzip();
    Ok(Checked {
        targets,
        row_data,
        warnings: warnings.into_iter().collect(),
    })
}

fn missing_tags(targets: &[Listed], concurrency: ConcurrencyType) -> Option<Fault> {
    let has_tag = |listed: &Listed| {
        let tag = listed.target.tag.as_deref().unwrap_or_default();
        !tag.trim().is_empty()
    };
    let lines: Vec<u32> = targets
        .iter()
        .filter(|listed| !has_tag(listed))
        .map(|listed| listed.line)
        .collect();
    let message = format!(
        "the concurrency type {concurrency} needs a tag; accepted is `server:databases#tag`"
    );
    (!lines.is_empty()).then(|| Fault::in_lines(lines, message))
}

fn repeats_warning(name: &str, targets: &[Listed], repeats: &[(usize, usize)]) -> Option<String> {
    let line = |at: usize| targets.get(at).map_or(0, |listed| listed.line);
    let texts: Vec<String> = repeats
        .iter()
        .map(|(at, first)| format!("line {} (as line {})", line(*at), line(*first)))
        .collect();
    (!texts.is_empty()).then(|| {
        let shown = some_of(&texts, 20);
        format!("{name}: targets that repeat an earlier one are left out: {shown}")
    })
}

#[cfg(test)]
mod tests;
