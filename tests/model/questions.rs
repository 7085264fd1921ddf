//! Random questions to every analytics route, and what the naive model answers.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::Value;

use super::events::{CONVERSATIONS, ORGANIZATIONS, USERS};
use super::filters::{Asked, Subject, World, segment};
use crate::support::naive::{DIMENSIONS, MEASURES, Order};

/// The answer that a question must get.
#[derive(Debug)]
pub(super) enum Expected {
    /// This problem.
    Status(u16),
    /// This body, and `as_of`.
    Body(Value),
    /// These items over all pages, and this on every page beside `as_of`.
    Pages { items: Vec<Value>, whole: Value },
}

/// A path with its parameters, and its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) path: String,
    pub(super) expected: Expected,
}

/// Every route; drill-down and the conversation several times.
pub(super) const KINDS: usize = 22;

impl Question {
    fn new(path: &str, parameters: &[(&str, String)], expected: Expected) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        Self { path: format!("{path}?{}", query.finish()), expected }
    }

    /// A question of this kind, of [`KINDS`].
    pub(super) fn draw(random: &mut StdRng, world: World<'_>, kind: usize) -> Self {
        let organization = Subject::Organization(draw_organization(random));
        let user = Subject::User(maybe_unknown(random, &USERS));
        let platform = Subject::Platform;
        match kind {
            0 => summary(random, world, &organization),
            1 => summary(random, world, &user),
            2 => summary(random, world, &platform),
            3 => trends(random, world, &organization),
            4 => trends(random, world, &user),
            5 => trends(random, world, &platform),
            6 => list(random, world, &organization, "users", &["user"]),
            7 => list(random, world, &organization, "teams", &["team"]),
            8 => list(random, world, &organization, "departments", &["department"]),
            9 => list(random, world, &organization, "api-keys", &["api_key"]),
            10 => list(random, world, &organization, "models", &["model"]),
            11 => list(random, world, &user, "models", &["model"]),
            12 => list(random, world, &user, "conversations", &["organization", "conversation"]),
            13 => list(random, world, &platform, "organizations", &["organization"]),
            14 => list(random, world, &platform, "models", &["model"]),
            15 | 16 => compare(random, world),
            17 | 18 => conversation(random, world),
            _ => {
                let mut names = DIMENSIONS.map(|(name, _)| name);
                names.shuffle(random);
                let by = &names[..random.random_range(1..=3)];
                list(random, world, &platform, "drill-down", by)
            }
        }
    }
}

fn draw_organization(random: &mut StdRng) -> String {
    let unknown = "0190a3c2-7b1e-7c00-8000-00000000000f";
    let known = *ORGANIZATIONS.choose(random).expect("one");
    if random.random_bool(0.04) { unknown } else { known }.to_owned()
}

fn maybe_unknown(random: &mut StdRng, values: &[&str]) -> String {
    let known = *values.choose(random).expect("one");
    if random.random_bool(0.04) { "nobody" } else { known }.to_owned()
}

fn summary(random: &mut StdRng, world: World<'_>, subject: &Subject) -> Question {
    let mut asked = Asked::draw(random, world, subject);
    let parameters = asked.parameters();
    let expected = match subject.restrict(&mut asked, world.naive) {
        None => Expected::Status(404),
        Some(()) => Expected::Body(world.naive.summary(&asked.resolve(world))),
    };
    Question::new(&subject.path("summary"), &parameters, expected)
}

fn trends(random: &mut StdRng, world: World<'_>, subject: &Subject) -> Question {
    let mut asked = Asked::draw(random, world, subject);
    let mut parameters = asked.parameters();
    let interval = *["day", "week", "month"].choose(random).expect("one");
    if interval != "day" || random.random() {
        parameters.push(("interval", interval.to_owned()));
    }
    let expected = match subject.restrict(&mut asked, world.naive) {
        None => Expected::Status(404),
        Some(()) => Expected::Body(world.naive.trends(&asked.resolve(world), interval)),
    };
    Question::new(&subject.path("trends"), &parameters, expected)
}

fn list(
    random: &mut StdRng,
    world: World<'_>,
    subject: &Subject,
    leaf: &str,
    by: &[&'static str],
) -> Question {
    let mut asked = Asked::draw(random, world, subject);
    let mut parameters = asked.parameters();
    if leaf == "drill-down" {
        parameters.push(("group_by", by.join(",")));
    }
    let order = draw_order(random, by, &mut parameters);
    let expected = match subject.restrict(&mut asked, world.naive) {
        None => Expected::Status(404),
        Some(()) => {
            let (items, whole) = world.naive.list(&asked.resolve(world), by, order);
            Expected::Pages { items, whole }
        }
    };
    Question::new(&subject.path(leaf), &parameters, expected)
}

fn draw_order(
    random: &mut StdRng,
    by: &[&'static str],
    parameters: &mut Vec<(&'static str, String)>,
) -> Order {
    let conversations = by.contains(&"conversation");
    let mut sort = if conversations { "last_event_time" } else { "total_cost" };
    if random.random_bool(0.6) {
        let others = ["name", "first_event_time", "last_event_time"];
        let names: Vec<&'static str> = MEASURES.iter().chain(by).chain(&others).copied().collect();
        sort = names.choose(random).expect("one");
        parameters.push(("sort", sort.to_owned()));
    }
    let text = sort == "name" || by.contains(&sort);
    let mut descending = !text;
    if random.random_bool(0.4) {
        descending = random.random();
        parameters.push(("order", if descending { "desc" } else { "asc" }.to_owned()));
    }
    Order { sort, descending }
}

fn compare(random: &mut StdRng, world: World<'_>) -> Question {
    let user = maybe_unknown(random, &USERS);
    let subject = Subject::User(user.clone());
    let mut asked = Asked::draw(random, world, &subject);
    if random.random_bool(0.7) {
        asked.name("organization", vec![draw_organization(random)]);
    }
    let parameters = asked.parameters();
    let mut organizations = world.naive.organizations_of("user", &user);
    let named = asked.named("organization");
    organizations.retain(|one| named.is_empty() || named.contains(one));
    let expected = match organizations.as_slice() {
        [] => Expected::Status(404),
        [one] => {
            let one = one.clone();
            asked.name("organization", vec![one.clone()]);
            asked.values.retain(|(dimension, _)| *dimension != "user");
            Expected::Body(world.naive.compare(&asked.resolve(world), &one, &user))
        }
        _ => Expected::Status(400),
    };
    Question::new(&subject.path("compare-org"), &parameters, expected)
}

fn conversation(random: &mut StdRng, world: World<'_>) -> Question {
    let id = maybe_unknown(random, &CONVERSATIONS);
    let mut organizations = world.naive.organizations_of("conversation", &id);
    let mut parameters = Vec::new();
    if random.random_bool(0.7) {
        let named = draw_organization(random);
        organizations.retain(|one| *one == named);
        parameters.push(("organization_id", named));
    }
    let expected = match organizations.as_slice() {
        [] => Expected::Status(404),
        [one] => {
            let (items, whole) = world.naive.conversation(one, &id);
            Expected::Pages { items, whole }
        }
        _ => Expected::Status(400),
    };
    Question::new(&format!("/api/conversations/{}", segment(&id)), &parameters, expected)
}
