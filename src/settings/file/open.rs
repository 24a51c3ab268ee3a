//! A settings file on a disk: opened with its key, asked, changed and saved.

use std::{
    fmt, fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::{
    cipher::{self, Shape},
    document::{Document, Value, is_blank},
    key::SettingsKey,
    member::{self, Kind, MEMBERS, Member},
    parse::parse,
    write::write,
};
use crate::{
    secrets::{Error, SecretName, Secrets},
    settings::Fault,
};

/// No settings file is longer.
const LONGEST: u64 = 1024 * 1024;
/// So many links may lead from one to the next.
const MOST_LINKS: usize = 40;

/// A settings file. Its `Display` is its path.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    path: PathBuf,
    document: Document,
    key: Option<SettingsKey>,
    /// Whether secrets stand in it as they are, however they look.
    clear: bool,
}

impl SettingsFile {
    /// A file that says nothing yet.
    pub(crate) fn new(path: &Path, key: Option<SettingsKey>) -> Self {
        Self {
            path: path.to_owned(),
            document: Document::default(),
            key,
            clear: false,
        }
    }

    /// Reads a file. Its secrets are not decrypted before somebody asks for them.
    pub(crate) fn open(
        path: &Path,
        key: Option<SettingsKey>,
        clear: bool,
    ) -> Result<Self, Vec<Fault>> {
        let text = read(path).map_err(|problem| {
            vec![Fault {
                option: "--settingsfile".to_owned(),
                value: Some(path.display().to_string()),
                problem,
            }]
        })?;
        Ok(Self {
            path: path.to_owned(),
            document: parse(&text, &path.display().to_string())?,
            key,
            clear,
        })
    }

    /// What it says.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// The same, to change it.
    pub(crate) fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a member that is no secret, as somebody would type it.
    pub(crate) fn text(&self, member: &Member) -> Option<String> {
        match self.document.get(member)? {
            Value::Secret(_) => None,
            value => value.typed(),
        }
    }

    /// A secret, decrypted when it is encrypted; none when the file has none.
    pub(crate) fn secret(&self, name: SecretName) -> Result<Option<SecretString>, Error> {
        let Some(stored) = self.stored(name) else {
            return Ok(None);
        };
        if self.clear {
            return Ok(Some(stored.clone()));
        }
        let shape = Shape::of(stored.expose_secret());
        if shape == Shape::Clear {
            return Ok(Some(stored.clone()));
        }
        let Some(key) = &self.key else {
            return match may_be_account_key(name, &shape) {
                true => Ok(Some(stored.clone())),
                false => Err(self.key_needed()),
            };
        };
        match shape.open(key.key()) {
            Some(secret) => Ok(Some(secret)),
            None if may_be_account_key(name, &shape) && self.opens_others(name, key) => {
                Ok(Some(stored.clone()))
            }
            None => Err(Error::WrongKey {
                key: key.from().to_owned(),
                place: self.to_string(),
            }),
        }
    }

    /// Sets a secret, encrypted; the namespace of a service is no secret and stays as it is.
    pub(crate) fn set_secret(
        &mut self,
        name: SecretName,
        value: &SecretString,
    ) -> Result<(), Error> {
        let Some(member) = member::of_secret(name) else {
            return Ok(());
        };
        if !is_secret(member, value) {
            self.document.set(member, Value::Secret(value.clone()));
            return Ok(());
        }
        let key = self.key.as_ref().ok_or(Error::NoKeyToSave)?;
        let sealed = cipher::seal(value, key.key()).ok_or_else(|| Error::Unavailable {
            place: "the system's source of random numbers".to_owned(),
            source: "it gave none".into(),
        })?;
        self.document.set(member, Value::Secret(sealed.into()));
        Ok(())
    }

    /// Encrypts a secret that the file holds already, in the form of today and with its key.
    pub(crate) fn reseal(&mut self, name: SecretName) -> Result<(), Error> {
        let Some(secret) = self.secret(name)? else {
            return Ok(());
        };
        let stored = self
            .stored(name)
            .map(|stored| Shape::of(stored.expose_secret()));
        match stored {
            // It has just been opened with the key.
            Some(Shape::Sealed(_)) if !self.clear => Ok(()),
            _ => self.set_secret(name, &secret),
        }
    }

    /// Whether a secret stands in the file such that its key is needed to read it.
    pub(crate) fn is_encrypted(&self, name: SecretName) -> bool {
        let stored = self
            .stored(name)
            .map(|stored| Shape::of(stored.expose_secret()));
        matches!(stored, Some(Shape::Sealed(_)))
    }

    /// The key.
    pub(crate) fn key(&self) -> Option<&SettingsKey> {
        self.key.as_ref()
    }

    /// Writes it in one step, such that nobody but its owner can read it. Links to it stay links.
    pub(crate) fn save(&self) -> io::Result<()> {
        let path = behind_links(&self.path)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // A temporary file is its owner's alone, and stays so under its new name.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(write(&self.document).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    }

    fn stored(&self, name: SecretName) -> Option<&SecretString> {
        match self.document.get(member::of_secret(name)?)? {
            Value::Secret(secret) if !is_blank(secret) => Some(secret),
            _ => None,
        }
    }

    fn key_needed(&self) -> Error {
        Error::KeyNeeded {
            place: self.to_string(),
        }
    }

    /// Whether the key opens every other secret that is encrypted beyond doubt.
    fn opens_others(&self, except: SecretName, key: &SettingsKey) -> bool {
        SecretName::ALL
            .into_iter()
            .filter(|name| *name != except)
            .filter_map(|name| Some((name, Shape::of(self.stored(name)?.expose_secret()))))
            .filter(|(name, shape)| *shape != Shape::Clear && !may_be_account_key(*name, shape))
            .all(|(_, shape)| shape.open(key.key()).is_some())
    }
}

/// Whether this may be clear text that only looks encrypted. Nothing but the keys of accounts has that form, so any
/// other secret of the same length is encrypted.
fn may_be_account_key(name: SecretName, shape: &Shape) -> bool {
    matches!(
        name,
        SecretName::StorageAccountKey | SecretName::BatchAccountKey
    ) && shape.may_be_account_key()
}

/// The file that a path leads to, which need not exist, so that writing there leaves the links as they are.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            // What a link says counts from its own folder.
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            // No link, or nothing at all.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links, one leading to the next"))
}

/// Whether a value of this member has to be encrypted.
pub(in crate::settings) fn is_secret(member: &Member, value: &SecretString) -> bool {
    match member.kind {
        Kind::Secret(_) => true,
        Kind::Connection(_) => {
            // Parts such as `SharedAccessKey=` stand in any order; the names of a namespace and a hub have none.
            value.expose_secret().contains('=')
        }
        _ => false,
    }
}

fn read(path: &Path) -> Result<String, String> {
    let data = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "no such file; accepted is a settings file as savesettings writes it".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    })?;
    if !data.is_file() {
        return Err("no file; accepted is a settings file as savesettings writes it".to_owned());
    }
    if data.len() > LONGEST {
        return Err(format!(
            "longer than {LONGEST} bytes, which no settings file is"
        ));
    }
    fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

impl fmt::Display for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[async_trait]
impl Secrets for SettingsFile {
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, Error> {
        self.secret(name)
    }

    async fn set(&mut self, name: SecretName, value: &SecretString) -> Result<(), Error> {
        self.set_secret(name, value)
    }
}

/// The members that hold secrets.
pub(in crate::settings) fn secret_members() -> impl Iterator<Item = (&'static Member, SecretName)> {
    MEMBERS
        .iter()
        .filter_map(|member| Some((member, member.secret()?)))
}
