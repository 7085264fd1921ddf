use std::net::IpAddr;

use super::*;
use crate::access::{AccountChange, Login, NewSession, SessionOwner, Visitor};

const EMAIL: &str = "ada@example.com";

async fn world() -> World {
    let world = World::new().await;
    world.account(EMAIL, grant(Role::Analyst, over(ACME))).await;
    world
}

fn login(email: &str, password: &str) -> Login {
    Login { email: email.to_owned(), password: password.to_owned() }
}

fn from(address: &str) -> Visitor {
    let address: IpAddr = address.parse().expect("an address");
    Visitor { address: Some(address), ..Visitor::default() }
}

impl World {
    async fn log_in(&self) -> NewSession {
        let session = self.door.log_in(&login(EMAIL, PASSWORD), &Visitor::default()).await;
        session.expect("a session")
    }

    async fn takes(&self, session: &NewSession) -> Result<Arc<Principal>> {
        self.door.authenticate(&Credential::Session(session.secret.clone())).await
    }
}

#[tokio::test]
async fn a_session_is_its_accounts_until_the_logout() {
    let world = world().await;
    let session = world.log_in().await;
    let principal = world.takes(&session).await.expect("admitted");
    assert_eq!((principal.name(), principal.origin()), (EMAIL, Origin::Session));
    // A session's secret is no token, and the other way round.
    assert_kind(world.admits(&session.secret).await, ErrorKind::Unauthenticated);
    world.door.close_session(&session.secret).await.expect("closed");
    assert_kind(world.takes(&session).await, ErrorKind::Unauthenticated);
    world.door.close_session(&session.secret).await.expect("nothing to close");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let world = world().await;
    let idle = world.log_in().await;
    world.wait(TimeDelta::hours(12) - TimeDelta::seconds(1));
    world.takes(&idle).await.expect("used again in time");
    world.wait(TimeDelta::hours(12));
    assert_kind(world.takes(&idle).await, ErrorKind::Unauthenticated);
    let busy = world.log_in().await;
    for _ in 0..(7 * 24 - 1) {
        world.wait(TimeDelta::hours(1));
        world.takes(&busy).await.expect("within seven days");
    }
    world.wait(TimeDelta::hours(1));
    assert_kind(world.takes(&busy).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_session_that_was_used_lives_on_after_a_restart() {
    let mut world = world().await;
    let session = world.log_in().await;
    world.wait(TimeDelta::hours(11));
    world.takes(&session).await.expect("admitted");
    world.door.note_uses_now().await.expect("noted");
    world.restart(|_| {}).await.expect("opened again");
    world.wait(TimeDelta::hours(11));
    world.takes(&session).await.expect("admitted");
}

#[tokio::test]
async fn a_login_takes_the_place_of_the_session_before() {
    let world = world().await;
    let before = world.log_in().await;
    let visitor = Visitor { session_secret: Some(before.secret.clone()), ..Visitor::default() };
    let after = world.door.log_in(&login(EMAIL, PASSWORD), &visitor).await.expect("a session");
    assert_ne!(before.secret, after.secret);
    assert_kind(world.takes(&before).await, ErrorKind::Unauthenticated);
    world.takes(&after).await.expect("admitted");
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once() {
    let world = world().await;
    let session = world.log_in().await;
    let id = world.takes(&session).await.expect("admitted").id().to_owned();
    let disabled = AccountChange { disabled: Some(true), ..AccountChange::default() };
    let operator = Principal::operator();
    world.door.change_account(&operator, &id, disabled).await.expect("changed");
    assert_kind(world.takes(&session).await, ErrorKind::Unauthenticated);
    let again = world.door.log_in(&login(EMAIL, PASSWORD), &Visitor::default()).await;
    assert_kind(again, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn unknown_address_and_wrong_password_are_answered_alike_and_written_down() {
    let world = world().await;
    let mut messages = Vec::new();
    for wrong in [login(EMAIL, "not the password"), login("eve@example.com", PASSWORD)] {
        let outcome = world.door.log_in(&wrong, &Visitor::default()).await;
        messages.push(assert_kind(outcome, ErrorKind::Unauthenticated).to_string());
    }
    assert_eq!(messages[0], messages[1]);
    let acts = world.acts().await;
    let failed: Vec<_> = acts.iter().filter(|act| act.action == "login.failed").collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0].subject, "account/unknown");
    // What was typed may be anything, a password too.
    assert!(!format!("{failed:?}").contains("eve@"));
}

#[tokio::test]
async fn too_many_attempts_are_told_when_to_come_back() {
    let world = world().await;
    let wrong = login(EMAIL, "not the password");
    for number in 0..10 {
        let outcome = world.door.log_in(&wrong, &from(&format!("10.0.0.{number}"))).await;
        assert_kind(outcome, ErrorKind::Unauthenticated);
    }
    let right = login(EMAIL, PASSWORD);
    let error =
        assert_kind(world.door.log_in(&right, &from("10.1.1.1")).await, ErrorKind::RateLimited);
    assert_eq!(error.retry_after_seconds(), Some(30));
    world.wait(TimeDelta::seconds(30));
    world.door.log_in(&right, &from("10.1.1.1")).await.expect("a session");
}

#[tokio::test]
async fn one_address_may_not_try_every_account() {
    let world = world().await;
    // The clock stands still, so nothing is gained between the attempts.
    let (mut tried, mut limited) = (0, 0);
    for number in 0..62 {
        let wrong = login(&format!("user{number}@example.com"), "not the password");
        match world.door.log_in(&wrong, &from("10.0.0.1")).await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => tried += 1,
            Err(error) if error.kind() == ErrorKind::RateLimited => limited += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((tried, limited), (60, 2));
    world.door.log_in(&login(EMAIL, PASSWORD), &from("10.0.0.2")).await.expect("a session");
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions_and_operators_all() {
    let world = world().await;
    world.account("bob@example.com", grant(Role::Analyst, over(ACME))).await;
    let (ada, other) = (world.log_in().await, world.log_in().await);
    let bob = world.door.log_in(&login("bob@example.com", PASSWORD), &Visitor::default()).await;
    let bob = bob.expect("a session");
    let listed =
        |caller: &Principal, current| world.door.sessions(caller, current).expect("a list");
    let of_ada = listed(&ada.principal, Some(ada.secret.as_str()));
    assert_eq!(of_ada.len(), 2);
    assert_eq!(of_ada.iter().filter(|one| one.current).count(), 1);
    let of_bob = listed(&bob.principal, None);
    assert_eq!(of_bob.len(), 1);
    let refused = world.door.end_session(&ada.principal, &of_bob[0].id).await;
    assert_kind(refused, ErrorKind::NotFound);
    let second = of_ada.iter().find(|one| !one.current).expect("the other one");
    world.door.end_session(&ada.principal, &second.id).await.expect("ended");
    assert_kind(world.takes(&other).await, ErrorKind::Unauthenticated);
    world.takes(&ada).await.expect("this one goes on");
    let operator = Principal::operator();
    assert_eq!(listed(&operator, None).len(), 2);
    world.door.end_session(&operator, &of_bob[0].id).await.expect("ended");
    assert_kind(world.takes(&bob).await, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_gives_way() {
    let world = world().await;
    let first = world.log_in().await;
    let id = first.principal.id().to_owned();
    for _ in 0..50 {
        world.wait(TimeDelta::seconds(1));
        let owner = SessionOwner::Account(id.clone());
        world.door.open_session(owner, &Visitor::default()).await.expect("a session");
    }
    assert_kind(world.takes(&first).await, ErrorKind::Unauthenticated);
    assert_eq!(world.door.sessions(&first.principal, None).expect("a list").len(), 50);
}

#[tokio::test]
async fn somebody_whom_a_provider_vouched_for_keeps_the_grants_of_then() {
    let mut world = world().await;
    let foreigner = foreigner(grant(Role::Analyst, over(ACME)));
    let owner = SessionOwner::Principal(foreigner.clone());
    let session = world.door.open_session(owner, &Visitor::default()).await.expect("a session");
    world.restart(|_| {}).await.expect("opened again");
    let principal = world.takes(&session).await.expect("admitted");
    assert_eq!((principal.id(), principal.grants()), (foreigner.id(), foreigner.grants()));
    assert_eq!(principal.origin(), Origin::Session);
}
