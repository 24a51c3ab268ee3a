//! The keys of the namespace, made anew at every start.

use uuid::Uuid;

use crate::cbs::{AccessKey, Keys, Right};

/// The key that may do everything, and the one that may receive and nothing else.
#[derive(Clone, Debug)]
pub(super) struct NamespaceKeys {
    root: AccessKey,
    listen: AccessKey,
}

impl NamespaceKeys {
    pub(super) fn generate() -> Self {
        let key = |name: &str, rights| AccessKey {
            name: name.to_owned(),
            key: secret(),
            rights,
            entity: String::new(),
        };
        Self {
            root: key(
                "RootManageSharedAccessKey",
                vec![Right::Manage, Right::Send, Right::Listen],
            ),
            listen: key("ListenOnly", vec![Right::Listen]),
        }
    }

    pub(super) fn all(&self) -> Keys {
        Keys::new(vec![self.root.clone(), self.listen.clone()])
    }

    /// A connection string with TLS.
    pub(super) fn connection(&self, port: u16) -> String {
        write(&self.root, port)
    }

    /// The same for those who may only receive.
    pub(super) fn listen_only(&self, port: u16) -> String {
        write(&self.listen, port)
    }

    /// A connection string without TLS.
    pub(super) fn emulator(&self, port: u16) -> String {
        format!("{};UseDevelopmentEmulator=true", write(&self.root, port))
    }
}

fn write(key: &AccessKey, port: u16) -> String {
    format!(
        "Endpoint=sb://localhost:{port};SharedAccessKeyName={};SharedAccessKey={}",
        key.name, key.key
    )
}

/// As long and as odd as a real one.
fn secret() -> String {
    use base64::Engine as _;
    let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
