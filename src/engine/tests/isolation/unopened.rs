//! Files that hold rows of other organizations only are not even opened: a
//! statement does the same work, however many there are. Here they are ruined.

use std::fs;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::generator::Generator;
use super::world::World;
use super::{History, Lakes, SEED, facts, principals};
use crate::access::Principal;

/// The organization of the callers.
const OWN: &str = "org-1";

const QUERIES: usize = 60;

fn history(random: &mut StdRng) -> History {
    let events = facts::apart(facts::events(random, 260));
    let loose = facts::some_without_organization(random, &events);
    History { loose, people: facts::people(random), events }
}

/// Ruins every file that says that it holds no row of [`OWN`]; answers how many.
fn ruin_others(world: &World) -> usize {
    let view = &world.view;
    let tables = [&view.events, &view.rejected, &view.daily, &view.provider_costs, &view.sightings];
    let files = tables.iter().flat_map(|table| table.files.iter().map(|file| (&table.root, file)));
    let others = files.filter(|(_, file)| {
        let bounds = file.organizations.as_ref();
        bounds.is_some_and(|(least, most)| OWN < least.as_str() || most.as_str() < OWN)
    });
    let others: Vec<_> = others.map(|(root, file)| root.join(&file.path)).collect();
    for path in &others {
        let bytes = fs::metadata(path).expect("a file").len();
        fs::write(path, vec![b'x'; usize::try_from(bytes).expect("small")]).expect("ruined");
    }
    others.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_other_organizations_are_never_opened() {
    let mut random = StdRng::seed_from_u64(SEED);
    let history = history(&mut random);
    for caller in [principals::whole_of_one(), principals::team_of_one(), principals::nobody()] {
        let lakes = Lakes::new(&history, caller, 1);
        assert!(ruin_others(&lakes.first) > 20);
        lakes.number_tables().await;
        let names = lakes.names().await;
        let mut generator =
            Generator { random: StdRng::seed_from_u64(random.random()), names: &names };
        for _ in 0..QUERIES {
            let statement = generator.statement();
            if let Err(fault) = lakes.judge(&statement).await {
                panic!("{:?}: {}\n{fault}", lakes.caller.grants(), statement.text);
            }
        }
        let (operator, text) = (Principal::operator(), "SELECT max(topic) FROM usage_events");
        let all = super::ask(&operator, &lakes.first, text).await;
        assert!(all.is_err(), "whoever opens them notices");
    }
}
