//! The contact sheet: what a stage made, before and after, the most doubtful first, as pages that need nothing from outside
//! and no script. Must not know how doubt is measured, nor read or write anything.

use super::picture::{Picture, escaped, quoted};
use crate::outcome::{Counts, Outcome};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Cards on one page, at most.
pub const PAGE_CARDS: usize = 60;
const STYLE: &str = include_str!("sheet.css");

/// One figure of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What it says.
    pub name: String,
    /// Its value as text.
    pub value: String,
    /// Whether it is beyond what it is held to.
    pub broken: bool,
}

/// One photo and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The photo's key: any text.
    pub key: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The code of the reason; empty where there is none.
    pub reason: String,
    /// The cause in words; may be empty.
    pub detail: String,
    /// The photo.
    pub before: Picture,
    /// What was made of it.
    pub after: Picture,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// The run that a sheet speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// How its items ended.
    pub counts: Counts,
}

/// What a contact sheet shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage's name.
    pub stage: String,
    /// The run, where one is known.
    pub run: Option<Run>,
    /// When the sheet was made, as people write it.
    pub made: String,
    /// What accepts those whose keys are put behind it: `selvedge review accept nightly.toml`, fit for a shell.
    pub accept: String,
    /// What rejects them.
    pub reject: String,
    /// How many wait for a person; may be more than `doubtful` holds.
    pub waiting: u64,
    /// Those that wait, in the order in which they are shown.
    pub doubtful: Vec<Card>,
    /// Some of those that passed, in their order.
    pub passed: Vec<Card>,
}

/// The file of a page, counted from 0.
pub fn file(page: usize) -> String {
    if page == 0 { "sheet.html".to_owned() } else { format!("sheet-{}.html", page + 1) }
}

impl Sheet {
    /// The pages: whole HTML files, named by [`file`](file()); at least one.
    pub fn pages(&self) -> Vec<String> {
        let cards: Vec<&Card> = self.doubtful.iter().chain(&self.passed).collect();
        let count = cards.len().div_ceil(PAGE_CARDS).max(1);
        (0..count)
            .map(|page| {
                let from = page * PAGE_CARDS;
                let to = (from + PAGE_CARDS).min(cards.len());
                self.page(page, count, from, &cards[from..to])
            })
            .collect()
    }

