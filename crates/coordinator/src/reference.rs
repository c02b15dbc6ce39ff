//! The reference page of an observer, made from its spec: all that its users have to know, and nothing that could be out
//! of date.

use std::fmt::{self, Write};

use crate::{EmissionSpec, Metric, ObserverSpec, OptionSpec, RecordSpec, Right, Watch};

impl ObserverSpec {
    /// What there is to know of the observer as a section of Markdown: what it does, what it watches and may do, its options,
    /// columns and metrics, and the events it records and emits.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Pod;
    /// use xebec_coordinator::{ObserverSpec, Watch};
    ///
    /// let page = ObserverSpec::new("greeter", "greets Pods").watch(Watch::of::<Pod>()).reference();
    /// assert!(page.starts_with("## greeter\n\nIt greets Pods.\n"));
    /// assert!(page.contains("| `pods` | get, list, watch |\n"));
    /// ```
    pub fn reference(&self) -> String {
        let mut page = Page(format!("## {}\n\nIt {}.\n", self.name, self.description));
        if !self.details.is_empty() {
            page.paragraph(&self.details);
        }
        page.watches(&self.watches);
        page.rights(&self.rights());
        if let Some(finalizer) = &self.finalizer {
            let primary = self.primary().map(ToString::to_string).unwrap_or_default();
            page.paragraph(&format!("It keeps objects of {primary} by the finalizer `{finalizer}`."));
        }
        page.options(&self.options);
        page.columns(
            &self.columns.iter().map(|column| (column.name(), column.description())).collect::<Vec<_>>(),
        );
        page.metrics(self);
        page.records(&self.records, self.component());
        page.emits(&self.emits);
        page.0
    }
}

struct Page(String);

impl Page {
    fn paragraph(&mut self, text: &str) {
        self.line(format_args!("\n{}", text.trim()));
    }

    fn line(&mut self, line: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// A table with a title, if there is anything in it.
    fn table<const N: usize>(
        &mut self,
        title: &str,
        heading: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.line(format_args!("\n### {title}\n"));
        self.line(format_args!("| {} |", heading.join(" | ")));
        self.line(format_args!("|{}", "---|".repeat(N)));
        for row in rows {
            // A line is a row, and a bar begins the next cell.
            let row = row.map(|cell| cell.replace('|', r"\|").replace('\n', " "));
            self.line(format_args!("| {} |", row.join(" | ")));
        }
    }

    fn watches(&mut self, watches: &[Watch]) {
        let rows = watches.iter().map(|watch| {
            let scope = &watch.scope;
            let mut of = Vec::new();
            if !scope.namespaces.is_empty() {
                of.push(format!("in {}", scope.namespaces.join(", ")));
            }
            of.extend(scope.labels.as_ref().map(|labels| format!("labelled `{labels}`")));
            of.extend(scope.fields.as_ref().map(|fields| format!("with `{fields}`")));
            let of = if of.is_empty() { "all".to_owned() } else { of.join(", ") };
            let needed = if watch.required { "" } else { ", if it is there" };
            [format!("`{}`", watch.kind), format!("{of}{needed}"), watch.detail.to_string()]
        });
        self.table("Watches", ["kind", "which", "keeps"], rows);
    }

    fn rights(&mut self, rights: &[Right]) {
        let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
        for right in rights {
            let dot = if right.group.is_empty() { "" } else { "." };
            let (resource, sub) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
            let slash = if sub.is_empty() { "" } else { "/" };
            let name = format!("`{resource}{dot}{}{slash}{sub}`", right.group);
            let place = rows.iter().position(|(known, _)| *known == name).unwrap_or(rows.len());
            if place == rows.len() {
                rows.push((name, Vec::new()));
            }
            let verbs = &mut rows[place].1;
            for verb in &right.verbs {
                if !verbs.contains(&verb.as_ref()) {
                    verbs.push(verb);
                }
            }
        }
        let rows = rows.into_iter().map(|(name, verbs)| [name, verbs.join(", ")]);
        self.table("Rights", ["resource", "verbs"], rows);
    }

    fn options(&mut self, options: &[OptionSpec]) {
        let rows = options.iter().map(|option| {
            let unit = option.unit.map(|unit| format!(", {unit}")).unwrap_or_default();
            let default = option.default.to_string();
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            [
                format!("`{}`", option.name),
                format!("{}{unit}", option.form),
                default,
                option.description.to_string(),
            ]
        });
        self.table("Options", ["option", "values", "default", "what it does"], rows);
    }

    fn columns(&mut self, columns: &[(&str, &str)]) {
        let rows = columns.iter().map(|(name, description)| [(*name).to_owned(), (*description).to_owned()]);
        self.table("Columns", ["column", "what it shows"], rows);
    }

    fn metrics(&mut self, spec: &ObserverSpec) {
        let rows = spec.metrics.iter().map(|metric: &Metric| {
            let labels =
                metric.labels.iter().map(|(name, values)| format!("`{name}`: {}", values.join(", ")));
            let labels = labels.collect::<Vec<_>>().join("; ");
            let name = format!("`{}`", spec.metric_name(metric));
            [name, metric.form.as_str().to_owned(), labels, metric.description.to_owned()]
        });
        self.table("Metrics", ["metric", "type", "labels", "what it tells"], rows);
    }

    fn records(&mut self, records: &[RecordSpec], component: &str) {
        let rows = records.iter().map(|record| {
            [
                record.severity.as_str().to_owned(),
                format!("`{}`", record.reason),
                record.description.to_string(),
            ]
        });
        self.table(
            &format!("Kubernetes Events, reported by `{component}`"),
            ["type", "reason", "when"],
            rows,
        );
    }

    fn emits(&mut self, emits: &[EmissionSpec]) {
        let rows = emits.iter().map(|event| {
            let name = event.type_name.rsplit("::").next().unwrap_or_default();
            [format!("`{name}`"), event.description.to_string()]
        });
        self.table("Events for other observers", ["event", "when"], rows);
    }
}
