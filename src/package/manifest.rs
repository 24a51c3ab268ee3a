//! `SqlSyncBuildProject.xml`: the manifest of a package, read.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::{
    Fault, Moment, Record, Script, decode_text, names, script,
    values::{boolean, integer, number},
    xml::{self, Attribute, Element},
};

/// The namespace of everything that a manifest's schema knows.
pub(super) const NAMESPACE: &str = "http://schemas.mckechney.com/SqlSyncBuildProject.xsd";
const NAMESPACE_HTTPS: &str = "https://schemas.mckechney.com/SqlSyncBuildProject.xsd";

/// Our own attribute: the path of a script in the folder it came from, when that is more than its file name.
pub(super) const PATH: &str = "Path";

/// What a manifest says. Scripts have no bytes yet.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The scripts in the order of the file.
    pub scripts: Vec<Listed>,
    /// Everything else.
    pub record: Record,
}

/// A script as the manifest lists it.
#[derive(Debug)]
pub(super) struct Listed {
    /// The base name under which its text is stored.
    pub file_name: String,
    /// Whether the manifest gives it an id.
    pub has_id: bool,
    /// Its settings.
    pub script: Script,
}

impl Listed {
    /// The script with its text. One without id gets an id from name and text, so that every reader finds the same.
    pub(super) fn with_bytes(self, bytes: Vec<u8>) -> Script {
        let mut script = self.script;
        if !self.has_id {
            script.id = script::derived_id(&[self.file_name.as_bytes(), &bytes]);
        }
        script.bytes = bytes;
        script
    }
}

/// Reads a manifest as far as it goes, with all faults in it.
pub(super) fn read(bytes: &[u8]) -> (Manifest, Vec<Fault>) {
    let mut reader = Reader::default();
    match root(bytes) {
        Ok(root) => reader.root(root),
        Err(fault) => reader.faults.push(fault),
    }
    reader.find_twins();
    (reader.manifest, reader.faults)
}

/// The root element, in one of the accepted namespaces.
fn root(bytes: &[u8]) -> Result<Element, Fault> {
    let text = decode_text(bytes);
    // U+FFFD is what undecodable bytes have become. Taking it for a name would find the wrong file.
    if text.contains(char::REPLACEMENT_CHARACTER) && String::from_utf8(bytes.to_vec()).is_err() {
        return Err(Fault::Xml {
            reason: "it is not encoded as it says".into(),
        });
    }
    let root = xml::parse(&text)?;
    let known = [NAMESPACE, NAMESPACE_HTTPS].contains(&root.namespace.as_str());
    if known && root.name == "SqlSyncBuildData" {
        return Ok(root);
    }
    Err(Fault::Namespace {
        root: root.name,
        namespace: root.namespace,
    })
}

#[derive(Default)]
struct Reader {
    namespace: String,
    manifest: Manifest,
    faults: Vec<Fault>,
    /// Ids as the file gives them, with the script that has them.
    ids: Vec<(Uuid, String)>,
}

impl Reader {
    fn root(&mut self, root: Element) {
        self.namespace.clone_from(&root.namespace);
        self.manifest
            .record
            .root_attributes
            .clone_from(&root.attributes);
        for element in root.elements() {
            if self.is(&element, "SqlSyncBuildProject") {
                self.project(element);
            } else {
                self.keep_at_root(element);
            }
        }
    }

    /// Whether the element is the one that the schema calls `name`.
    fn is(&self, element: &Element, name: &str) -> bool {
        element.name == name && element.namespace == self.namespace
    }

    fn keep_at_root(&mut self, element: Element) {
        let element = renamed(element, &self.namespace);
        self.manifest.record.root_elements.push(element);
    }

    /// Several projects in one file are one package; the first gives it its name.
    fn project(&mut self, mut project: Element) {
        let record = &mut self.manifest.record;
        let attributes = std::mem::take(&mut project.attributes);
        if record.project_attributes.is_empty() {
            record.project_attributes = attributes;
        } else if !attributes.is_empty() {
            record.further_projects.push(attributes);
        }
        for element in project.elements() {
            if self.is(&element, "Scripts") {
                self.scripts(element);
            } else if self.is(&element, "Builds") {
                self.builds(element);
            } else {
                let element = renamed(element, &self.namespace);
                self.manifest.record.project_elements.push(element);
            }
        }
    }

