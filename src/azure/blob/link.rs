//! A link by which people read the container for some time: what they get in the report of a run.

use std::time::Duration;

use azure_core::{
    http::RequestContent,
    time::{OffsetDateTime, to_rfc3339},
};
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions, models::KeyInfo};
use azure_storage_sas::{SasBuilder, SasProtocol};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use super::{Access, BlobContainer, Error, Fault, Patience, calls, shared_key::SharedKey};

/// The version of signature with the account's key: one that every storage has known for years.
const VERSION: &str = "2021-12-02";

/// Clocks differ; a link holds from a little before it was made.
const BEFORE: Duration = Duration::from_secs(300);

/// A key of an identity lasts no longer than this.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An address that lets whoever has it read and list the container, and nothing else.
#[derive(Clone, Debug)]
pub struct Link {
    /// The address, which is a secret until it ends.
    pub url: SecretString,
    /// When it ends.
    pub expires: jiff::Timestamp,
}

impl BlobContainer {
    /// A link that ends after `lifetime`, at most seven days. None where this process itself has no more than such a link.
    ///
    /// It is signed with the key of the account, or for the identity with which the container is used; then it ends, too, when
    /// that identity loses its right to read, and the identity needs the right to make such links (`Storage Blob
    /// Delegator`, which is part of `Storage Blob Data Contributor`).
    pub async fn reading_link(&self, lifetime: Duration) -> Result<Option<Link>, Error> {
        let lifetime = lifetime.min(LONGEST);
        let begins = whole_seconds(OffsetDateTime::now_utc() - BEFORE);
        let ends = whole_seconds(OffsetDateTime::now_utc() + lifetime);
        let query = match &self.shared.access {
            Access::Sas(_) => return Ok(None),
            Access::Key(key) => self.signed_with_key(key, begins, ends)?,
            Access::Identity(_) => self.signed_for_identity(begins, ends).await?,
        };
        let mut url = self.url().clone();
        url.set_query(Some(&query));
        Ok(Some(Link {
            url: url.to_string().into(),
            expires: jiff::Timestamp::from_second(ends.unix_timestamp()).unwrap_or_default(),
        }))
    }

    fn signed_with_key(
        &self,
        key: &SecretString,
        begins: OffsetDateTime,
        ends: OffsetDateTime,
    ) -> Result<String, Error> {
        let account = self.shared.account.name();
        let key = SharedKey::new(account, key);
        let key = key.map_err(|error| self.unsigned(error.to_string()))?;
        let resource = format!("/blob/{account}/{}", self.shared.name);
        let (begins, ends) = (time(begins), time(ends));
        // The fields that are empty: identifier, address range, snapshot, encryption scope, and five headers.
        let text = [
            "rl",
            &begins,
            &ends,
            &resource,
            "",
            "",
            protocol(self.url()),
            VERSION,
            "c",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ]
        .join("\n");
        let signature = key.sign(&text);
        Ok(form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", VERSION)
            .append_pair("sr", "c")
            .append_pair("sp", "rl")
            .append_pair("spr", protocol(self.url()))
            .append_pair("st", &begins)
            .append_pair("se", &ends)
            .append_pair("sig", &signature)
            .finish())
    }

    async fn signed_for_identity(
        &self,
        begins: OffsetDateTime,
        ends: OffsetDateTime,
    ) -> Result<String, Error> {
        let service = self.service()?;
        let outcome = calls::call_unless(Patience::SHORT, || async {
            let info = KeyInfo {
                start: Some(begins),
                expiry: Some(ends),
                ..KeyInfo::default()
            };
            let info: RequestContent<KeyInfo, _> =
                info.try_into().map_err(|error| Fault::new(&error))?;
            let answer = service.get_user_delegation_key(info, None).await;
            answer
                .and_then(|answer| answer.into_model())
                .map_err(|error| Fault::new(&error))
        })
        .await;
        let key = outcome.result;
        let key = key.map_err(|fault| self.error(fault, "make a link to", "it"))?;
        let builder = SasBuilder::new(self.shared.account.name(), &key, ends);
        let builder = builder.map_err(|error| self.unsigned(error.to_string()))?;
        let builder = builder
            .start(begins)
            .protocol(SasProtocol::Https)
            .container(&self.shared.name)
            .read()
            .list();
        Ok(builder.build())
    }

    fn service(&self) -> Result<BlobServiceClient, Error> {
        let shared = &self.shared;
        let options = shared.access.options(&shared.account, &shared.trust);
        let options = options.map_err(|error| self.unsigned(error.to_string()))?;
        let options = BlobServiceClientOptions {
            client_options: options,
            ..BlobServiceClientOptions::default()
        };
        let endpoint = shared.account.endpoint().clone();
        let client = BlobServiceClient::new(endpoint, shared.access.credential(), Some(options));
        client.map_err(|error| self.unsigned(error.to_string()))
    }

    fn unsigned(&self, message: String) -> Error {
        self.error(Fault::lost(message, false), "make a link to", "it")
    }
}

/// Links are for TLS, unless the storage is one that has none.
fn protocol(url: &Url) -> &'static str {
    match url.scheme() {
        "http" => "https,http",
        _ => "https",
    }
}

fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.unix_timestamp()).unwrap_or(time)
}

fn time(time: OffsetDateTime) -> String {
    to_rfc3339(&time)
}
