//! The registry as OTLP metrics: the same numbers as on `/metrics`, under the names of the conventions.

use std::time::SystemTime;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus::proto::{self, MetricFamily, MetricType};

use super::export::{nanos, text};
use crate::metrics::Metrics;
use crate::names::metric as catalogue;

/// Everything that is counted now.
pub(super) fn encode(metrics: &Metrics, resource: &Resource, scope: InstrumentationScope) -> ResourceMetrics {
    let begun = nanos(metrics.begun());
    let metrics = metrics.gather().iter().filter_map(|family| metric(family, begun)).collect();
    ResourceMetrics {
        resource: Some(resource.clone()),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

fn metric(family: &MetricFamily, begun: u64) -> Option<Metric> {
    let known = catalogue::ALL.iter().find(|known| known.name == family.name())?;
    let now = nanos(SystemTime::now());
    let point = |series: &proto::Metric, value: f64| NumberDataPoint {
        attributes: labels(series),
        start_time_unix_nano: begun,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    let series = family.get_metric().iter();
    let temporality = AggregationTemporality::Cumulative.into();
    let data = match family.get_field_type() {
        MetricType::COUNTER => metric::Data::Sum(Sum {
            data_points: series.map(|one| point(one, one.get_counter().get_value())).collect(),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        MetricType::GAUGE => metric::Data::Gauge(Gauge {
            data_points: series.map(|one| point(one, one.get_gauge().get_value())).collect(),
        }),
        MetricType::HISTOGRAM => metric::Data::Histogram(Histogram {
            data_points: series.map(|one| histogram(one, begun, now)).collect(),
            aggregation_temporality: temporality,
        }),
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    Some(Metric {
        name: known.otlp.to_owned(),
        description: known.help.to_owned(),
        unit: known.unit().to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

/// Prometheus counts up to each boundary, OTLP between them.
fn histogram(series: &proto::Metric, begun: u64, now: u64) -> HistogramDataPoint {
    let histogram = series.get_histogram();
    let (mut bounds, mut counts, mut before) = (Vec::new(), Vec::new(), 0);
    for bucket in histogram.get_bucket() {
        if bucket.upper_bound().is_finite() {
            bounds.push(bucket.upper_bound());
            counts.push(bucket.cumulative_count().saturating_sub(before));
            before = bucket.cumulative_count();
        }
    }
    counts.push(histogram.get_sample_count().saturating_sub(before));
    HistogramDataPoint {
        attributes: labels(series),
        start_time_unix_nano: begun,
        time_unix_nano: now,
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts,
        explicit_bounds: bounds,
        ..HistogramDataPoint::default()
    }
}

/// Labels of the conventions have dots there: `rpc_method` is `rpc.method`.
fn labels(series: &proto::Metric) -> Vec<KeyValue> {
    let named = |name: &str| match name {
        "rpc_response_status_code" => "rpc.response.status_code".to_owned(),
        "db_client_connection_pool_name" => "db.client.connection.pool.name".to_owned(),
        name if name.starts_with("rpc_") || name.starts_with("db_") || name == "error_type" => {
            name.replace('_', ".")
        }
        name => name.to_owned(),
    };
    series.get_label().iter().map(|label| text(&named(label.name()), label.value())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_counted_between_boundaries() {
        let metrics = Metrics::new().unwrap();
        metrics.begin("a.B/C").end("OK");
        let sent = encode(&metrics, &Resource::default(), InstrumentationScope::default());
        let all = &sent.scope_metrics[0].metrics;
        let calls = all.iter().find(|metric| metric.name == "rpc.server.call.duration").unwrap();
        assert_eq!(calls.unit, "s");
        let Some(metric::Data::Histogram(histogram)) = &calls.data else { panic!("{calls:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.bucket_counts.iter().sum::<u64>()), (1, 1));
        assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
        assert!(point.attributes.contains(&text("rpc.response.status_code", "OK")), "{point:?}");
    }
}