    fn page(&self, page: usize, count: usize, from: usize, cards: &[&Card]) -> String {
        let mut html = String::new();
        let title = format!("{}: {} to look at", self.stage, self.waiting);
        let _ = write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            escaped(&title)
        );
        self.head(&mut html);
        navigation(&mut html, page, count);
        html.push_str("<main>\n");
        let split = self.doubtful.len().saturating_sub(from).min(cards.len());
        let (doubtful, passed) = cards.split_at(split);
        if page == 0 || !doubtful.is_empty() {
            self.doubtful(&mut html, doubtful);
        }
        if !passed.is_empty() {
            html.push_str(
                "<section>\n<h2>Passed, the least sure first</h2>\n<p class=\"quiet\">These went out without a person: \
                 what the rest looks like at its worst.</p>\n",
            );
            self.cards(&mut html, passed);
            html.push_str("</section>\n");
        }
        html.push_str("</main>\n");
        navigation(&mut html, page, count);
        html.push_str("</body>\n</html>\n");
        html
    }

    fn head(&self, html: &mut String) {
        let (pipeline, stage, made) = (escaped(&self.pipeline), escaped(&self.stage), escaped(&self.made));
        let _ = write!(html, "<header>\n<h1>Contact sheet of {stage}</h1>\n<p class=\"quiet\">Pipeline {pipeline}, ");
        if let Some(run) = &self.run {
            let _ = write!(html, "run <code>{}</code>, ", escaped(&run.name));
        }
        let _ = writeln!(html, "{made}</p>");
        if let Some(Run { counts, .. }) = &self.run {
            html.push_str("<ul class=\"counts\">\n");
            let named = [
                (counts.ok, "ok"),
                (counts.review, "to review"),
                (counts.quarantined, "quarantined"),
                (counts.failed, "failed"),
                (counts.cached, "done before"),
            ];
            for (number, name) in named {
                let _ = writeln!(html, "<li><b>{number}</b> {name}</li>");
            }
            html.push_str("</ul>\n");
        }
        if self.waiting > 0 {
            let (accept, reject) = (escaped(&self.accept), escaped(&self.reject));
            let _ = write!(
                html,
                "<div class=\"how\">\n<p>Accepted cutouts go to the shop, rejected ones to the quarantine. No later run asks \
                 again unless photo, model or settings change.</p>\n<code>{accept} KEY…</code>\n<code>{reject} KEY…</code>\n\
                 <p class=\"quiet\"><code>--all</code> in place of keys means all that wait, and <code>--all --reason R</code> \
                 those of one reason.</p>\n</div>\n"
            );
        }
        html.push_str("<fieldset>\n<legend>Behind the cutouts</legend>\n");
        for (index, name) in ["checkers", "white", "grey", "black"].into_iter().enumerate() {
            let checked = if index == 0 { " checked" } else { "" };
            let _ = writeln!(
                html,
                "<label><input type=\"radio\" name=\"behind\" id=\"behind-{name}\"{checked}> {name}</label>"
            );
        }
        html.push_str("</fieldset>\n</header>\n");
    }

    fn doubtful(&self, html: &mut String, cards: &[&Card]) {
        html.push_str("<section>\n<h2>To review, the most doubtful first</h2>\n");
        let shown = self.doubtful.len() as u64;
        if self.waiting == 0 {
            html.push_str("<p>Nothing waits for a person.</p>\n");
        } else if shown < self.waiting {
            let text = "the others come up as these are settled, and <code>review list</code> names them all";
            let _ = writeln!(html, "<p class=\"quiet\">The first {shown} of {} that wait; {text}.</p>", self.waiting);
        } else {
            let _ = writeln!(html, "<p class=\"quiet\">{} waiting.</p>", self.waiting);
        }
        self.cards(html, cards);
        html.push_str("</section>\n");
    }

    fn cards(&self, html: &mut String, cards: &[&Card]) {
        if cards.is_empty() {
            return;
        }
        html.push_str("<ul class=\"cards\">\n");
        for card in cards {
            self.card(html, card);
        }
        html.push_str("</ul>\n");
    }

    fn card(&self, html: &mut String, card: &Card) {
        let (key, word) = (escaped(&card.key), card.outcome.word());
        let reason = if card.reason.is_empty() { String::new() } else { format!(": {}", escaped(&card.reason)) };
        let _ = write!(
            html,
            "<li class=\"card {word}\">\n<header><h3><bdi>{key}</bdi></h3><span class=\"outcome\">{word}{reason}</span></header>\n\
             <div class=\"pair\">\n<figure><figcaption>before</figcaption><div class=\"frame\">{}</div></figure>\n\
             <figure class=\"after\"><figcaption>after</figcaption><div class=\"frame\">{}</div></figure>\n</div>\n",
            card.before.html(&format!("the photo {}", card.key)),
            card.after.html(&format!("the cutout of {}", card.key)),
        );
        if !card.detail.is_empty() {
            let _ = writeln!(html, "<p class=\"detail\">{}</p>", escaped(&card.detail));
        }
        if !card.figures.is_empty() {
            html.push_str("<table>\n<caption>Figures</caption>\n");
            for Figure { name, value, broken } in &card.figures {
                let (class, mark) = if *broken { (" class=\"broken\"", " ⚠ out of bounds") } else { ("", "") };
                let (name, value) = (escaped(name), escaped(value));
                let _ = writeln!(html, "<tr{class}><th scope=\"row\">{name}</th><td>{value}{mark}</td></tr>");
            }
            html.push_str("</table>\n");
        }
        if card.outcome == Outcome::Review {
            let word = quoted(&card.key);
            let word = escaped(&if word.starts_with('-') { format!("-- {word}") } else { word });
            let _ = writeln!(
                html,
                "<details class=\"take\"><summary>Accept or reject</summary><code>{} {word}</code><code>{} {word}</code></details>",
                escaped(&self.accept),
                escaped(&self.reject)
            );
        }
        html.push_str("</li>\n");
    }
}

