//! What holders of tokens may do with Service Bus and Event Hubs.

use jiff::Timestamp;

use super::{Directory, Rights};
use crate::cbs::{Right, TokenCheck, TokenRights};

/// Both services take tokens for either, as in Azure.
const AUDIENCES: [&str; 2] = [
    "https://servicebus.azure.net",
    "https://eventhubs.azure.net",
];

impl TokenCheck for Directory {
    fn check(&self, token: &str, _namespace: &str) -> Result<TokenRights, String> {
        let caller = self
            .verify(token, &AUDIENCES)
            .map_err(|refusal| refusal.to_string())?;
        let expires_at = i64::try_from(caller.expires)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(TokenRights {
            rights: caller.rights.claims(),
            expires_at: expires_at.unwrap_or(Timestamp::MAX),
        })
    }
}

impl Rights {
    fn claims(self) -> Vec<Right> {
        let all = [
            (self.manage, Right::Manage),
            (self.send, Right::Send),
            (self.listen, Right::Listen),
        ];
        all.into_iter()
            .filter_map(|(given, right)| given.then_some(right))
            .collect()
    }
}
