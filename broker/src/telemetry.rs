//! Logs, traces and metrics. Label values come from closed sets; no claim, token or secret ever becomes one.

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram, MeterProvider, UpDownCounter};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The `[telemetry]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `json` (one object a line) or `text`.
    pub log: LogFormat,
    /// A filter such as `info` or `broker=debug,info`.
    pub level: String,
    /// Where traces and metrics go by OTLP over HTTP; nothing is sent without it.
    pub otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Json,
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self { log: LogFormat::Json, level: "info".to_owned(), otlp_endpoint: None }
    }
}

impl Config {
    /// Says what would keep telemetry from starting.
    pub fn check(&self) -> Result<(), TelemetryError> {
        self.filter()?;
        if let Some(endpoint) = &self.otlp_endpoint
            && !url::Url::parse(endpoint).is_ok_and(|url| ["http", "https"].contains(&url.scheme()))
        {
            return Err(TelemetryError::Exporter("it is no URL such as http://collector:4318".into()));
        }
        Ok(())
    }

    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        EnvFilter::try_new(&self.level).map_err(|error| TelemetryError::Filter(self.level.clone(), error.to_string()))
    }
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("[telemetry] level {0:?} is not a filter: {1}")]
    Filter(String, String),
    #[error("[telemetry] otlp_endpoint cannot be used: {0}")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What must live as long as the process and be flushed at its end.
#[derive(Debug)]
pub struct Telemetry {
    pub registry: prometheus::Registry,
    pub metrics: Metrics,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging to standard error, metrics for Prometheus and, where configured, OTLP.
    pub fn start(config: &Config, version: &'static str) -> Result<Self, TelemetryError> {
        config.check()?;
        let resource = Resource::builder()
            .with_service_name("daypass-broker")
            .with_attribute(KeyValue::new("service.version", version))
            .build();

        let registry = prometheus::Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| TelemetryError::Exporter(error.into()))?;
        let mut meters = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
        let mut traces = None;
        if let Some(endpoint) = &config.otlp_endpoint {
            let base = endpoint.trim_end_matches('/');
            let metrics = opentelemetry_otlp::MetricExporter::builder()
                .with_http()
                .with_endpoint(format!("{base}/v1/metrics"))
                .build()
                .map_err(|error| TelemetryError::Exporter(error.into()))?;
            meters = meters.with_periodic_exporter(metrics);
            let spans = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{base}/v1/traces"))
                .build()
                .map_err(|error| TelemetryError::Exporter(error.into()))?;
            traces = Some(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(spans).build());
        }
        let meters = meters.build();

        global::set_text_map_propagator(TraceContextPropagator::new());
        let text = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        let logs = match config.log {
            LogFormat::Json => text.json().flatten_event(true).with_span_list(false).with_filter(config.filter()?).boxed(),
            LogFormat::Text => text.with_filter(config.filter()?).boxed(),
        };
        let spans = match &traces {
            Some(provider) => {
                Some(tracing_opentelemetry::layer().with_tracer(provider.tracer("daypass-broker")).with_filter(config.filter()?))
            }
            None => None,
        };
        // A test may have installed one already; then that one serves.
        let _ = tracing_subscriber::registry().with(logs).with(spans).try_init();
        let metrics = Metrics::new(&meters);
        Ok(Self { registry, metrics, meters, traces })
    }

    /// Sends what is still waiting. Blocks; call it off the runtime.
    pub fn shutdown(&self) {
        let wait = Duration::from_secs(3);
        if let Some(traces) = &self.traces {
            let _ = traces.shutdown_with_timeout(wait);
        }
        let _ = self.meters.shutdown_with_timeout(wait);
    }
}

/// An error with its causes on one line, each told once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// The broker's own instruments.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Counter<u64>,
    request_seconds: Histogram<f64>,
    decisions: Counter<u64>,
    unverified: Counter<u64>,
    issued: Counter<u64>,
    ended: Counter<u64>,
    leases_overdue: Gauge<u64>,
    oldest_overdue: Gauge<f64>,
    on_hold: Gauge<u64>,
    target_leases: Gauge<u64>,
    target_oldest: Gauge<f64>,
    keys_age: Gauge<f64>,
    key_failures: Counter<u64>,
    clock_offset: Gauge<f64>,
    connections: UpDownCounter<i64>,
    shed: Counter<u64>,
    hooks: Counter<u64>,
    shadow_differs: Counter<u64>,
    policy_refused: Gauge<u64>,
    alarms: Counter<u64>,
}

impl Metrics {
    fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("daypass");
        let seconds = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self {
            requests: meter.u64_counter("daypass_requests").with_description("Answered requests by route and status").build(),
            request_seconds: meter
                .f64_histogram("daypass_request_seconds")
                .with_description("Time to answer, by route")
                .with_boundaries(seconds)
                .build(),
            decisions: meter.u64_counter("daypass_decisions").with_description("Exchanges decided, by outcome code").build(),
            unverified: meter
                .u64_counter("daypass_tokens_refused")
                .with_description("Tokens refused before their signature was accepted, by code")
                .build(),
            issued: meter.u64_counter("daypass_credentials_issued").with_description("Credentials handed out, by engine").build(),
            ended: meter.u64_counter("daypass_leases_ended").with_description("Leases ended, by engine and state").build(),
            leases_overdue: meter
                .u64_gauge("daypass_leases_overdue")
                .with_description("Leases past their end that are not gone yet")
                .build(),
            oldest_overdue: meter
                .f64_gauge("daypass_lease_oldest_overdue_seconds")
                .with_description("How long the oldest overdue lease is past its end")
                .build(),
            target_leases: meter
                .u64_gauge("daypass_target_leases")
                .with_description("Leases that wait to be taken back, by target and whether they are due, overdue or fenced")
                .build(),
            target_oldest: meter
                .f64_gauge("daypass_target_oldest_waiting_seconds")
                .with_description("How long the first of those should have been gone, by target")
                .build(),
            on_hold: meter
                .u64_gauge("daypass_on_hold")
                .with_description("1 while taking back waits for `daypass lease resume`")
                .build(),
            keys_age: meter
                .f64_gauge("daypass_issuer_keys_age_seconds")
                .with_description("Age of an issuer's key set, by issuer name")
                .build(),
            key_failures: meter
                .u64_counter("daypass_issuer_key_fetch_failures")
                .with_description("Attempts to fetch an issuer's keys that failed, by issuer name")
                .build(),
            clock_offset: meter
                .f64_gauge("daypass_clock_offset_seconds")
                .with_description("The database's clock less this machine's")
                .build(),
            connections: meter
                .i64_up_down_counter("daypass_connections")
                .with_description("Open connections by listener")
                .build(),
            shed: meter.u64_counter("daypass_shed").with_description("Connections and requests turned away, by reason").build(),
            hooks: meter
                .u64_counter("daypass_hook_deliveries")
                .with_description("Deliveries of CI systems, by issuer name and outcome")
                .build(),
            shadow_differs: meter
                .u64_counter("daypass_shadow_differences")
                .with_description("Decisions that the policy set that looks on would have made otherwise")
                .build(),
            policy_refused: meter
                .u64_gauge("daypass_policy_refused")
                .with_description("1 while there is a newer policy set that cannot be used")
                .build(),
            alarms: meter.u64_counter("daypass_alarms").with_description("What needs an operator's eye, by kind").build(),
        }
    }

    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let route = KeyValue::new("route", route.to_owned());
        self.requests.add(1, &[route.clone(), KeyValue::new("status", i64::from(status))]);
        self.request_seconds.record(took.as_secs_f64(), &[route]);
    }

    /// `code` is `granted` or a refusal code.
    pub fn decision(&self, code: &'static str) {
        self.decisions.add(1, &[KeyValue::new("code", code)]);
    }

    pub fn unverified(&self, code: &'static str) {
        self.unverified.add(1, &[KeyValue::new("code", code)]);
    }

    pub fn issued(&self, engine: &'static str) {
        self.issued.add(1, &[KeyValue::new("engine", engine)]);
    }

    pub fn ended(&self, engine: &str, state: &'static str) {
        self.ended.add(1, &[KeyValue::new("engine", engine.to_owned()), KeyValue::new("state", state)]);
    }

    pub fn overdue(&self, leases: u64, oldest: Duration) {
        self.leases_overdue.record(leases, &[]);
        self.oldest_overdue.record(oldest.as_secs_f64(), &[]);
    }

    /// `target` is a connection or an engine, a closed set; the counts are of due, overdue and fenced leases.
    pub fn waiting(&self, target: &str, [due, overdue, fenced]: [u64; 3], oldest: Duration) {
        let target = KeyValue::new("target", target.to_owned());
        for (state, leases) in [("due", due), ("overdue", overdue), ("fenced", fenced)] {
            self.target_leases.record(leases, &[target.clone(), KeyValue::new("state", state)]);
        }
        self.target_oldest.record(oldest.as_secs_f64(), &[target]);
    }

    pub fn on_hold(&self, held: bool) {
        self.on_hold.record(u64::from(held), &[]);
    }

    /// `issuer` is a name of the policy set, a closed set.
    pub fn keys(&self, issuer: &str, age: Option<Duration>, failures: u64) {
        let issuer = [KeyValue::new("issuer", issuer.to_owned())];
        if let Some(age) = age {
            self.keys_age.record(age.as_secs_f64(), &issuer);
        }
        self.key_failures.add(failures, &issuer);
    }

    pub fn clock_offset(&self, seconds: f64) {
        self.clock_offset.record(seconds, &[]);
    }

    pub fn connection(&self, listener: &'static str, change: i64) {
        self.connections.add(change, &[KeyValue::new("listener", listener)]);
    }

    pub fn shed(&self, reason: &'static str) {
        self.shed.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// `issuer` is a name of the configuration, or empty.
    pub fn hook(&self, issuer: &str, outcome: &'static str) {
        self.hooks.add(1, &[KeyValue::new("issuer", issuer.to_owned()), KeyValue::new("outcome", outcome)]);
    }

    pub fn shadow_differs(&self) {
        self.shadow_differs.add(1, &[]);
    }

    pub fn policy_refused(&self, refused: bool) {
        self.policy_refused.record(u64::from(refused), &[]);
    }

    pub fn alarm(&self, kind: &'static str) {
        self.alarms.add(1, &[KeyValue::new("kind", kind)]);
    }
}
