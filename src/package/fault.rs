//! What can be wrong inside a package.

use uuid::Uuid;

/// One thing that is wrong inside a package. Its text names the place, the value and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An archive entry points out of the package.
    #[error(
        "entry `{entry}` {reason}; accepted are file names, also behind folders or a Windows path"
    )]
    UnsafeEntry {
        /// Its full name.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two archive entries would become one file.
    #[error(
        "entries `{first}` and `{second}` are both the file `{name}`; accepted is one of each name, in any case"
    )]
    SameEntry {
        /// The full name of the first.
        first: String,
        /// The full name of the second.
        second: String,
        /// The base name of the second.
        name: String,
    },
    /// Only a password opens the entry.
    #[error("entry `{entry}` is encrypted; accepted are entries without password")]
    EncryptedEntry {
        /// Its full name.
        entry: String,
    },
    /// The entry is packed in a way that is not supported.
    #[error("entry `{entry}` is packed with method {method}; accepted are `Stored` and `Deflated`")]
    PackingMethod {
        /// Its full name.
        entry: String,
        /// What the archive says.
        method: String,
    },
    /// The archive holds no manifest.
    #[error("it holds no `SqlSyncBuildProject.xml`; accepted is an archive with that entry")]
    NoManifest,
    /// The manifest cannot be parsed.
    #[error("the manifest is no well-formed XML: {reason}; accepted is XML 1.0 in UTF-8 or UTF-16")]
    Xml {
        /// What the parser says.
        reason: String,
    },
    /// The manifest declares a document type or uses an entity.
    #[error(
        "the manifest has {what}; accepted is XML without document type and with the five predefined entities"
    )]
    Entities {
        /// The declaration or the entity.
        what: String,
    },
    /// The manifest is in another XML namespace, or has another root element.
    #[error(
        "the manifest's root is `{root}` in namespace `{namespace}`; accepted is `SqlSyncBuildData` in `http://schemas.mckechney.com/SqlSyncBuildProject.xsd`"
    )]
    Namespace {
        /// The name of the root element.
        root: String,
        /// Its namespace; empty when it has none.
        namespace: String,
    },
    /// A script has a name that is no plain file name.
    #[error(
        "script {position} has the file name `{value}`, which {reason}; accepted are plain file names"
    )]
    FileName {
        /// Its place in the file, from 1.
        position: usize,
        /// The name.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two scripts have one file.
    #[error(
        "scripts `{first}` and `{second}` have one file name; accepted is one script of each name, in any case"
    )]
    SameFileName {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A script's id is no GUID.
    #[error("script `{script}` has the id `{value}`; accepted are GUIDs")]
    ScriptId {
        /// Its file name.
        script: String,
        /// The id.
        value: String,
    },
    /// Two scripts have one id.
    #[error(
        "scripts `{first}` and `{second}` have one id, {id}; accepted is a different GUID for each script"
    )]
    SameScriptId {
        /// The file name of the first.
        first: String,
        /// The file name of the second.
        second: String,
        /// The id.
        id: Uuid,
    },
    /// A script's time-out is negative.
    #[error(
        "script `{script}` has the time-out {value}; accepted are whole seconds from 1, and 0 for the run's default"
    )]
    ScriptTimeout {
        /// Its file name.
        script: String,
        /// The time-out.
        value: i32,
    },
    /// A script's file does not exist.
    #[error("script `{script}` has no file; accepted are scripts whose files are in the package")]
    MissingScript {
        /// Its file name.
        script: String,
    },
    /// There is nothing to build.
    #[error("it holds no script; accepted is at least one `.sql` file")]
    NoScripts,
    /// `sbm.yaml` cannot be parsed.
    #[error("`sbm.yaml` is no valid YAML: {reason}")]
    Yaml {
        /// What the parser says.
        reason: String,
    },
    /// `sbm.yaml` has a key that means nothing.
    #[error("{place} has the unknown key `{key}`; accepted are {accepted}")]
    UnknownKey {
        /// The file, or the script's entry in it.
        place: String,
        /// The key.
        key: String,
        /// The known keys.
        accepted: String,
    },
    /// A value in `sbm.yaml` is of the wrong kind.
    #[error("{place}: `{key}` is {value}; accepted is {accepted}")]
    Setting {
        /// The file, or the script's entry in it.
        place: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What may stand there.
        accepted: &'static str,
    },
    /// `sbm.yaml` lists a script whose name points out of the folder or is no name.
    #[error(
        "`sbm.yaml` lists `{value}`, which {reason}; accepted are paths inside the folder with `/` between their parts"
    )]
    ListedName {
        /// The name.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `sbm.yaml` lists a script that does not exist.
    #[error(
        "`sbm.yaml` lists `{file}`, which does not exist; accepted are files of this folder, in the same case"
    )]
    ListedMissing {
        /// The name.
        file: String,
    },
    /// `sbm.yaml` lists a script twice.
    #[error("`sbm.yaml` lists `{file}` twice; accepted is once")]
    ListedTwice {
        /// The name.
        file: String,
    },
    /// The folder holds a script that `sbm.yaml` does not list.
    #[error(
        "`{file}` is not listed in `sbm.yaml`; list it, or say `rest: append` or `rest: ignore`"
    )]
    NotListed {
        /// The name.
        file: String,
    },
    /// A file of the folder has a name that no archive can hold on every system.
    #[error(
        "`{file}` {reason}; accepted are names without `\\`, `:` and control characters, in Unicode"
    )]
    FolderName {
        /// Its path in the folder.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder contains itself by way of a link.
    #[error(
        "folder `{folder}` leads back to a folder around it; accepted are folders without such links"
    )]
    Loop {
        /// Its path in the folder.
        folder: String,
    },
    /// The settings file has a name that looks right and is not.
    #[error("it holds `{file}`, which is not read; accepted is the name `sbm.yaml`")]
    SettingsName {
        /// The name.
        file: String,
    },
    /// The ending of an output says that it is no package.
    #[error("`{value}` has no ending that can be written; accepted are `.sbm` and `.sbx`")]
    OutputEnding {
        /// The name.
        value: String,
    },
    /// A folder was given where a file is needed.
    #[error(
        "it is a folder; accepted are `.sbm` and `.sbx` files, as a folder needs no command to take in a script"
    )]
    IsFolder,
    /// No manifest is in a folder or in the folders inside it.
    #[error(
        "no `.sbx` file is in it or in the folders inside it; accepted is a folder with at least one"
    )]
    NothingToPack,
    /// The output exists.
    #[error("it exists already; accepted is a name that does not")]
    OutputExists,
    /// A file that lies where a script would be written is not that script.
    #[error("`{file}` lies beside it already and is another file; accepted is a folder without it")]
    InTheWay {
        /// The file.
        file: String,
    },
    /// A script file given to a command cannot be read.
    #[error("script file {file} cannot be read: {reason}; accepted are readable files")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the operating system says.
        reason: String,
    },
}
