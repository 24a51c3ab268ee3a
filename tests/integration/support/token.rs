//! A token that is the password of a login, so that a server that knows no Entra ID takes it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    time::OffsetDateTime,
};

/// For Azure's servers of PostgreSQL and MySQL.
const SCOPE: &str = "https://ossrdbms-aad.database.windows.net/.default";

/// Gives this token, and counts how often it is asked.
pub(crate) struct Fixed {
    token: String,
    asked: AtomicUsize,
}

impl Fixed {
    pub(crate) fn new(token: &str) -> Arc<Self> {
        Arc::new(Self {
            token: token.to_owned(),
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixed")
    }
}

#[async_trait::async_trait]
impl TokenCredential for Fixed {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, [SCOPE]);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let end = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken::new(self.token.clone(), end))
    }
}
