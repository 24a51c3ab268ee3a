//! Whether each script has a database in each target.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    package::Package,
    protocol::Pair,
    targets::{Fault, Listed, fault::some_of},
};

/// As many scripts or ranges of lines are named in one fault.
const SHOWN: usize = 20;

/// The scripts for one database name of the package.
struct Scripts<'a> {
    name: &'a str,
    files: Vec<&'a str>,
}

/// One fault for each name of the package that a target does not serve.
pub(super) fn find(package: &Package, targets: &[Listed]) -> Vec<Fault> {
    by_name(package)
        .iter()
        .filter_map(|scripts| {
            let lines: Vec<u32> = targets
                .iter()
                .filter(|listed| listed.target.database_for(scripts.name).is_err())
                .map(|listed| listed.line)
                .collect();
            (!lines.is_empty()).then(|| Fault::in_lines(lines, scripts.problem()).showing(SHOWN))
        })
        .collect()
}

/// Scripts by the name of their database, in any case, in the order of the package.
fn by_name(package: &Package) -> Vec<Scripts<'_>> {
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut all: Vec<Scripts<'_>> = Vec::new();
    for script in &package.scripts {
        let place = *places
            .entry(Pair::fold(&script.database))
            .or_insert(all.len());
        match all.get_mut(place) {
            Some(scripts) => scripts.files.push(&script.file),
            None => all.push(Scripts {
                name: &script.database,
                files: vec![&script.file],
            }),
        }
    }
    all
}

impl Scripts<'_> {
    fn problem(&self) -> String {
        let files = some_of(&self.files, SHOWN);
        match self.name {
            "" => format!(
                "no pair serves scripts that name no database ({files}); name one in the package, or use a single pair"
            ),
            name => format!(
                "no pair serves the scripts of `{name}` ({files}); add the pair `{name},DATABASE`"
            ),
        }
    }
}
