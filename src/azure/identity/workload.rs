//! The word of a Kubernetes cluster for a pod: a file that the cluster writes anew before its token ends.

use std::path::PathBuf;

use secrecy::SecretString;

use super::federation::Witness;

/// The file.
#[derive(Debug)]
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    pub(super) fn new(path: &str) -> Self {
        Self(path.into())
    }
}

#[async_trait::async_trait]
impl Witness for TokenFile {
    async fn token(&self) -> Result<SecretString, String> {
        let read = tokio::fs::read_to_string(&self.0).await;
        let text = read.map_err(|error| format!("cannot read {}: {error}", self.0.display()))?;
        match text.trim() {
            "" => Err(format!("{} is empty", self.0.display())),
            token => Ok(token.into()),
        }
    }
}
