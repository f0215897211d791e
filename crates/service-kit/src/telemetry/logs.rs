//! Log lines: for people on a terminal, for machines elsewhere; there with the trace they belong to.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Once;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::span::Scope;
use crate::settings::{LogFormat, TelemetrySettings};

static STARTED: Once = Once::new();

/// Starts logging, once per process: later calls change nothing, so tests and meshes in one process may all call it.
pub fn init(settings: &TelemetrySettings) {
    STARTED.call_once(|| {
        let filter = EnvFilter::try_new(&settings.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let is_json = match settings.format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !std::io::stderr().is_terminal(),
        };
        let layer = if is_json {
            tracing_subscriber::fmt::layer()
                .json()
                .event_format(InTrace(tracing_subscriber::fmt::format().json().flatten_event(true)))
                .boxed()
        } else {
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed()
        };
        // Somebody else's subscriber stays: it was here first.
        let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    });
}

/// Puts `trace_id` and `span_id` in front of what a JSON line says.
struct InTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for InTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(at) = Scope::peek(Scope::traceparent) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(256);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => {
                let (trace, span) = (at.trace_id(), at.span_id());
                write!(writer, "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}")
            }
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::telemetry::{TraceParent, Tracer};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn a_json_line_says_which_trace_and_span_it_belongs_to() {
        let kept = Kept::default();
        let format = InTrace(tracing_subscriber::fmt::format().json().flatten_event(true));
        let layer = tracing_subscriber::fmt::layer().json().event_format(format).with_writer(kept.clone());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let parent = TraceParent::random();
        let scope = Tracer::off().enter(Some(parent));
        scope.within(async { tracing::info!(saga_id = "s-1", "within {}", 1) }).await;
        tracing::info!("outside");
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["trace_id"], parent.trace_id());
        assert_eq!(lines[0]["span_id"], parent.span_id());
        assert_eq!((&lines[0]["message"], &lines[0]["saga_id"]), (&"within 1".into(), &"s-1".into()));
        assert_eq!(lines[1].get("trace_id"), None);
    }
}
