//! Entities as Atom entries.

use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use quick_xml::escape::escape;

use super::address::Address;
use super::duration;
use super::xml::{element, optional};
use crate::service_bus::{
    CorrelationFilter, Counts, Filter, RuleDescription, SubscriptionDescription, TopicDescription,
};

const SERVICE: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// An entry as part of a feed or alone.
#[derive(Debug)]
pub(super) struct Entry {
    title: String,
    id: String,
    published: Timestamp,
    updated: Timestamp,
    content: String,
}

impl Entry {
    /// The entry of a topic; `base` is `https://host`.
    pub(super) fn topic(base: &str, topic: &TopicDescription) -> Self {
        let settings = &topic.settings;
        let content = [
            element(
                "DefaultMessageTimeToLive",
                duration::write(settings.default_message_time_to_live),
            ),
            element("MaxSizeInMegabytes", settings.max_size / (1024 * 1024)),
            element(
                "MaxMessageSizeInKilobytes",
                settings.max_message_size / 1024,
            ),
            element("RequiresDuplicateDetection", false),
            element("DuplicateDetectionHistoryTimeWindow", "PT10M"),
            element("EnableBatchedOperations", true),
            element("SizeInBytes", topic.size),
            element("FilteringMessagesBeforePublishing", false),
            element("IsAnonymousAccessible", false),
            element("Status", "Active"),
            element("CreatedAt", topic.created_at),
            element("UpdatedAt", topic.created_at),
            element("AccessedAt", topic.accessed_at),
            element("SupportOrdering", true),
            count_details(Counts::default()),
            element("SubscriptionCount", topic.subscription_count),
            element("AutoDeleteOnIdle", duration::write(None)),
            element("EnablePartitioning", settings.partitioned),
            element("EntityAvailabilityStatus", "Available"),
            element("EnableExpress", false),
        ];
        let address = Address::Topic(topic.name.clone());
        Self::new(
            base,
            &topic.name,
            &address,
            "TopicDescription",
            &content.concat(),
        )
        .at(topic.created_at, topic.created_at)
    }

    /// The entry of a subscription.
    pub(super) fn subscription(base: &str, subscription: &SubscriptionDescription) -> Self {
        let settings = &subscription.settings;
        let time = |name, duration| element(name, duration::write(duration));
        let death = settings.dead_lettering_on_message_expiration;
        let failure = settings.dead_lettering_on_filter_evaluation_exceptions;
        let content = [
            time("LockDuration", Some(settings.lock_duration)),
            element("RequiresSession", settings.requires_session),
            time(
                "DefaultMessageTimeToLive",
                settings.default_message_time_to_live,
            ),
            element("DeadLetteringOnMessageExpiration", death),
            element("DeadLetteringOnFilterEvaluationExceptions", failure),
            element("MessageCount", subscription.counts.total()),
            element("MaxDeliveryCount", settings.max_delivery_count),
            element(
                "EnableBatchedOperations",
                settings.enable_batched_operations,
            ),
            element("Status", "Active"),
            element("CreatedAt", subscription.created_at),
            element("UpdatedAt", subscription.updated_at),
            element("AccessedAt", subscription.accessed_at),
            optional("UserMetadata", settings.user_metadata.as_ref()),
            count_details(subscription.counts),
            time("AutoDeleteOnIdle", settings.auto_delete_on_idle),
            element("EntityAvailabilityStatus", "Available"),
        ];
        let address = Address::Subscription(subscription.topic.clone(), subscription.name.clone());
        Self::new(
            base,
            &subscription.name,
            &address,
            "SubscriptionDescription",
            &content.concat(),
        )
        .at(subscription.created_at, subscription.updated_at)
    }

    /// The entry of a rule.
    pub(super) fn rule(
        base: &str,
        topic: &str,
        subscription: &str,
        rule: &RuleDescription,
    ) -> Self {
        let content = [
            filter(&rule.filter),
            "<Action i:type=\"EmptyRuleAction\"/>".to_owned(),
            element("CreatedAt", rule.created_at),
            element("Name", &rule.name),
        ];
        let address = Address::Rule(topic.to_owned(), subscription.to_owned(), rule.name.clone());
        Self::new(
            base,
            &rule.name,
            &address,
            "RuleDescription",
            &content.concat(),
        )
        .at(rule.created_at, rule.created_at)
    }

    /// The entry of the namespace.
    pub(super) fn namespace(base: &str, name: &str, now: Timestamp) -> Self {
        let content = [
            element("Alias", ""),
            element("CreatedTime", now),
            element("MessagingSKU", "Standard"),
            element("MessagingUnits", 0),
            element("ModifiedTime", now),
            element("Name", name),
            element("NamespaceType", "Messaging"),
        ];
        Self::new(
            base,
            name,
            &Address::Namespace,
            "NamespaceInfo",
            &content.concat(),
        )
        .at(now, now)
    }

