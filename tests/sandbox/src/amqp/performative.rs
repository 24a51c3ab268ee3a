//! Performatives: read by the library, written here with all their fields.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{Error, ErrorCondition, Fields as ErrorInfo, Role};
use fe2o3_amqp_types::messaging::{DeliveryState, Rejected};
use fe2o3_amqp_types::performatives::{Attach, Disposition, Performative};
use fe2o3_amqp_types::primitives::{Symbol, Value};
use serde_amqp::descriptor::Descriptor;

use super::Refusal;
use super::encode::Fields;
use super::frame::LARGEST;
use super::raw::{self, Malformed};

/// How long a client may be silent, in milliseconds.
pub(crate) const IDLE: u32 = 240_000;
/// How many transfers a client may send before it hears of a new window.
pub(crate) const WINDOW: u32 = 5_000;

const DISPOSITION: u64 = 0x15;

/// A transfer to a client.
#[derive(Debug)]
pub(crate) struct OutTransfer<'a> {
    pub(crate) handle: u32,
    /// Only the first frame of a delivery says which it is.
    pub(crate) first: Option<(u32, &'a [u8])>,
    pub(crate) settled: bool,
    pub(crate) more: bool,
}

/// The state of a link and its session.
#[derive(Debug)]
pub(crate) struct OutFlow {
    pub(crate) next_incoming: u32,
    pub(crate) next_outgoing: u32,
    /// Handle, delivery count, credit and whether it is drained.
    pub(crate) link: Option<(u32, u32, u32, bool)>,
}

/// Takes a frame apart.
pub(crate) fn decode(body: Bytes) -> Result<(Performative, Bytes), Malformed> {
    let length = raw::value_length(&body)?;
    let bytes = body.slice(..length);
    let performative = match serde_amqp::from_slice(&bytes) {
        Ok(performative) => performative,
        Err(_) => Performative::Disposition(lenient_disposition(&bytes).ok_or(Malformed)?),
    };
    Ok((performative, body.slice(length..)))
}

/// JavaScript's client writes why it dead-letters a message in a map with strings as keys; the library insists on symbols.
fn lenient_disposition(bytes: &[u8]) -> Option<Disposition> {
    let Value::Described(frame) = serde_amqp::from_slice(bytes).ok()? else {
        return None;
    };
    let (Descriptor::Code(DISPOSITION), Value::List(fields)) = (&frame.descriptor, frame.value)
    else {
        return None;
    };
    let number = |index: usize| match fields.get(index) {
        Some(Value::Uint(number)) => Some(*number),
        _ => None,
    };
    let Some(Value::Described(state)) = fields.get(4) else {
        return None;
    };
    let Value::List(rejected) = &state.value else {
        return None;
    };
    let Some(Value::Described(error)) = rejected.first() else {
        return None;
    };
    let Value::List(error) = &error.value else {
        return None;
    };
    let mut info = ErrorInfo::new();
    if let Some(Value::Map(map)) = error.get(2) {
        let texts = map
            .iter()
            .filter_map(|(key, value)| Some((super::message::text_of(key)?, value)));
        texts.for_each(|(key, value)| drop(info.insert(Symbol::from(key), value.clone())));
    }
    let condition = ErrorCondition::Custom(Symbol::from("com.microsoft:dead-letter"));
    let error = Error {
        condition,
        description: None,
        info: Some(Box::new(info)),
    };
    Some(Disposition {
        role: Role::Receiver,
        first: number(1)?,
        last: number(2),
        settled: matches!(fields.get(3), Some(Value::Bool(true))),
        state: Some(DeliveryState::Rejected(Rejected { error: Some(error) })),
        batchable: false,
    })
}

pub(crate) fn open() -> Vec<u8> {
    let fields = Fields::default()
        .string("sbm-sandbox")
        .null()
        .uint(LARGEST)
        .ushort(255)
        .uint(IDLE);
    fields
        .null()
        .null()
        .null()
        .null()
        .value(&ErrorInfo::new())
        .list(0x10)
}

pub(crate) fn begin(remote_channel: u16) -> Vec<u8> {
    let fields = Fields::default()
        .ushort(remote_channel)
        .uint(1)
        .uint(WINDOW)
        .uint(WINDOW)
        .uint(255);
    fields.null().null().null().list(0x11)
}

/// An attach that answers the client's: the same link, seen from the other side.
pub(crate) fn attach(answer: &Attach) -> Vec<u8> {
    let we_send = answer.role == Role::Sender;
    let fields = Fields::default()
        .string(&answer.name)
        .uint(answer.handle.0)
        .bool(!we_send);
    let fields = fields
        .value(&answer.snd_settle_mode)
        .value(&answer.rcv_settle_mode);
    let fields = fields.option(answer.source.as_ref(), |fields, source| {
        fields.value(source)
    });
    let fields = fields.option(answer.target.as_ref(), |fields, target| {
        fields.value(target)
    });
    let fields = fields
        .null()
        .bool(false)
        .option(we_send.then_some(0), Fields::uint);
    let fields = fields
        .option(answer.max_message_size, Fields::ulong)
        .null()
        .null();
    fields
        .option(answer.properties.as_ref(), |fields, properties| {
            fields.value(properties)
        })
        .list(0x12)
}

pub(crate) fn flow(flow: &OutFlow) -> Vec<u8> {
    let fields = Fields::default()
        .uint(flow.next_incoming)
        .uint(WINDOW)
        .uint(flow.next_outgoing)
        .uint(WINDOW);
    let fields = match flow.link {
        Some((handle, count, credit, drain)) => fields
            .uint(handle)
            .uint(count)
            .uint(credit)
            .null()
            .bool(drain),
        None => fields.null().null().null().null().bool(false),
    };
    fields.bool(false).null().list(0x13)
}

pub(crate) fn transfer(transfer: &OutTransfer<'_>) -> Vec<u8> {
    let fields = Fields::default().uint(transfer.handle);
    let fields = match transfer.first {
        Some((id, tag)) => fields.uint(id).binary(tag).uint(0).bool(transfer.settled),
        None => fields.null().null().null().null(),
    };
    let fields = fields
        .bool(transfer.more)
        .null()
        .null()
        .bool(false)
        .bool(false);
    fields.bool(false).list(0x14)
}

/// Settles deliveries. `we_received` says on which side of the link we are.
pub(crate) fn disposition(
    we_received: bool,
    first: u32,
    last: u32,
    state: &DeliveryState,
) -> Vec<u8> {
    let last = (last != first).then_some(last);
    let fields = Fields::default()
        .bool(we_received)
        .uint(first)
        .option(last, Fields::uint);
    fields.bool(true).value(state).bool(false).list(0x15)
}

pub(crate) fn detach(handle: u32, closed: bool, refusal: Option<&Refusal>) -> Vec<u8> {
    error_field(Fields::default().uint(handle).bool(closed), refusal).list(0x16)
}

pub(crate) fn end(refusal: Option<&Refusal>) -> Vec<u8> {
    error_field(Fields::default(), refusal).list(0x17)
}

pub(crate) fn close(refusal: Option<&Refusal>) -> Vec<u8> {
    error_field(Fields::default(), refusal).list(0x18)
}

fn error_field(fields: Fields, refusal: Option<&Refusal>) -> Fields {
    fields.option(refusal, |fields, refusal| fields.value(&refusal.to_error()))
}

/// The outcome of a transfer that is refused.
pub(crate) fn rejected(refusal: &Refusal) -> DeliveryState {
    DeliveryState::Rejected(Rejected {
        error: Some(refusal.to_error()),
    })
}
