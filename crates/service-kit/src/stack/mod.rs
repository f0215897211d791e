//! What surrounds every call: one expression, outermost first, with the reason of each place.

mod around;
mod deadline;
mod layers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};

pub use around::{Around, AroundLayer, AroundService, Next, Request, Response};
pub use deadline::Deadline;
pub use layers::RequestId;

use crate::auth::{Authenticator, Authorize};
use crate::metrics::Metrics;
use crate::settings::LimitSettings;
use crate::telemetry::Tracer;
use layers::{Explain, Measure, NoPanic, Shed, Trace};

/// The layers of one listener, innermost type first.
pub type Layers = Stack<
    AroundLayer<Explain>,
    Stack<
        AroundLayer<Authorize>,
        Stack<
            AroundLayer<Shed>,
            Stack<
                AroundLayer<deadline::Bound>,
                Stack<
                    AroundLayer<NoPanic>,
                    Stack<
                        AroundLayer<Measure>,
                        Stack<AroundLayer<Trace>, Stack<AroundLayer<layers::Identify>, Identity>>,
                    >,
                >,
            >,
        >,
    >,
>;

/// The stack of one listener that serves these services.
#[must_use]
pub fn stack(
    limits: &LimitSettings,
    (metrics, tracer): (Metrics, Tracer),
    authenticator: Authenticator,
    served: &[&'static str],
) -> ServiceBuilder<Layers> {
    ServiceBuilder::new()
        // First, so that everything below can name the request, and every answer carries its id.
        .layer(AroundLayer(layers::Identify))
        // Before anything that logs: log lines and spans belong to the caller's trace.
        .layer(AroundLayer(Trace(tracer)))
        // Outside of everything that can answer by itself, so that every answer is counted.
        .layer(AroundLayer(Measure(metrics)))
        // A panic is an INTERNAL of one call, not the end of a connection that carries others.
        .layer(AroundLayer(NoPanic))
        // tonic would answer CANCELLED; the deadline must win before it does, and cover waiting as well.
        .layer(AroundLayer(deadline::Bound {
            default: Duration::from_millis(limits.default_deadline_ms),
            max: Duration::from_millis(limits.max_deadline_ms),
        }))
        // Before any work on behalf of the caller: an overloaded service answers at once or not at all.
        .layer(AroundLayer(Shed(Arc::new(Semaphore::new(limits.concurrency)))))
        // Before the message is read: strangers cost nothing but a look at their headers.
        .layer(AroundLayer(Authorize::new(authenticator, served)))
        // Next to tonic: what it answers by itself gets a reason, and what is ours passes unchanged.
        .layer(AroundLayer(Explain))
}
