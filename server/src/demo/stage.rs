use http::Method;

use super::json::laid_out;
use crate::client::{Answer, Client, Event};
use crate::failure::Failure;
use crate::out::{Out, Style};

/// Shows each step as a command that a reader could type, with its answer.
pub(super) struct Stage<'a> {
    pub(super) out: &'a mut Out,
    pub(super) registry: Client,
    /// The step that is under way.
    pub(super) step: usize,
}

/// Answers are laid out for this many columns where nobody says how many there are.
const COLUMNS: u16 = 100;
const MARGIN: &str = "   ";

impl<'a> Stage<'a> {
    pub(super) fn new(out: &'a mut Out, registry: Client) -> Stage<'a> {
        Stage { out, registry, step: 0 }
    }

    pub(super) fn title(&mut self, title: &str) -> Result<(), Failure> {
        self.step += 1;
        self.out.line("")?;
        let lead = self.out.paint(Style::Bold, format!("{}. ", self.step));
        Ok(self.out.wrapped(&lead, MARGIN.len(), title)?)
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.wrapped(MARGIN, MARGIN.len(), text)?)
    }

    pub(super) fn command(&mut self, command: &str) -> Result<(), Failure> {
        for (number, line) in command.lines().enumerate() {
            let line = self.out.paint(Style::Good, line);
            let lead = if number == 0 { "$ " } else { "    " };
            self.out.line(format!("{MARGIN}{lead}{line}"))?;
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, json: &str) -> Result<(), Failure> {
        self.lines(&laid_out(json.trim(), self.columns()))
    }

    fn lines(&mut self, text: &str) -> Result<(), Failure> {
        Ok(text.lines().try_for_each(|line| self.out.line(format!("{MARGIN}{line}")))?)
    }

    /// Asks for a path of the registry, or for a URL of a service.
    pub(super) async fn get(&mut self, url: &str) -> Result<Answer, Failure> {
        let (client, path) = match url.strip_prefix('/') {
            Some(_) => (self.registry.clone(), url),
            None => split(url)?,
        };
        let full = format!("{}{path}", client.url);
        self.command(&format!("curl {}", quoted(&full)))?;
        let answer = client.ask(Method::GET, path, None).await?;
        self.answer(&answer.text)?;
        Ok(answer)
    }

    pub(super) async fn post(&mut self, path: &str, body: &str) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.registry.url);
        // A shell lets a quoted text go over several lines, so the command stays one to be typed.
        let data = laid_out(body, self.columns().saturating_sub(10));
        self.command(&format!("curl -X POST {url} \\\n-H 'Content-Type: application/json' \\\n-d '{data}'"))?;
        let answer = self.registry.ask(Method::POST, path, Some(body.to_owned())).await?;
        self.answer(&answer.text)?;
        Ok(answer)
    }

    fn columns(&self) -> usize {
        usize::from(self.out.width.unwrap_or(COLUMNS)).saturating_sub(MARGIN.len())
    }

    /// An event of a watch, without the whole instance that it carries.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let data = match event.data.split_once(",\"instance\":") {
            Some((before, _)) => format!("{before},\"instance\":{{...}}}}"),
            None => event.data.clone(),
        };
        let data = laid_out(&data, self.columns().saturating_sub("data: ".len()));
        let id = event.id.as_deref().map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.lines(&format!("event: {}\n{id}data: {data}", event.kind))
    }
}

/// Before its path, a URL names whom to ask.
fn split(url: &str) -> Result<(Client, &str), Failure> {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (_, rest) = url.split_at(after_scheme);
    let path = rest.find('/').map_or("/", |at| rest.split_at(at).1);
    Ok((Client::new(url.strip_suffix(path).unwrap_or(url), None)?, path))
}

/// A shell would take some characters of a URL for its own.
pub(super) fn quoted(url: &str) -> String {
    if url.contains(['?', '&']) { format!("'{url}'") } else { url.to_owned() }
}