    fn new(base: &str, title: &str, address: &Address, kind: &str, content: &str) -> Self {
        Self {
            title: title.to_owned(),
            id: format!("{base}/{}", address.path()),
            published: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            content: format!(
                "<{kind} xmlns=\"{SERVICE}\" xmlns:i=\"{INSTANCE}\">{content}</{kind}>"
            ),
        }
    }

    fn at(self, published: Timestamp, updated: Timestamp) -> Self {
        Self {
            published,
            updated,
            ..self
        }
    }

    /// The document of this entry alone.
    pub(super) fn document(&self) -> String {
        self.write(&format!(" xmlns=\"{ATOM}\""))
    }

    fn write(&self, namespace: &str) -> String {
        let (id, title) = (escape(self.id.as_str()), escape(self.title.as_str()));
        format!(
            "<entry{namespace}><id>{id}</id><title type=\"text\">{title}</title><published>{}</published>\
             <updated>{}</updated><link rel=\"self\" href=\"{id}\"/><content type=\"application/xml\">{}</content></entry>",
            self.published, self.updated, self.content
        )
    }
}

/// A list of entries; `next` is the address of the page after it.
pub(super) fn feed(base: &str, address: &Address, entries: &[Entry], next: Option<&str>) -> String {
    let id = format!("{base}/{}", address.path());
    let id = escape(id.as_str());
    let next = next
        .map(|link| format!("<link rel=\"next\" href=\"{}\"/>", escape(link)))
        .unwrap_or_default();
    let entries: String = entries.iter().map(|entry| entry.write("")).collect();
    format!(
        "<feed xmlns=\"{ATOM}\"><title type=\"text\">{}</title><id>{id}</id><updated>{}</updated>\
         <link rel=\"self\" href=\"{id}\"/>{next}{entries}</feed>",
        escape(address.path()),
        Timestamp::now()
    )
}

/// What the service answers for a topic that is not there.
pub(super) fn empty_feed() -> String {
    format!("<feed xmlns=\"{ATOM}\"><title type=\"text\">Publicly Listed Services</title></feed>")
}

fn count_details(counts: Counts) -> String {
    let numbers = [
        element("d2p1:ActiveMessageCount", counts.active),
        element("d2p1:DeadLetterMessageCount", counts.dead_letter),
        element("d2p1:ScheduledMessageCount", counts.scheduled),
        element("d2p1:TransferMessageCount", 0),
        element("d2p1:TransferDeadLetterMessageCount", 0),
    ];
    let namespace = "http://schemas.microsoft.com/netservices/2011/06/servicebus";
    format!(
        "<CountDetails xmlns:d2p1=\"{namespace}\">{}</CountDetails>",
        numbers.concat()
    )
}

fn filter(filter: &Filter) -> String {
    match filter {
        Filter::True => sql("TrueFilter", "1=1"),
        Filter::False => sql("FalseFilter", "1=0"),
        Filter::Sql(text) => sql("SqlFilter", text),
        Filter::Correlation(filter) => correlation(filter),
    }
}

fn sql(kind: &str, text: &str) -> String {
    let content = [
        element("SqlExpression", text),
        element("CompatibilityLevel", 20),
        "<Parameters/>".to_owned(),
    ];
    format!("<Filter i:type=\"{kind}\">{}</Filter>", content.concat())
}

fn correlation(filter: &CorrelationFilter) -> String {
    let properties: String = filter
        .properties
        .iter()
        .map(|(key, value)| property(key, value))
        .collect();
    let content = [
        optional("CorrelationId", filter.correlation_id.as_ref()),
        optional("MessageId", filter.message_id.as_ref()),
        optional("To", filter.to.as_ref()),
        optional("ReplyTo", filter.reply_to.as_ref()),
        optional("Label", filter.subject.as_ref()),
        optional("SessionId", filter.session_id.as_ref()),
        optional("ReplyToSessionId", filter.reply_to_session_id.as_ref()),
        optional("ContentType", filter.content_type.as_ref()),
        format!("<Properties>{properties}</Properties>"),
    ];
    format!(
        "<Filter i:type=\"CorrelationFilter\">{}</Filter>",
        content.concat()
    )
}

fn property(key: &str, value: &SimpleValue) -> String {
    let (kind, text) = match value {
        SimpleValue::Int(number) => ("int", number.to_string()),
        SimpleValue::Long(number) => ("long", number.to_string()),
        SimpleValue::Double(number) => ("double", number.to_string()),
        SimpleValue::Bool(flag) => ("boolean", flag.to_string()),
        SimpleValue::String(text) => ("string", text.clone()),
        SimpleValue::Timestamp(time) => ("dateTime", time_text(time.milliseconds())),
        other => ("string", format!("{other:?}")),
    };
    let value = format!(
        "<Value i:type=\"d6p1:{kind}\" xmlns:d6p1=\"{SCHEMA}\">{}</Value>",
        escape(text)
    );
    format!(
        "<KeyValueOfstringanyType>{}{value}</KeyValueOfstringanyType>",
        element("Key", key)
    )
}

fn time_text(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
