//! What both forms say about one target, and the target that comes of it.

use crate::{
    protocol::{Pair, Target},
    targets::{Fault, Listed, RowData, RowItem, cfg::two_databases_for_one_name},
};

/// One server with its databases, as the file has it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) line: u32,
    pub(super) server: String,
    pub(super) overrides: Vec<Override>,
}

/// One `DatabaseOverride`; texts that are not there are empty.
#[derive(Debug, Default)]
pub(super) struct Override {
    pub(super) line: u32,
    pub(super) tag: String,
    pub(super) server: String,
    pub(super) default: String,
    pub(super) database: String,
    pub(super) row: Vec<RowItem>,
}

impl Entry {
    /// The target, or everything that keeps it from being one.
    pub(super) fn into_listed(self) -> Result<Listed, Vec<Fault>> {
        let server = self.server.trim();
        let mut faults = Vec::new();
        if server.is_empty() {
            let problem = "the server has no name; accepted is a `ServerName`";
            faults.push(Fault::in_lines(vec![self.line], problem));
        }
        if self.overrides.is_empty() {
            let problem = "the server has no database; accepted is at least one `DatabaseOverride`";
            faults.push(Fault::in_lines(vec![self.line], problem));
        }
        let mut pairs = Vec::with_capacity(self.overrides.len());
        for each in &self.overrides {
            faults.extend(each.server_fault(server));
            match each.pair() {
                Ok(pair) => pairs.push(pair),
                Err(fault) => faults.push(fault),
            }
        }
        let problems = two_databases_for_one_name(&pairs).into_iter();
        faults.extend(problems.map(|problem| problem.at(self.line)));
        let tag = one_tag(&self.overrides).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let target = Target {
            server: server.to_owned(),
            pairs,
            tag,
        };
        let rows: Vec<Vec<RowItem>> = self.overrides.into_iter().map(|each| each.row).collect();
        Ok(Listed {
            row_data: RowData::new(rows),
            ..Listed::new(target, self.line)
        })
    }
}

impl Override {
    fn pair(&self) -> Result<Pair, Fault> {
        let named = |name: &str| !name.trim().is_empty();
        let default = match named(&self.default) {
            true => self.default.clone(),
            false => String::new(),
        };
        let database = match named(&self.database) {
            true => self.database.clone(),
            false => default.clone(),
        };
        if database.is_empty() {
            let problem = "the override has no name; accepted is an `OverrideDbTarget`, a `DefaultDbTarget`, or both";
            return Err(Fault::in_lines(vec![self.line], problem));
        }
        Ok(Pair { default, database })
    }

    /// The databases of a target are on one server, which the reference program does not check.
    fn server_fault(&self, server: &str) -> Option<Fault> {
        let own = self.server.trim();
        let differs = !own.is_empty() && !own.eq_ignore_ascii_case(server);
        differs.then(|| {
            let problem = format!(
                "the override names this server inside of the server `{server}`; accepted is one server for each target"
            );
            Fault::at(self.line, own, problem)
        })
    }
}

/// The tag of the first override that has one; all others have the same or none.
fn one_tag(overrides: &[Override]) -> Result<Option<String>, Fault> {
    let mut tagged = overrides.iter().filter(|each| !each.tag.trim().is_empty());
    let Some(first) = tagged.next() else {
        return Ok(None);
    };
    match tagged.find(|each| each.tag != first.tag) {
        None => Ok(Some(first.tag.clone())),
        Some(other) => {
            let problem = format!(
                "the override has this tag, and another one of the target has `{}`; accepted is one tag for each target",
                first.tag
            );
            Err(Fault::at(other.line, &other.tag, problem))
        }
    }
}
