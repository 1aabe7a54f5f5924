//! The parts of a report: headline figures, charts with their tables, and panels of pictures. Must not know what they are of.

use super::super::plot::number::count;
use super::{Anchors, Entry, Figure, Panel, Part, Section, beside, capital, code, grid, prose};
use std::fmt::Write as _;

/// Rows of an answer that are shown, at most.
const ROWS: usize = 100;

pub(super) fn part(html: &mut String, part: &Part, anchors: &mut Anchors, contents: &mut Vec<Entry>) {
    let id = anchors.take(&part.id);
    let _ = writeln!(html, "<section class=\"part\" id=\"{id}\">\n<h2>{}</h2>", prose(&part.title));
    if !part.lead.is_empty() {
        let _ = writeln!(html, "<p class=\"lead\">{}</p>", prose(&part.lead));
    }
    if !part.numbers.is_empty() {
        html.push_str("<dl class=\"counts\">\n");
        for (name, value) in &part.numbers {
            let value = value.parse().map_or_else(|_| value.clone(), count);
            let _ = writeln!(html, "<div><dt>{}</dt><dd>{}</dd></div>", prose(name), prose(&value));
        }
        html.push_str("</dl>\n");
    }
    contents.push(Entry { id: id.clone(), title: part.title.clone(), within: false });
    for section in &part.sections {
        self::section(html, section, &id, anchors, contents);
    }
    html.push_str("</section>\n");
}

fn section(html: &mut String, section: &Section, part: &str, anchors: &mut Anchors, contents: &mut Vec<Entry>) {
    // Without a title of its own, what it holds is headed one level higher.
    let mut level = 3;
    if section.title.is_empty() {
        html.push_str("<section>\n");
    } else {
        level = 4;
        let id = anchors.take(&format!("{part}-{}", section.title));
        let _ = writeln!(html, "<section id=\"{id}\">\n<h3>{}</h3>", prose(&section.title));
        contents.push(Entry { id, title: section.title.clone(), within: true });
    }
    for figure in &section.figures {
        let id = anchors.take(&format!("{part}-{}", figure.name));
        self::figure(html, figure, &id, level);
    }
    let several = section.panels.len() > 1;
    html.push_str(if several { "<div class=\"panels\">\n" } else { "" });
    for panel in &section.panels {
        self::panel(html, panel, level);
    }
    html.push_str(if several { "</div>\n" } else { "" });
    html.push_str("</section>\n");
}

fn figure(html: &mut String, figure: &Figure, id: &str, level: u8) {
    let _ = writeln!(
        html,
        "<article class=\"figure\" id=\"{id}\">\n<div class=\"words\">\n<h{level}><a href=\"#{id}\">{}</a></h{level}>\n<p>{}</p>",
        prose(&figure.title),
        prose(&figure.question)
    );
    for note in &figure.notes {
        let _ = writeln!(html, "<p class=\"note\">{}</p>", prose(note));
    }
    let mut small = Vec::new();
    if !figure.grain.is_empty() {
        small.push(capital(&prose(&figure.grain)));
    }
    if let Some(csv) = &figure.csv {
        small.push(format!("<a href=\"{}\" download>CSV</a>", beside(csv)));
    }
    if !small.is_empty() {
        let _ = writeln!(html, "<p class=\"quiet small\">{}</p>", small.join(" · "));
    }
    html.push_str("</div>\n<div class=\"shown\">\n");
    let drawn = figure.plot.as_ref().map(|plot| plot.svg(&figure.title, &figure.question, &figure.table));
    match &drawn {
        None => {}
        Some(Ok(svg)) => {
            let _ = writeln!(html, "<div class=\"chart\">\n{svg}</div>");
        }
        Some(Err(why)) => {
            let _ = writeln!(html, "<p class=\"absent\">No chart: {}.</p>", prose(why));
        }
    }
    let rows = figure.table.rows.len();
    let open = if matches!(drawn, Some(Ok(_))) { "" } else { " open" };
    let counted = format!("{} {}", count(rows as u64), if rows == 1 { "row" } else { "rows" });
    let _ = writeln!(html, "<details{open}>\n<summary>Table, {counted}</summary>");
    grid::table(html, &figure.table, ROWS, rows as u64, figure.csv.as_deref().filter(|_| rows > ROWS));
    html.push_str("</details>\n");
    reproduce(html, figure);
    html.push_str("</div>\n</article>\n");
}

fn reproduce(html: &mut String, figure: &Figure) {
    if figure.command.is_empty() && figure.sql.is_empty() {
        return;
    }
    let title = match (figure.command.is_empty(), figure.sql.is_empty()) {
        (false, false) => "Command and SQL",
        (false, true) => "Command",
        (true, _) => "SQL",
    };
    let _ = writeln!(html, "<details>\n<summary>{title}</summary>");
    if !figure.command.is_empty() {
        html.push_str(&code("command", &figure.command));
        html.push('\n');
    }
    if !figure.sql.is_empty() {
        html.push_str(&code("sql", &figure.sql));
        html.push('\n');
    }
    html.push_str("</details>\n");
}

fn panel(html: &mut String, panel: &Panel, level: u8) {
    let _ = writeln!(html, "<article class=\"panel\">\n<h{level}>{}</h{level}>", prose(&panel.title));
    if !panel.detail.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", prose(&panel.detail));
    }
    html.push_str("<ul class=\"pictures\">\n");
    for (caption, picture) in &panel.pictures {
        let alone = if panel.pictures.len() == 1 { " class=\"alone\"" } else { "" };
        let _ = writeln!(
            html,
            "<li{alone}><figure><div class=\"frame\">{}</div><figcaption>{}</figcaption></figure></li>",
            picture.html(caption),
            prose(caption)
        );
    }
    html.push_str("</ul>\n");
    if !panel.legend.is_empty() {
        html.push_str("<ul class=\"legend\">\n");
        for (colour, name) in panel.legend.iter() {
            let swatch = match is_colour(colour) {
                true => format!("<span class=\"swatch\" style=\"background:{colour}\"></span>"),
                false => String::new(),
            };
            let _ = writeln!(html, "<li>{swatch}{}</li>", prose(name));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</article>\n");
}

/// Whether a text is `#rrggbb` and no more: nothing else gets into a style.
fn is_colour(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
