//! Where something happens, and spans of it.
//!
//! A [`Scope`] says which trace the current task works for; it travels with the task. A span exists only where its trace
//! is recorded: elsewhere making one costs a look at a flag, and what its name and attributes are is never computed.

use std::borrow::Cow;
use std::time::SystemTime;

use futures::future::Either;
use uuid::Uuid;

use super::traceparent::TraceParent;
use super::tracer::Tracer;
use crate::names::attribute;

tokio::task_local! {
    static CURRENT: Scope;
}

/// The trace that the current task works for. Clones are the same place in it.
#[derive(Clone, Debug)]
pub struct Scope {
    at: TraceParent,
    tracer: Tracer,
}

impl Scope {
    pub(super) fn new(at: TraceParent, tracer: Tracer) -> Self {
        Self { at, tracer }
    }

    /// Of the current task, if it works for a trace.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The current one, if its trace is recorded.
    pub(crate) fn recorded() -> Option<Self> {
        CURRENT.try_with(|scope| scope.is_recorded().then(|| scope.clone())).ok().flatten()
    }

    /// Looks at the current one without taking part in it.
    pub(super) fn peek<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(look).ok()
    }

    /// What is sent along or stored.
    #[must_use]
    pub fn traceparent(&self) -> TraceParent {
        self.at
    }

    /// Who makes its spans.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Whether its trace is recorded here.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.at.is_sampled() && self.tracer.is_on()
    }

    /// Does something here. For tasks: a spawned task begins nowhere.
    pub fn within<F: Future>(self, doing: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, doing)
    }

    /// Begins a span below this place.
    #[must_use]
    pub fn span(&self, kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        self.span_as(self.at.child(), kind, name)
    }

    /// The same, with an id that was given out before.
    #[must_use]
    pub fn span_as(&self, at: TraceParent, kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        if !self.is_recorded() {
            return Span::none();
        }
        let record = Record {
            at,
            parent: self.at.span,
            kind,
            name: name(),
            started: SystemTime::now(),
            ended: SystemTime::UNIX_EPOCH,
            attributes: Vec::with_capacity(8),
            events: Vec::new(),
            links: Vec::new(),
            is_error: false,
        };
        Span(Some(Box::new(Open { record, tracer: self.tracer.clone() })))
    }
}

/// Does something in this scope, if there is one.
///
/// No `async fn`: that would keep the future, which may be large, in several places, and so in every saga in flight.
pub fn within<F: Future>(scope: Option<Scope>, doing: F) -> impl Future<Output = F::Output> {
    match scope {
        Some(scope) => Either::Left(scope.within(doing)),
        None => Either::Right(doing),
    }
}

/// Begins a span below wherever the current task is.
#[must_use]
pub fn span(kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
    Scope::peek(|scope| scope.span(kind, name)).unwrap_or_default()
}

/// Who is on the other side of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody.
    Internal,
    /// Who called.
    Server,
    /// Who is called.
    Client,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Words.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        id.to_string().into()
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What happened within a span: its name, when, and an attribute.
pub(super) type Happened = (&'static str, SystemTime, Option<(&'static str, Value)>);

/// What is known of a span when it ends.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub at: TraceParent,
    /// 0: it has none.
    pub parent: u64,
    pub kind: Kind,
    pub name: Cow<'static, str>,
    pub started: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<(&'static str, Value)>,
    pub events: Vec<Happened>,
    pub links: Vec<(TraceParent, &'static str)>,
    pub is_error: bool,
}

/// A span. It ends when it is dropped; most are none.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    record: Record,
    tracer: Tracer,
}

impl Span {
    /// No span.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether it is one. Look before computing what [`Self::set`] is to be given.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Its place in its trace, if it is one.
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.0.as_ref().map(|open| open.record.at)
    }

    /// Where what happens within it is; `outside` if it is none.
    #[must_use]
    pub fn scope(&self, outside: &Scope) -> Scope {
        self.inner().unwrap_or_else(|| outside.clone())
    }

    /// The same; wherever the current task is if it is none.
    #[must_use]
    pub fn scope_or_current(&self) -> Option<Scope> {
        self.inner().or_else(Scope::current)
    }

    fn inner(&self) -> Option<Scope> {
        self.0.as_ref().map(|open| Scope::new(open.record.at, open.tracer.clone()))
    }

    /// Sets an attribute, in place of what it was.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let Some(open) = &mut self.0 else { return };
        let attributes = &mut open.record.attributes;
        match attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value.into(),
            None => attributes.push((key, value.into())),
        }
    }

    /// Notes that something happened, with one attribute.
    pub fn event(&mut self, name: &'static str, attribute: Option<(&'static str, Value)>) {
        let Some(open) = &mut self.0 else { return };
        open.record.events.push((name, SystemTime::now(), attribute));
    }

    /// Points to another span, and says why.
    pub fn link(&mut self, to: TraceParent, why: &'static str) {
        let Some(open) = &mut self.0 else { return };
        open.record.links.push((to, why));
    }

    /// It is an error, of this type.
    pub fn fail(&mut self, error_type: impl Into<Value>) {
        self.set(attribute::ERROR_TYPE, error_type);
        if let Some(open) = &mut self.0 {
            open.record.is_error = true;
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let Open { mut record, tracer } = *open;
            record.ended = SystemTime::now();
            tracer.take(record);
        }
    }
}
