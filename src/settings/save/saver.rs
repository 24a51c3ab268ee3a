//! The steps of saving, on a file that is not written yet.

use std::marker::PhantomData;

use secrecy::{ExposeSecret, SecretString};

use super::{
    backend::{Backend, keeps},
    options::MemberOptions,
    value::value,
};
use crate::{
    secrets::SecretName,
    settings::{
        SettingsFile,
        file::{
            document::{Document, Value},
            is_secret,
            key::KEY_OPTION,
            member::{self, MEMBERS, Member},
            secret_members,
        },
        login,
        reader::Reader,
        vault::{self, ToVault, Vault},
    },
};

/// The sections whose texts the reference program writes even when they are empty.
const WITH_EMPTY_TEXTS: [&str; 2] = ["AciArgs", "EventHubArgs"];

pub(super) struct Saver<'a, 'e, B> {
    reader: &'a mut Reader<'e>,
    file: SettingsFile,
    /// What the file said before.
    before: Document,
    /// The members that an option or a variable gave.
    given: Vec<&'static Member>,
    backend: PhantomData<B>,
}

impl<'a, 'e, B: Backend> Saver<'a, 'e, B> {
    pub(super) fn new(reader: &'a mut Reader<'e>, file: SettingsFile) -> Self {
        Self {
            reader,
            before: file.document().clone(),
            file,
            given: Vec::new(),
            backend: PhantomData,
        }
    }

    /// Takes what the options of the backend say, or else their variables where the file says nothing.
    pub(super) fn take(&mut self, typed: &MemberOptions<B>) {
        let options = B::options();
        for member in MEMBERS {
            if options.contains(&member.option)
                && let Some(text) = self.text_of(member, typed)
            {
                self.set(member, &text);
            }
        }
        // The event hub is in the subscription of everything else, unless something else is known of it.
        let subscription = MEMBERS
            .iter()
            .find(|member| member.option == "subscriptionid");
        let of_hub = member::of_option("eventhubsubscriptionid");
        if let (Some(subscription), Some(of_hub)) = (subscription, of_hub)
            && self.file.text(of_hub).is_none()
            && let Some(text) = self.text_of(subscription, typed)
        {
            self.set(of_hub, &text);
        }
    }

    fn text_of(&self, member: &Member, typed: &MemberOptions<B>) -> Option<SecretString> {
        typed.get(member.option).or_else(|| {
            // A variable may be there for a command that runs later.
            if self.before.get(member).and_then(Value::typed).is_some() {
                return None;
            }
            let text = self.reader.variable(&member.variable())?;
            Some(text.into())
        })
    }

    /// A blank text stands for leaving the member out.
    fn set(&mut self, member: &'static Member, text: &SecretString) {
        self.given.push(member);
        if text.expose_secret().trim().is_empty() {
            self.file.document_mut().remove(member);
            return;
        }
        match value(member, text) {
            Ok(value) => self.file.document_mut().set(member, value),
            Err(problem) => {
                let shown = member.secret().is_none().then(|| text.expose_secret());
                let option = format!("--{}", member.option);
                self.reader.fault(&option, shown, problem);
            }
        }
    }

    /// Leaves out what was given in vain: the file then says what it said before. No login is kept beside an identity.
    pub(super) fn leave_out(&mut self) {
        let by_identity = self.auth_type().as_deref() == Some("ManagedIdentity");
        for member in MEMBERS {
            let is_login = matches!(member.option, "username" | "password");
            let in_vain = by_identity && B::NAME == "k8s" && member.option == "keyvaultname";
            if is_login && by_identity {
                self.drop_login(member);
            } else if self.given.contains(&member) && (!keeps::<B>(member) || in_vain) {
                self.take_back(member);
            }
        }
    }

    fn drop_login(&mut self, member: &'static Member) {
        if self.file.document().get(member).is_some() {
            log::warn!(
                "{} is not kept in the file: --authtype ManagedIdentity has no use for it",
                member.path()
            );
        }
        self.given.retain(|given| *given != member);
        self.file.document_mut().remove(member);
    }

    fn take_back(&mut self, member: &'static Member) {
        self.given.retain(|given| *given != member);
        match self.before.get(member) {
            Some(value) => self.file.document_mut().set(member, value.clone()),
            None => self.file.document_mut().remove(member),
        }
        // The subscription is said for several members, some of which every backend keeps.
        if member.option != "subscriptionid" {
            log::warn!(
                "--{} is not saved: such a {} file has no use for it",
                member.option,
                B::NAME
            );
        }
    }