    fn builds(&mut self, mut builds: Element) {
        let attributes = std::mem::take(&mut builds.attributes);
        join(&mut self.manifest.record.builds_attributes, attributes);
        for element in builds.elements() {
            let element = renamed(element, &self.namespace);
            self.manifest.record.builds.push(element);
        }
    }

    fn scripts(&mut self, mut scripts: Element) {
        let attributes = std::mem::take(&mut scripts.attributes);
        join(&mut self.manifest.record.scripts_attributes, attributes);
        for element in scripts.elements() {
            if self.is(&element, "Script") {
                let listed = self.script(element);
                self.manifest.scripts.push(listed);
            } else if element.name == "Script" && element.namespace == NAMESPACE {
                // In a file with the other spelling this is no script, and must not become one.
                self.keep_at_root(element);
            } else {
                let element = renamed(element, &self.namespace);
                self.manifest.record.scripts_elements.push(element);
            }
        }
    }

    fn script(&mut self, mut element: Element) -> Listed {
        let mut fields = Fields {
            left: std::mem::take(&mut element.attributes),
            unreadable: Vec::new(),
        };
        let file_name = fields.take("FileName").unwrap_or_default();
        let position = self.manifest.scripts.len() + 1;
        if let Some(reason) = names::file_name_fault(&file_name) {
            self.faults.push(Fault::FileName {
                position,
                value: file_name.clone(),
                reason,
            });
        }
        let mut script = settings(&mut fields, &file_name);
        if let Some(path) = fields.take(PATH) {
            self.path(&mut script, path, position);
        }
        script.timeout = self.timeout(&mut fields, &file_name);
        let id = self.id(&mut fields, &file_name);
        script.provenance.unknown_attributes = fields.left;
        script.provenance.unreadable = fields.unreadable;
        script.provenance.unknown_content = content(renamed(element, &self.namespace));
        Listed {
            has_id: id.is_some(),
            script: Script {
                id: id.unwrap_or(script.id),
                ..script
            },
            file_name,
        }
    }

    fn path(&mut self, script: &mut Script, path: String, position: usize) {
        match names::path_fault(&path) {
            None => script.file = path,
            Some(reason) => self.faults.push(Fault::FileName {
                position,
                value: path,
                reason,
            }),
        }
    }

    /// The time-out. Zero would be endless in the reference program; here it is the run's default, so that nothing is.
    fn timeout(&mut self, fields: &mut Fields, script: &str) -> Option<Duration> {
        let value = fields.read("ScriptTimeOut", integer)?;
        let Ok(seconds) = u64::try_from(value) else {
            self.faults.push(Fault::ScriptTimeout {
                script: script.to_owned(),
                value,
            });
            return None;
        };
        if seconds == 0 {
            fields.keep("ScriptTimeOut", value.to_string());
            return None;
        }
        Some(Duration::from_secs(seconds))
    }

    fn id(&mut self, fields: &mut Fields, script: &str) -> Option<Uuid> {
        let value = fields
            .take("ScriptId")
            .filter(|value| !value.trim().is_empty())?;
        let Ok(id) = Uuid::try_parse(value.trim()) else {
            self.faults.push(Fault::ScriptId {
                script: script.to_owned(),
                value,
            });
            return None;
        };
        self.ids.push((id, script.to_owned()));
        Some(id)
    }

    /// Finds scripts with one name, one path or one id.
    fn find_twins(&mut self) {
        let mut names: HashMap<String, &str> = HashMap::new();
        for listed in &self.manifest.scripts {
            let name = listed.file_name.as_str();
            if let Some(first) = names.insert(names::folded(name), name) {
                self.faults.push(Fault::SameFileName {
                    first: first.to_owned(),
                    second: name.to_owned(),
                });
            }
        }
        let mut paths: HashMap<&str, &str> = HashMap::new();
        for listed in &self.manifest.scripts {
            let (path, name) = (listed.script.file.as_str(), listed.file_name.as_str());
            if let Some(first) = paths.insert(path, name)
                && !names::same(first, name)
            {
                self.faults.push(Fault::SameFileName {
                    first: first.to_owned(),
                    second: name.to_owned(),
                });
            }
        }
        let mut ids: HashMap<Uuid, &str> = HashMap::new();
        for (id, script) in &self.ids {
            if let Some(first) = ids.insert(*id, script) {
                self.faults.push(Fault::SameScriptId {
                    first: first.to_owned(),
                    second: script.clone(),
                    id: *id,
                });
            }
        }
    }
}

