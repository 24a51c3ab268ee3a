//! A vault says itself for what it wants a token. It gets none but one for vaults.

use std::sync::Arc;

use azure_core::{
    Error,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};

/// A credential that gives tokens of one scope.
#[derive(Debug)]
pub(super) struct Guard {
    credential: Arc<dyn TokenCredential>,
    scope: &'static str,
}

impl Guard {
    pub(super) fn new(credential: Arc<dyn TokenCredential>, scope: &'static str) -> Self {
        Self { credential, scope }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Guard {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if scopes != [self.scope] {
            let message = format!(
                "it wants a token for {}, and vaults get one for {}",
                scopes.join(" "),
                self.scope
            );
            return Err(Error::with_message(ErrorKind::Credential, message));
        }
        self.credential.get_token(scopes, options).await
    }
}