    /// Refuses what would be of no use.
    pub(super) fn check(&mut self) {
        for option in B::NEEDED {
            let set = member::of_option(option).and_then(|member| self.file.text(member));
            if set.is_none() {
                let problem = format!("needed for {}", B::NAME);
                self.reader.fault(&format!("--{option}"), None, problem);
            }
        }
        let auth_type = self.auth_type();
        if let Some(problem) = auth_type.as_deref().and_then(login::needs_a_person) {
            self.reader
                .fault("--authtype", auth_type.as_deref(), problem);
        }
    }

    /// Takes the secrets out of a file that names a key vault, for the vault. `containerapp` keeps the connection string of
    /// Service Bus as well, because the scaling rule of its workers holds it.
    pub(super) fn take_out(&mut self, job: Option<&str>) -> Option<ToVault> {
        let job = self.reader.text("--jobname", job);
        let named = member::of_option("keyvaultname").and_then(|member| self.file.text(member));
        let Some(named) = named else {
            if job.is_some() {
                let problem = "used only with --keyvaultname: a file has no names for jobs";
                self.reader.fault("--jobname", job.as_deref(), problem);
            }
            return None;
        };
        let name = vault::name(self.reader, Some(&named))?;
        let mut secrets = Vec::new();
        for (member, name) in secret_members() {
            if let Some(secret) = self.opened(member, name) {
                secrets.push((name, secret));
                let kept = B::NAME == "containerapp"
                    && name == SecretName::ServiceBusTopicConnectionString;
                if !kept {
                    self.given.retain(|given| *given != member);
                    self.file.document_mut().remove(member);
                }
            }
        }
        let mut vault = Vault::new(self.reader, name);
        let of_file = |option| self.file.text(member::of_option(option)?);
        vault.client = of_file("clientid").or(vault.client);
        vault.tenant = of_file("tenantid").or(vault.tenant);
        (!secrets.is_empty()).then_some(ToVault {
            vault,
            job,
            secrets,
        })
    }

    /// A secret in clear, as it was given or as the file has it; none for the mere name of a namespace.
    fn opened(&mut self, member: &'static Member, name: SecretName) -> Option<SecretString> {
        self.file.document().get(member)?;
        if self.given.contains(&member) {
            return self.secret_of(member);
        }
        match self.file.secret(name) {
            Ok(secret) => secret.filter(|secret| is_secret(member, secret)),
            Err(error) => {
                self.reader.fault(KEY_OPTION, None, error);
                None
            }
        }
    }

    fn auth_type(&self) -> Option<String> {
        self.file.text(member::of_option("authtype")?)
    }

    /// The value of a member that has to be encrypted; none for any other.
    fn secret_of(&self, member: &Member) -> Option<SecretString> {
        match self.file.document().get(member)? {
            Value::Secret(secret) if is_secret(member, secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// Encrypts every secret that is not encrypted with this key yet.
    pub(super) fn encrypt(&mut self, clear: bool) {
        let mut any = false;
        for (member, name) in secret_members() {
            if self.file.document().get(member).is_some() {
                any |= self.encrypt_one(member, name, clear);
            }
        }
        if any && clear {
            let problem = "secrets are never saved in clear text; leave it out and give a key with \
                           --settingsfilekey or in the variable SBM_SETTINGSFILEKEY";
            self.reader.fault("--cleartext", Some("true"), problem);
        }
        let key = self.file.key().map(|key| key.check_length());
        if let (true, Some(Err(fault))) = (any, key) {
            self.reader.keep(KEY_OPTION, fault);
        }
    }

    /// Whether it is a secret.
    fn encrypt_one(&mut self, member: &Member, name: SecretName, clear: bool) -> bool {
        let encrypted = match self.secret_of(member) {
            Some(_) if clear => return true,
            Some(secret) if self.given.contains(&member) => self.file.set_secret(name, &secret),
            // The name of a namespace, or the encrypted text of a connection string.
            _ => self.file.reseal(name),
        };
        if let Err(error) = encrypted {
            self.reader.fault(KEY_OPTION, None, error);
        }
        self.secret_of(member).is_some() || self.file.is_encrypted(name)
    }

    /// The file, with the defaults of everything that its backend has and nobody has set.
    pub(super) fn complete(self) -> SettingsFile {
        let mut file = self.file;
        for member in MEMBERS.iter().filter(|member| keeps::<B>(member)) {
            if file.document().get(member).is_some() {
                continue;
            }
            if let Some(value) = Value::default_of(member.kind) {
                file.document_mut().set(member, value);
            } else if WITH_EMPTY_TEXTS.contains(&member.section) {
                file.document_mut().set(member, Value::Text(String::new()));
            }
        }
        file
    }
}
