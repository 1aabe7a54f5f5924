//! A run as an OpenTelemetry trace: a span for the run, one for each of its stages, in the JSON form of OTLP over HTTP. Where
//! it goes is said by OpenTelemetry's own variables. Must not know how it is sent.

use super::message::{Message, below};
use crate::clock::Timestamp;
use crate::id;
use crate::outcome::Counts;
use crate::runner::state::End;
use serde_json::{Value, json};

/// The message, when the environment names a collector; an error when it asks for what is not spoken here.
pub fn message(end: &End, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Message>, String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("OTEL_SDK_DISABLED").is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let url = |name: &str| match set(name).map(|text| url::Url::parse(&text)) {
        None => Ok(None),
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
        Some(_) => Err(format!("{name} is no URL that begins with https:// or http://")),
    };
    let to = match url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")? {
        Some(url) => Some(url),
        None => url("OTEL_EXPORTER_OTLP_ENDPOINT")?.map(|url| below(url, &["v1", "traces"])),
    };
    let Some(to) = to else { return Ok(None) };
    let of_traces = |name: &str| {
        set(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}")).or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    if of_traces("PROTOCOL").is_some_and(|protocol| protocol == "grpc") {
        let text =
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: traces are sent as http/json only; name the collector's HTTP port";
        return Err(format!("{text}, 4318 unless changed"));
    }
    let headers = pairs(&of_traces("HEADERS").unwrap_or_default());
    let mut resource = pairs(&set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    let named = set("OTEL_SERVICE_NAME");
    if named.is_some() || !resource.iter().any(|(key, _)| key == "service.name") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), named.unwrap_or_else(|| "selvedge".to_owned())));
    }
    let body = serde_json::to_vec(&trace(end, &resource)).unwrap_or_default();
    Ok(Some(Message::trace(to, headers, body)))
}

/// `a=b,c=d`, values percent-encoded, as OpenTelemetry's variables hold them.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        // As a query of one key, in which only percent signs mean more than themselves.
        let query = text.trim().replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        let mut parsed = url::form_urlencoded::parse(query.as_bytes());
        parsed.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
    };
    let pair = |part: &str| part.split_once('=').map(|(key, value)| (key.trim().to_owned(), decoded(value)));
    text.split(',').filter_map(pair).collect()
}

fn trace(end: &End, resource: &[(String, String)]) -> Value {
    let trace = format!("{}{}", id::token(), id::token());
    let root = id::token();
    let started = end.started.unwrap_or(end.ended);
    let mut attributes = vec![
        text("selvedge.pipeline", &end.pipeline),
        text("selvedge.result", end.result.as_deref().unwrap_or_default()),
    ];
    attributes.extend(end.run.as_deref().map(|run| text("selvedge.run", run)));
    attributes.extend(end.date.as_deref().map(|date| text("selvedge.date", date)));
    attributes.extend(end.exit.map(|exit| number("selvedge.exit", u64::from(exit))));
    attributes.extend(counted(&end.counts));
    let mut status = json!({"code": if matches!(end.exit, Some(0 | 3)) { 1 } else { 2 }});
    if let Some(error) = &end.error {
        status["message"] = json!(error);
    }
    let mut spans = vec![json!({
        "traceId": trace, "spanId": root, "name": format!("run {}", end.pipeline), "kind": 1,
        "startTimeUnixNano": nanoseconds(started), "endTimeUnixNano": nanoseconds(end.ended),
        "attributes": attributes, "status": status,
    })];
    for stage in &end.stage_results {
        let (Some(started), Some(seconds)) = (stage.started, stage.seconds) else { continue };
        let ended = started.as_nanosecond() + (seconds * 1e9) as i128;
        let mut attributes = vec![text("selvedge.pipeline", &end.pipeline), text("selvedge.stage", &stage.name)];
        attributes.extend(end.run.as_deref().map(|run| text("selvedge.run", run)));
        attributes.extend(counted(&stage.counts));
        spans.push(json!({
            "traceId": trace, "spanId": id::token(), "parentSpanId": root, "name": format!("stage {}", stage.name),
            "kind": 1, "startTimeUnixNano": nanoseconds(started), "endTimeUnixNano": ended.to_string(),
            "attributes": attributes, "status": {"code": 1},
        }));
    }
    let resource: Vec<Value> = resource.iter().map(|(key, value)| text(key, value)).collect();
    let scope = json!({"name": "selvedge", "version": env!("CARGO_PKG_VERSION")});
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn nanoseconds(time: Timestamp) -> String {
    time.as_nanosecond().to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn counted(counts: &Counts) -> [Value; 5] {
    [
        number("selvedge.items.ok", counts.ok),
        number("selvedge.items.cached", counts.cached),
        number("selvedge.items.review", counts.review),
        number("selvedge.items.quarantined", counts.quarantined),
        number("selvedge.items.failed", counts.failed),
    ]
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn pairs_are_read_as_opentelemetry_writes_them() {
        let read = pairs("api-key=a%2Bb%20c, tenant=x+y=z&w,nothing");
        let wanted =
            [("api-key", "a+b c"), ("tenant", "x+y=z&w")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        // What stands behind an equals sign within a value belongs to it.
        assert_eq!(read, wanted);
    }
}
