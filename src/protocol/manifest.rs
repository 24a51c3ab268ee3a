//! What was made for a run and has to be removed at its end.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DocumentError, document};

/// Everything that exists because of a run, beside what is kept of it. Stored as `manifest.json`.
///
/// An object is entered before it is made, so what a killed process has left is found here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of this form; one that is not known is refused.
    pub version: u32,
    /// The run.
    pub run_id: Uuid,
    /// What was made, in the order of making.
    pub objects: Vec<MadeObject>,
}

/// One thing that was made, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeObject {
    /// What kind of thing it is: `process`, `queue` and the like.
    pub kind: String,
    /// By which its service finds it.
    pub name: String,
}

impl Manifest {
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// A run for which nothing was made.
    pub fn new(run_id: Uuid) -> Self {
        Self {
            version: Self::VERSION,
            run_id,
            objects: Vec::new(),
        }
    }

    /// Enters what is not entered yet; whether anything was.
    pub fn enter(&mut self, objects: impl IntoIterator<Item = MadeObject>) -> bool {
        let before = self.objects.len();
        for object in objects {
            if !self.objects.contains(&object) {
                self.objects.push(object);
            }
        }
        self.objects.len() > before
    }

    /// Reads what was stored.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::read("the manifest", Self::VERSION, bytes)
    }

    /// What is stored.
    pub fn to_json(&self) -> Vec<u8> {
        // A structure of texts, numbers and lists cannot fail to become JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_entered_once_and_read_again() {
        let object = |name: &str| MadeObject {
            kind: "process".into(),
            name: name.into(),
        };
        let mut manifest = Manifest::new(Uuid::from_u128(7));
        assert!(manifest.enter([object("a"), object("b"), object("a")]));
        assert!(!manifest.enter([object("b")]));
        assert_eq!(manifest.objects, [object("a"), object("b")]);
        assert_eq!(Manifest::read(&manifest.to_json()).unwrap(), manifest);
        let error = Manifest::read(br#"{"version": 2}"#).unwrap_err();
        assert!(error.to_string().contains("the manifest has version 2"));
    }
}