fn navigation(html: &mut String, page: usize, count: usize) {
    if count < 2 {
        return;
    }
    html.push_str("<nav aria-label=\"Pages\">\n");
    if page > 0 {
        let _ = writeln!(html, "<a rel=\"prev\" href=\"{}\">← Page {page}</a>", file(page - 1));
    }
    let _ = writeln!(html, "<span>Page {} of {count}</span>", page + 1);
    if page + 1 < count {
        let _ = writeln!(html, "<a rel=\"next\" href=\"{}\">Page {} →</a>", file(page + 1), page + 2);
    }
    html.push_str("</nav>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(key: &str, outcome: Outcome) -> Card {
        Card {
            key: key.to_owned(),
            outcome,
            reason: "coverage".to_owned(),
            detail: "coverage 0.001 < 0.01".to_owned(),
            before: Picture::of_file("image/jpeg", b"jpeg", (2, 1)),
            after: Picture::Absent("not there any more".to_owned()),
            figures: vec![Figure { name: "coverage".to_owned(), value: "0.001".to_owned(), broken: true }],
        }
    }

    fn sheet(doubtful: Vec<Card>, passed: Vec<Card>) -> Sheet {
        Sheet {
            pipeline: "night".to_owned(),
            stage: "cutout".to_owned(),
            run: Some(Run { name: "r1".to_owned(), counts: Counts { ok: 7, review: 2, ..Counts::default() } }),
            made: "2026-11-23 02:15 UTC".to_owned(),
            accept: "selvedge review accept 'my night.toml'".to_owned(),
            reject: "selvedge review reject 'my night.toml'".to_owned(),
            waiting: doubtful.len() as u64,
            doubtful,
            passed,
        }
    }

    #[test]
    fn a_key_is_text_whatever_it_holds() {
        let key = "<script>alert(1)</script> it's.jpg";
        let pages = sheet(vec![card(key, Outcome::Review)], Vec::new()).pages();
        assert_eq!(pages.len(), 1);
        assert!(!pages[0].contains("<script"), "{}", pages[0]);
        assert!(pages[0].contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt; it&#39;s.jpg</bdi>"));
        let command = r"selvedge review accept 'my night.toml' '<script>alert(1)</script> it'\''s.jpg'";
        assert!(pages[0].contains(&format!("<code>{}</code>", escaped(command))));
    }

    #[test]
    fn a_key_that_looks_like_an_option_is_still_a_key() {
        let pages = sheet(vec![card("-all.jpg", Outcome::Review)], Vec::new()).pages();
        assert!(pages[0].contains("-- -all.jpg</code>"));
    }

    #[test]
    fn pages_hold_every_card_once_in_order_and_lead_to_each_other() {
        let doubtful: Vec<Card> = (0..70).map(|index| card(&format!("d{index:03}"), Outcome::Review)).collect();
        let passed: Vec<Card> = (0..60).map(|index| card(&format!("p{index:03}"), Outcome::Ok)).collect();
        let pages = sheet(doubtful.clone(), passed.clone()).pages();
        assert_eq!(pages.len(), 3);
        let all = pages.concat();
        let places: Vec<usize> = doubtful
            .iter()
            .chain(&passed)
            .map(|card| {
                let places: Vec<usize> = all.match_indices(&format!("<bdi>{}<", card.key)).map(|(at, _)| at).collect();
                assert_eq!(places.len(), 1, "{}", card.key);
                places[0]
            })
            .collect();
        assert!(places.is_sorted());
        assert!(!pages[0].contains("rel=\"prev\"") && pages[0].contains("href=\"sheet-2.html\""));
        assert!(pages[1].contains("href=\"sheet.html\"") && pages[1].contains("href=\"sheet-3.html\""));
        assert!(!pages[2].contains("rel=\"next\""));
        // Each section is titled where it begins and where it goes on.
        let titles = |page: &String| (page.contains("<h2>To review"), page.contains("<h2>Passed"));
        assert_eq!(pages.iter().map(titles).collect::<Vec<_>>(), [(true, false), (true, true), (false, true)]);
    }

    #[test]
    fn nothing_comes_from_outside() {
        let page = &sheet(vec![card("a", Outcome::Review)], Vec::new()).pages()[0];
        for word in ["http:", "https:", "//", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_sheet_without_cards_says_so() {
        let pages = sheet(Vec::new(), Vec::new()).pages();
        assert_eq!(pages.len(), 1);
        assert!(pages[0].contains("Nothing waits for a person."));
        assert!(!pages[0].contains("KEY…"));
    }

    #[test]
    fn the_figure_that_is_out_of_bounds_is_marked_in_words() {
        let page = &sheet(vec![card("a", Outcome::Review)], Vec::new()).pages()[0];
        assert!(
            page.contains("<tr class=\"broken\"><th scope=\"row\">coverage</th><td>0.001 ⚠ out of bounds</td></tr>")
        );
        assert!(page.contains("not there any more"));
    }
}