/// The settings whose unreadable values are no faults: they count as missing.
fn settings(fields: &mut Fields, file_name: &str) -> Script {
    let mut script = Script::new(file_name, Vec::new());
    script.order = fields.read("BuildOrder", number);
    script.description = fields.take("Description").unwrap_or_default();
    script.roll_back_on_error = fields.boolean("RollBackOnError", true);
    script.causes_build_failure = fields.boolean("CausesBuildFailure", true);
    script.database = fields.take("Database").unwrap_or_default();
    script.strip_transaction_text = fields.boolean("StripTransactionText", false);
    script.allow_multiple_runs = fields.boolean("AllowMultipleRuns", true);
    script.tag = fields.take("Tag").unwrap_or_default();
    let provenance = &mut script.provenance;
    provenance.date_added = fields.moment("DateAdded");
    provenance.added_by = fields.take("AddedBy").unwrap_or_default();
    provenance.date_modified = fields.moment("DateModified");
    provenance.modified_by = fields.take("ModifiedBy").unwrap_or_default();
    script
}

/// The attributes of an entry while they are read.
struct Fields {
    /// What was not looked at yet.
    left: Vec<Attribute>,
    /// What was looked at in vain.
    unreadable: Vec<Attribute>,
}

impl Fields {
    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.left.iter().position(|field| field.name == name)?;
        Some(self.left.remove(index).value)
    }

    /// The meaning of a value; one that has none is kept as it is.
    fn read<T>(&mut self, name: &str, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take(name)?;
        let value = meaning(&text);
        if value.is_none() && !text.trim().is_empty() {
            self.keep(name, text);
        }
        value
    }

    fn keep(&mut self, name: &str, value: String) {
        self.unreadable.push(Attribute {
            name: name.to_owned(),
            namespace: String::new(),
            value,
        });
    }

    fn boolean(&mut self, name: &str, default: bool) -> bool {
        self.read(name, boolean).unwrap_or(default)
    }

    /// A date; none for those that say "never".
    fn moment(&mut self, name: &str) -> Option<Moment> {
        self.read(name, Moment::parse_any)
            .filter(|moment| !moment.is_never())
    }
}

/// Adds attributes of a further list of the same kind; the first one of a name stays.
fn join(all: &mut Vec<Attribute>, further: Vec<Attribute>) {
    for attribute in further {
        let is_known = |known: &Attribute| {
            let prefix = |name: &str| name.split_once(':').map(|(prefix, _)| prefix.to_owned());
            let same_prefix =
                prefix(&known.name).is_some() && prefix(&known.name) == prefix(&attribute.name);
            // One prefix cannot stand for two namespaces.
            known.name == attribute.name || (same_prefix && known.namespace != attribute.namespace)
        };
        if !all.iter().any(is_known) {
            all.push(attribute);
        }
    }
}

/// What is in an element; blanks between elements are indents and do not count.
fn content(element: Element) -> Vec<xml::Node> {
    let is_text =
        |node: &xml::Node| matches!(node, xml::Node::Text(text) if !text.trim().is_empty());
    match element.children.iter().any(is_text) {
        true => element.children,
        false => element.elements().map(xml::Node::Element).collect(),
    }
}

/// The element with the file's namespace replaced by the one that is written.
fn renamed(mut element: Element, from: &str) -> Element {
    if element.namespace == from {
        element.namespace = NAMESPACE.to_owned();
    }
    element.children = std::mem::take(&mut element.children)
        .into_iter()
        .map(|node| match node {
            xml::Node::Element(child) => xml::Node::Element(renamed(child, from)),
            text @ xml::Node::Text(_) => text,
        })
        .collect();
    element
}
