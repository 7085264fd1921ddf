//! Query parameters, read strictly: an unknown name, an empty value or a
//! second value where one belongs is an error that says what was meant.

use super::problem::Problem;

/// Longest value of one parameter, bytes.
const VALUE_BYTES_MAX: usize = 4096;
/// Most parameters of one request.
const PARAMETERS_MAX: usize = 1000;

/// The parameters of one request, in the order they were sent.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `query`, whose names must be among `known`.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut params = Vec::new();
        for (name, value) in pairs {
            check(&name, &value, known)?;
            if params.len() == PARAMETERS_MAX {
                let detail = format!("a request has at most {PARAMETERS_MAX} parameters");
                return Err(Problem::parameter(&name, &value, detail));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    /// Every value of `name`, in order, each once.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for value in self.values(name) {
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        values
    }

    /// The value of a parameter that can be given once.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(second) => {
                let detail = format!("{name} is given more than once; it takes one value");
                Err(Problem::parameter(name, second, detail))
            }
        }
    }

    /// The value of a parameter that can be given once, read by `read`.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.one(name)? else { return Ok(None) };
        let wrong = || Problem::parameter(name, value, format!("{name} is {value:?}; {rule}"));
        read(value).map(Some).ok_or_else(wrong)
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn check(name: &str, value: &str, known: &[&str]) -> Result<(), Problem> {
    if !known.contains(&name) {
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("this route takes {}", known.join(", ")),
        };
        let detail = format!("there is no parameter {name:?}; {hint}");
        return Err(Problem::parameter(name, value, detail));
    }
    if value.is_empty() {
        let detail = format!("{name} is empty; give it a value or leave it out");
        return Err(Problem::parameter(name, value, detail));
    }
    if value.len() > VALUE_BYTES_MAX {
        let detail = format!("{name} is longer than {VALUE_BYTES_MAX} bytes");
        return Err(Problem::parameter(name, &value.chars().take(64).collect::<String>(), detail));
    }
    Ok(())
}

/// The known name that a few typing errors lead to.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.get(..name.len().min(64)).unwrap_or_default();
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (name.len() >= 4 && candidate.starts_with(name))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["team_id", "model", "date_from"];

    fn problem(query: &str) -> serde_json::Value {
        let problem = Params::parse(Some(query), &KNOWN).expect_err("refused");
        serde_json::to_value(problem).expect("JSON")
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let refused = problem("teamid=x");
        assert_eq!(refused["parameter"], "teamid");
        assert_eq!(refused["value"], "x");
        let detail = refused["detail"].as_str().expect("detail");
        assert!(detail.contains("did you mean team_id?"), "{detail}");
        let detail = problem("zzzzzz=x")["detail"].to_string();
        assert!(detail.contains("team_id, model, date_from"), "{detail}");
    }

    #[test]
    fn an_empty_value_is_refused() {
        assert_eq!(problem("team_id=")["parameter"], "team_id");
        assert_eq!(problem("team_id")["parameter"], "team_id");
    }

    #[test]
    fn a_repeated_value_counts_once_and_keeps_its_order() {
        let params = Params::parse(Some("model=b&model=a&model=b&model=%C3%A9"), &KNOWN);
        assert_eq!(params.expect("parameters").all("model"), ["b", "a", "é"]);
    }

    #[test]
    fn a_single_valued_parameter_is_refused_when_repeated() {
        let params = Params::parse(Some("model=b&model=a"), &KNOWN).expect("parameters");
        assert!(params.one("model").is_err());
        assert_eq!(params.one("team_id").expect("absent"), None);
    }
}
